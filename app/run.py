"""The entry point for spark-submit: `spark-submit app/run.py`."""

import sys

from tidemill.run import main

if __name__ == "__main__" and (code := main()):
    sys.exit(code)  # Databricks takes any SystemExit for a failure, even one with code 0.
