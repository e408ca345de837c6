#!/bin/sh
# Kafka and the job in containers: compose.sh COMMAND, as the Makefile has it. STACK names all that
# is made, KAFKA_PORT, METRICS_PORT, PUSHGATEWAY_PORT and PROMETHEUS_PORT are ports on 127.0.0.1.
set -eu
cd "$(dirname "$0")"
export STACK="${STACK:-tidemill}"

fail() {
    printf '%s\n' "$1" >&2
    exit 1
}

# Sets compose: Docker's own, else the older program.
find_compose() {
    command -v docker >/dev/null || fail "There is no docker here. Without it: make demo"
    problem=$(docker version 2>&1 >/dev/null) ||
        fail "No Docker engine answers ($(echo "$problem" | tail -n 1)). Without one: make demo"
    if docker compose version >/dev/null 2>&1; then
        compose="docker compose"
    elif docker-compose version >/dev/null 2>&1; then
        compose=docker-compose
    else
        fail "Neither 'docker compose' nor docker-compose is here: install one. Without them: make demo"
    fi
}

kafka_compose() { $compose -p "$STACK-kafka" -f kafka/docker-compose.yml "$@"; }
app_compose() { $compose -p "$STACK-app" -f app/docker-compose.yml "$@"; }

# Prints what a container is: running, exited, running healthy, …; nothing where there is none.
state() {
    docker inspect --format '{{.State.Status}}{{with .State.Health}} {{.Status}}{{end}}' \
        "$STACK-$1" 2>/dev/null || true
}

# Runs one of Kafka's console tools beside the broker. In a terminal Ctrl-C reaches it.
kafka_tool() {
    case $(state kafka) in running*) ;; *) fail "Kafka does not run: make kafka" ;; esac
    tool=$1 terminal=""
    shift
    [ ! -t 0 ] || [ ! -t 1 ] || terminal=--tty
    docker exec --interactive $terminal "$STACK-kafka" \
        "/opt/kafka/bin/$tool.sh" --bootstrap-server kafka:19092 "$@"
}

# Prints a topic from its start until nothing comes for 15 s; with FOLLOW=1 until Ctrl-C.
consume() {
    [ "${FOLLOW:-}" = 1 ] || set -- "$@" --timeout-ms 15000
    kafka_tool kafka-console-consumer --from-beginning --isolation-level read_committed --topic "$@"
}

has_network() { docker network inspect "$STACK" >/dev/null 2>&1; }

network() { has_network || docker network create "$STACK" >/dev/null; }

kafka() {
    network
    kafka_compose up -d
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
    while :; do
        case $(state app) in
            "running healthy") break ;;
            running*) sleep 1 ;;
            *) fail "The job has ended, and said: $(docker logs --tail 5 "$STACK-app" 2>&1)" ;;
        esac
    done
}

down() {
    volumes=""
    [ "${WIPE:-}" != 1 ] || volumes=--volumes
    app_compose down $volumes
    kafka_compose down $volumes
    ! has_network || docker network rm "$STACK" >/dev/null
}

find_compose
case $1 in
    engine) ;; # whether there is one
    image | network | kafka | app | down) "$1" ;;
    up) kafka && app ;;
    produce-input) kafka_tool kafka-console-producer --topic ner-input <input.json ;;
    consume-results) consume ner-output ;;
    consume-dead-letters) consume ner-output.dlq --formatter-property print.headers=true ;;
    logs) app_compose logs --follow --tail 100 app ;;
    *) fail "compose.sh does not know $1" ;;
esac
