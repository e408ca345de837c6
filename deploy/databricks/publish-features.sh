#!/bin/sh
# Show what is to publish of the features that a file describes, or publish it (--apply); --help
# lists the options. PYTHON=/path/to/python selects the interpreter. It needs the package
# databricks-sdk 0.161 or later (the extra `databricks`).
exec "$(dirname "$0")/python.sh" publish-features.sh deploy.databricks.features "$@"
