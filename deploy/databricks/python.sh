#!/bin/sh
# Run a module for a command of this folder: python.sh COMMAND MODULE [ARGUMENT…]
# PYTHON=/path/to/python selects the interpreter.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
name=$1
shift

if [ -n "${PYTHON:-}" ]; then
    python=$PYTHON
elif [ -x "$root/.venv/bin/python" ]; then
    python=$root/.venv/bin/python
else
    python=python3
fi
command -v "$python" >/dev/null || {
    echo "$name: there is no $python: install Python 3.11 or later, or set PYTHON" >&2
    exit 1
}
# Import only from the repository, not from the current folder.
export PYTHONSAFEPATH=1 PYTHONPATH="$root/app:$root${PYTHONPATH:+:$PYTHONPATH}"
exec "$python" -m "$@"
