#!/bin/sh
# Deploy the job to Databricks, or print its settings (--dry-run); --help lists the options.
# PYTHON=/path/to/python selects the interpreter. It needs the package databricks-sdk (the extra
# `databricks`), except for a dry run.
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
# Import only from the repository, not from the current folder.
export PYTHONSAFEPATH=1 PYTHONPATH="$root/app:$root${PYTHONPATH:+:$PYTHONPATH}"
exec "$python" -m deploy.databricks.deploy_job "$@"
