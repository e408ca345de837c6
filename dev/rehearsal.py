"""Run a broker and a job once, to archive the Java classes that they load (dev/class_archives.py).

`python -m dev.rehearsal` does so before tests start dozens of them, unless the archives are there.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path

from dev import PYTHONPATH, ROOT, class_archives
from dev.kafka.broker import Broker
from dev.kafka.distribution import fetch_kafka
from dev.kafka.topics import create_topic
from dev.pipeline.job_process import running_processes
from dev.pipeline.pipeline import JAVA_OPTIONS, Pipeline, message, quick_spark
from dev.pipeline.records import INPUT_LIMIT
from tidemill.spark.java import spark_home
from tidemill.streaming.preflight import ADDED_BYTES

# A JVM that ends writes its archive first.
ARCHIVE_TIMEOUT_S = 600.0


def main() -> None:
    """Make both archives, unless they are there; remove older ones."""
    libs, jars = fetch_kafka(), spark_home() / "jars"
    wanted = [class_archives.archive(folder) for folder in (libs, jars)]
    if all(file.exists() for file in wanted):
        return
    class_archives.FOLDER.mkdir(parents=True, exist_ok=True)
    for outdated in class_archives.FOLDER.glob("*.jsa"):
        outdated.unlink()
    with tempfile.TemporaryDirectory(dir=class_archives.FOLDER) as name:
        folder = Path(name)
        of_kafka, of_spark = folder / "kafka.jsa", folder / "spark.jsa"
        with Broker(
            folder / "broker", libs, jvm_options=[f"-XX:ArchiveClassesAtExit={of_kafka}"]
        ) as broker:
            run_job(broker, folder, f"-XX:ArchiveClassesAtExit={of_spark}")
            broker.stop(ARCHIVE_TIMEOUT_S)
        # A JVM writes its archive when it ends, and Spark's outlives the job.
        while any(name in command for _, command in running_processes().values()):
            time.sleep(0.1)
        for made, target in zip((of_kafka, of_spark), wanted, strict=True):
            made.replace(target)


def run_job(broker: Broker, folder: Path, java_option: str) -> None:
    """Process a few messages with a job whose JVM has one more option."""
    limit = {"max.message.bytes": str(INPUT_LIMIT + ADDED_BYTES)}
    for topic, configs in (("in", {}), ("out", limit), ("dead", limit)):
        create_topic(broker.bootstrap_servers, topic, configs=configs)
    pipeline = Pipeline(broker, "in", "out", "dead", folder)
    pipeline.produce(*(message(i) for i in range(10)))
    spark = quick_spark()
    spark[JAVA_OPTIONS] += f" {java_option}"
    job = pipeline.environment("Upper", STREAM__TRIGGER="available-now", SPARK=json.dumps(spark))
    job["PYTHONPATH"] = f"{ROOT / 'test' / 'doubles'}{os.pathsep}{PYTHONPATH}"
    with pipeline.program(job) as program:
        assert program.wait() == 0, program.output


if __name__ == "__main__":
    main()
