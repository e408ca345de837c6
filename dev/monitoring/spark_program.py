"""A small Spark application that runs a few tasks and waits: `spark_program.py CONF`."""

from __future__ import annotations

import json
import sys
import time

from pyspark.sql import SparkSession

APP = "tidemill-g"

if __name__ == "__main__":
    builder = SparkSession.builder.appName(APP)
    for name, value in json.loads(sys.argv[1]).items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.range(10).count()
    print("UI", spark.sparkContext.uiWebUrl, flush=True)
    time.sleep(3600)
