"""A job and its three topics: send messages, run the job, read its results."""

from __future__ import annotations

import json
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from dev import class_archives
from dev.pipeline import records
from dev.pipeline.job_process import JobProcess
from dev.pipeline.messages import encode_message
from dev.pipeline.models import model_entry
from tidemill.inference.features import no_features
from tidemill.inference.route import Route, single_routes
from tidemill.settings import KafkaSettings, PoolSettings, StreamSettings
from tidemill.spark.java import spark_home
from tidemill.streaming import job, preflight, progress, startup
from tidemill.streaming.delivery import choose
from tidemill.streaming.topic_watchdog import TopicWatchdog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pyspark.sql import SparkSession

    from dev.kafka.servers import KafkaServers
    from dev.pipeline.records import Record
    from tidemill.inference.features import Complete
    from tidemill.inference.model import ModelSpec
    from tidemill.kafka.record_size import TopicLimits

JAVA_OPTIONS = "spark.driver.extraJavaOptions"
# For short runs on two cores: no optimising compiler, one collector thread.
QUICK_JVM = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
GROUP_TOOL = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"


def quick_spark() -> dict[str, str]:
    """Return Spark's settings for short runs on two cores."""
    return {
        "spark.master": "local[2,2]",
        "spark.ui.enabled": "false",
        JAVA_OPTIONS: " ".join([*QUICK_JVM, *class_archives.use(spark_home() / "jars")]),
    }


def message(uuid: object, text: str = "t", lang: str = "en") -> dict[str, bytes]:
    """Return a record with a valid message."""
    return {"value": encode_message(text, lang, uuid)}


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Three topics on a broker or a cluster, and a folder for the job's files."""

    broker: KafkaServers
    source: str
    output: str
    dead: str
    folder: Path

    def produce(self, *sent: dict[str, Any], compression: str = "none") -> None:
        """Send records to the input topic."""
        records.produce(self.broker.bootstrap_servers, self.source, *sent, compression=compression)

    def inputs(self) -> list[Record]:
        """Return the records of the input topic."""
        return records.read(self.broker.bootstrap_servers, self.source)

    def results(self) -> list[Record]:
        """Return the results so far."""
        return records.read(self.broker.bootstrap_servers, self.output)

    def dead_letters(self) -> list[Record]:
        """Return the dead letters so far."""
        return records.read(self.broker.bootstrap_servers, self.dead)

    def wait_for_results(self, program: JobProcess, count: int = 1) -> None:
        """Wait until a running job has written that many results."""
        while len(self.results()) < count:
            program.must_run()
            time.sleep(0.05)

    def answer_all(
        self,
        spark: SparkSession,
        models: Sequence[ModelSpec | Route],
        limits: Mapping[str, TopicLimits] | None = None,
        processes: int | None = None,
        features: Callable[[], Complete] = no_features,
        **stream: Any,  # noqa: ANN401 - settings
    ) -> dict[str, Any]:
        """Run the query in this process until all messages are answered; return its progress.

        Each model is a route, or a spec, which answers the messages that it matches. Without
        `limits`, ask the broker for the topics' limits, as the job does. `processes` is the number
        of model processes, by default one for each core. `features` is what the workers call if
        entries look features up.
        """
        kafka = KafkaSettings(bootstrap_servers=self.broker.bootstrap_servers)
        settings = StreamSettings(
            **{
                "input_topics": (self.source,),
                "output_topic": self.output,
                "dead_letter_topic": self.dead,
                "group_id": self.source,
                "checkpoint_location": str(self.folder / "checkpoint"),
                "trigger": "available-now",
                **stream,
            }
        )
        delivery = choose(kafka, settings)
        delivery.check_spark(spark)
        limits = limits or preflight.check(kafka, settings)[0]
        run = startup.take_over(delivery, settings.checkpoint_location)
        pool = PoolSettings(processes=processes)
        routes = [each if isinstance(each, Route) else single_routes([each])[0] for each in models]
        query = job.start(
            spark, kafka, settings, routes, run, pool=pool, limits=limits, features=features
        )
        with closing(TopicWatchdog(kafka, settings, run.plan.topic_record())) as topics:
            try:
                with suppress(OSError):  # as the job does: it goes on if its disk is full
                    topics.poll()
                assert query.awaitTermination(480), "the query did not end"
            finally:
                query.stop()
            last = query.lastProgress
            assert last is not None
            topics.record(progress.read(last.json))
        return dict(last)

    def environment(
        self, adapter: str, *, options: object = None, max_seconds: object = 30, **settings: str
    ) -> dict[str, str]:
        """Write models.yaml with one of the tests' models; return the job's environment.

        Name other settings as in the environment: `STREAM__TRIGGER="available-now"`.
        """
        models = self.folder / "models.yaml"
        entry = model_entry(adapter) | {
            "options": options or {},
            "limits": {"seconds": max_seconds},
        }
        models.write_text(yaml.safe_dump({"models": [entry]}))
        named = {
            "KAFKA__BOOTSTRAP_SERVERS": self.broker.bootstrap_servers,
            "STREAM__INPUT_TOPICS": f'["{self.source}"]',
            "STREAM__OUTPUT_TOPIC": self.output,
            "STREAM__DEAD_LETTER_TOPIC": self.dead,
            "STREAM__GROUP_ID": self.source,
            "STREAM__CHECKPOINT_LOCATION": str(self.folder / "checkpoint"),
            "MONITORING__METRICS_PORT": "0",
            "MODELS": str(models),
            "SPARK": json.dumps(quick_spark()),
            **settings,
        }
        return {f"TIDEMILL__{name}": value for name, value in named.items()}

    def program(self, environment: dict[str, str], *command: str) -> JobProcess:
        """Start a command; by default, the job."""
        return JobProcess(self.folder, environment, *(command or ("stream",)))

    def committed(self) -> tuple[int, int]:
        """Return the sums of the group's offsets and of its lag, from Kafka's own tool."""
        done = self.broker.tool(
            GROUP_TOOL,
            *("--bootstrap-server", self.broker.bootstrap_servers),
            *("--describe", "--group", self.source),
        )
        head, *rows = [line.split() for line in done.stdout.splitlines() if line.strip()]
        assert rows, done.stdout + done.stderr
        columns = [dict(zip(head, row, strict=True)) for row in rows]
        return (
            sum(int(row["CURRENT-OFFSET"]) for row in columns),
            sum(int(row["LAG"]) for row in columns),
        )
