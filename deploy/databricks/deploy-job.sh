#!/bin/sh
# Deploys the job on Databricks, or shows what would be sent (--dry-run); --help lists the options.
# PYTHON=/path/to/python picks the Python, which needs the package databricks-sdk (the extra
# `databricks`); a dry run needs none.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)

if [ -n "${PYTHON:-}" ]; then
    set -- "$PYTHON" "$@"
elif [ -x "$root/.venv/bin/python" ]; then
    set -- "$root/.venv/bin/python" "$@"
else
    set -- python3 "$@"
fi
python=$1
shift
command -v "$python" >/dev/null || {
    echo "deploy-job.sh: there is no $python: install Python 3.11 or later, or set PYTHON" >&2
    exit 1
}
# From whatever folder it is called, and whatever lies there.
export PYTHONSAFEPATH=1 PYTHONPATH="$root/app:$root${PYTHONPATH:+:$PYTHONPATH}"
exec "$python" -m deploy.databricks.deploy_job "$@"
