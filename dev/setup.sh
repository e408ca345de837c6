#!/bin/sh
# Installs the packages that requirements/dev.txt locks into .venv. First checks Python and Java. If
# one is missing, installs it (as root on Debian or Ubuntu) or says in one line what to do.
# PYTHON=/path/to/python chooses the Python, JAVA_HOME the Java. With --with-test-tools, also checks
# or installs the servers and the browser that the tests start; with --with-bench-tools, the servers
# of the benchmark of tasks.
set -eu
cd "$(dirname "$0")/.."
with_tools=${1:-}

say() { printf '%s\n' "$1" >&2; }

python_version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

# Sets python, or python_problem and python_packages, any one of which would solve it.
check_python() {
    python="" python_problem="" python_packages="python3.12-venv python3.11-venv" found=""
    if [ -n "${PYTHON:-}" ]; then
        set -- "$PYTHON"
        python_packages=""
    else
        set -- .venv/bin/python python3.12 python3.11 python3
    fi
    for candidate in "$@"; do
        # Run each one: a pyenv shim may be on the PATH and still fail.
        version=$(python_version "$candidate") || continue
        case $version in
            3.11 | 3.12) ;;
            *)
                found="${found:- ($candidate is $version)}"
                continue
                ;;
        esac
        if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
            python=$candidate python_problem=""
            return
        fi
        python_packages="python$version-venv"
        python_problem="Python $version has no venv module. Install $python_packages."
    done
    [ -n "$python_problem" ] ||
        python_problem="Tidemill needs Python 3.11 or 3.12${found:-${PYTHON:+ ($PYTHON does not run)}}. Install one, or set PYTHON=/path/to/python."
}

# Sets java_version, or java_problem and java_packages, any one of which would solve it.
check_java() {
    java_problem="" java_packages="openjdk-17-jre-headless openjdk-21-jre-headless"
    java=java
    if [ -n "${JAVA_HOME:-}" ]; then
        java="$JAVA_HOME/bin/java"
        java_packages=""
    fi
    java_version=$("$java" -version 2>&1 | sed -n 's/.* version "\([^"]*\)".*/\1/p') || true
    case $java_version in
        17 | 17[.-]* | 21 | 21[.-]*) return ;;
    esac
    if [ -n "${JAVA_HOME:-}" ]; then
        java_problem="Spark needs Java 17 or 21, but JAVA_HOME=$JAVA_HOME has ${java_version:-no Java}. Change or unset JAVA_HOME."
    else
        java_problem="Spark needs Java 17 or 21${java_version:+ (java is $java_version)}. Install openjdk-17-jre-headless or openjdk-21-jre-headless, or set JAVA_HOME."
    fi
}

# Sets tools_problem and tools_packages, which would solve it. A C compiler and ip (iproute2) are
# optional: without them a few tests are skipped.
check_tools() {
    tools_problem="" tools_packages="" missing=""
    case $with_tools in
        --with-test-tools) tools="prometheus promtool prometheus-pushgateway haproxy chromium postgres" ;;
        --with-bench-tools) tools="postgres redis-server" ;;
        *) return 0 ;;
    esac
    # Debian keeps PostgreSQL's programs out of the PATH.
    postgres_programs=$(echo /usr/lib/postgresql/*/bin | tr ' ' :)
    for tool in $tools; do
        PATH=$PATH:/usr/sbin:$postgres_programs command -v "$tool" >/dev/null || missing="$missing $tool"
    done
    case " $missing " in *" prometheus "* | *" promtool "*) tools_packages=prometheus ;; esac
    for package in prometheus-pushgateway haproxy chromium redis-server; do
        case " $missing " in *" $package "*) tools_packages="$tools_packages $package" ;; esac
    done
    case " $missing " in *" postgres "*) tools_packages="$tools_packages postgresql" ;; esac
    if [ "$with_tools" = --with-test-tools ]; then
        command -v cc >/dev/null || tools_packages="$tools_packages gcc libc6-dev"
        command -v ip >/dev/null || tools_packages="$tools_packages iproute2"
    fi
    [ -z "$missing" ] ||
        tools_problem="Missing on the PATH:$missing. Install the Debian packages$tools_packages."
}

# Installs packages but prevents their services from starting, now (policy-rc.d) and at boot.
install_without_services() (
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ] && [ ! -L $policy ]; then
        trap 'rm -f $policy' EXIT
        trap 'exit 1' HUP INT TERM
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
    fi
    apt_install "$@" || exit
    for package in "$@"; do
        systemctl disable "$package" >/dev/null 2>&1 || true
        update-rc.d "$package" disable >/dev/null 2>&1 || true
    done
)

apt_install() {
    say "Installing $* (apt-get install)"
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}

# Installs the first available package for each problem, and the tests' tools.
install_missing() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
    [ -n "${python_problem:+$python_packages}${java_problem:+$java_packages}$tools_packages" ] || return 0
    say "Reading the package lists (apt-get update)"
    apt-get update -qq >/dev/null || return 0
    chosen=""
    for packages in "${python_problem:+$python_packages}" "${java_problem:+$java_packages}"; do
        for package in $packages; do
            if apt-cache show "$package" >/dev/null 2>&1; then
                chosen="$chosen $package"
                break
            fi
        done
    done
    # shellcheck disable=SC2086  # lists of names
    [ -z "$chosen" ] || apt_install $chosen || true
    # shellcheck disable=SC2086
    [ -z "$tools_packages" ] || install_without_services $tools_packages || true
}

# Runs uv, without its output for each package.
run_uv() {
    rm -f .venv/failed
    { .venv/bin/uv "$@" --python .venv/bin/python 2>&1 || touch .venv/failed; } |
        while IFS= read -r line; do
            case $line in
                " + "* | " - "* | " ~ "* | " Downloaded "* | "Uninstalled "* | "Using Python"*) ;;
                *) say "  $line" ;;
            esac
        done
    [ ! -e .venv/failed ]
}

check_all() {
    check_python
    check_java
    check_tools
}

check_all
if [ -n "$python_problem$java_problem$tools_packages" ]; then
    install_missing
    check_all
fi
if [ -n "$python_problem$java_problem$tools_problem" ]; then
    [ -z "$python_problem" ] || say "$python_problem"
    [ -z "$java_problem" ] || say "$java_problem"
    [ -z "$tools_problem" ] || say "$tools_problem"
    exit 1
fi

stamp=.venv/installed
wanted="$(python_version "$python") $(cat requirements/uv.txt requirements/dev.txt pyproject.toml | cksum)"
[ "$(cat $stamp 2>/dev/null)" != "$wanted" ] || exit 0
rm -f $stamp

say "Python $(python_version "$python"), Java $java_version"
if [ "$(python_version .venv/bin/python)" != "$(python_version "$python")" ]; then
    say "Creating .venv"
    "$python" -m venv --clear .venv
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
say "Installing the locked packages (about 700 MB to download the first time)"
run_uv pip sync --require-hashes requirements/dev.txt
run_uv pip install --quiet --no-deps --no-build-isolation --editable .
printf '%s\n' "$wanted" >$stamp
