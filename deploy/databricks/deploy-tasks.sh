#!/bin/sh
# Show what is to deploy of the jobs that a file describes, or deploy them (--apply); --help lists
# the options. PYTHON=/path/to/python selects the interpreter. It needs the package databricks-sdk
# 0.161 or later (the extra `databricks`).
exec "$(dirname "$0")/python.sh" deploy-tasks.sh deploy.databricks.tasks "$@"
