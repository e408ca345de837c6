#!/bin/sh
# Deploy the job to Databricks, or print its settings (--dry-run); --help lists the options.
# PYTHON=/path/to/python selects the interpreter. It needs the package databricks-sdk (the extra
# `databricks`), except for a dry run.
exec "$(dirname "$0")/python.sh" deploy-job.sh deploy.databricks.deploy_job "$@"
