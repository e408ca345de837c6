#!/bin/sh
# Kafka and the job, or servers and a proxy, in containers: compose.sh COMMAND, as the Makefile has
# it. STACK names all that is made; ports on 127.0.0.1 are KAFKA_PORT, METRICS_PORT,
# PUSHGATEWAY_PORT, PROMETHEUS_PORT, and HTTP_PORT, GRPC_PORT, STATS_PORT of the proxy.
set -eu
cd "$(dirname "$0")"
export STACK="${STACK:-tidemill}"
terminal=""
otherwise="make demo"
[ "${1:-}" != up-serving ] || otherwise="tidemill serve"

fail() {
    printf '%s\n' "$1" >&2
    exit 1
}

# Sets compose: Docker's own, else the older program.
find_compose() {
    command -v docker >/dev/null || fail "There is no docker here. Without it: $otherwise"
    problem=$(docker version 2>&1 >/dev/null) ||
        fail "No Docker engine answers ($(echo "$problem" | tail -n 1)). Without one: $otherwise"
    if docker compose version >/dev/null 2>&1; then
        compose="docker compose"
    elif docker-compose version >/dev/null 2>&1; then
        compose=docker-compose
    else
        fail "Neither 'docker compose' nor docker-compose is here: install one. Without them: $otherwise"
    fi
}

kafka_compose() { $compose -p "$STACK-kafka" -f kafka/docker-compose.yml "$@"; }
app_compose() { $compose -p "$STACK-app" -f app/docker-compose.yml "$@"; }

serving_compose() { $compose -p "$STACK-serving" -f serving/docker-compose.yml "$@"; }

is_running() { [ "$(docker inspect --format '{{.State.Running}}' "$STACK-$1" 2>/dev/null)" = true ]; }

# Runs one of Kafka's console tools beside the broker.
kafka_tool() {
    tool=$1
    shift
    docker exec --interactive $terminal "$STACK-kafka" \
        "/opt/kafka/bin/$tool.sh" --bootstrap-server kafka:19092 "$@"
}

# Prints a topic from its start until nothing comes for 15 s; with FOLLOW=1 until Ctrl-C.
consume() {
    set -- kafka-console-consumer --from-beginning --isolation-level read_committed --topic "$@"
    if [ "${FOLLOW:-}" = 1 ]; then
        [ ! -t 0 ] || terminal=--tty # or Ctrl-C would not reach the tool
        kafka_tool "$@"
        return
    fi
    # That the time is over is an error to the tool, two lines long.
    { kafka_tool "$@" --timeout-ms 15000 2>&1 >&3 |
        sed '/KIP-848\|terminating consumer\|TimeoutException/d' >&2; } 3>&1
}

has_network() { docker network inspect "$STACK" >/dev/null 2>&1; }

network() { has_network || docker network create "$STACK" >/dev/null; }

kafka() {
    network
    kafka_compose up -d || fail "Kafka did not start: $(docker logs --tail 3 "$STACK-kafka" 2>&1)"
    [ "$(docker wait "$STACK-topics")" = 0 ] ||
        fail "The topics were not made: $(docker logs "$STACK-topics" 2>&1)"
}

image() {
    target=${BUILD_TARGET:-local}
    docker build --build-arg "BUILD_TARGET=$target" --tag "$STACK:$target" ../..
}

app() {
    network
    docker image inspect "$STACK:local" >/dev/null 2>&1 || image
    app_compose up -d --force-recreate app
    app_compose up -d
    echo "Waiting until the job is ready"
    until docker exec "$STACK-app" tidemill health --ready >/dev/null 2>&1; do
        is_running app || fail "The job has ended: $(docker logs --tail 3 "$STACK-app" 2>&1)"
        sleep 2
    done
}

# Waits until a server is ready and the proxy sends it requests, by its names; fails if it has ended.
# The proxy alone does not tell: a server whose address it has just found counts as up at first.
wait_for_server() {
    find='import sys, urllib.request
urllib.request.urlopen("http://127.0.0.1:8080/readyz")
line = "haproxy_server_status{proxy=\"http-servers\",server=\"%s\",state=\"UP\"} 1" % sys.argv[1]
sys.exit(line not in urllib.request.urlopen("http://proxy:8404/metrics").read().decode())'
    until docker exec "$STACK-$1" python -c "$find" "$2" >/dev/null 2>&1; do
        ended=$(docker inspect --format '{{.RestartCount}}' "$STACK-$1")
        is_running "$1" && [ "$ended" = 0 ] ||
            fail "$1 has ended: $(docker logs --tail 3 "$STACK-$1" 2>&1)"
        sleep 1
    done
}

# One server after the other, so that the first answers while the second is replaced.
up_serving() {
    network
    docker image inspect "$STACK:serve" >/dev/null 2>&1 || BUILD_TARGET=serve image
    serving_compose up -d proxy
    for number in 1:one 2:two; do
        server=serve-${number%:*}
        serving_compose up -d --force-recreate "$server"
        echo "Waiting until the proxy has found $server"
        wait_for_server "$server" "${number#*:}"
    done
}

down() {
    volumes=""
    [ "${WIPE:-}" != 1 ] || volumes=--volumes
    for part in serving app kafka; do
        # With the anonymous volumes, which images declare and `down` would leave.
        ${part}_compose rm --stop --force -v
        ${part}_compose down $volumes
    done
    ! has_network || docker network rm "$STACK" >/dev/null
}

find_compose
case $1 in
    produce-* | consume-*) is_running kafka || fail "Kafka does not run: make kafka" ;;
esac
case $1 in
    engine) ;; # whether there is one
    image | network | kafka | app | down) "$1" ;;
    up)
        kafka
        app
        ;;
    up-serving) up_serving ;;
    produce-input) kafka_tool kafka-console-producer --topic ner-input <input.json ;;
    consume-results) consume ner-output ;;
    consume-dead-letters) consume ner-output.dlq --formatter-property print.headers=true ;;
    logs) app_compose logs --follow --tail 100 app ;;
    *) fail "compose.sh does not know $1" ;;
esac
