"""The one wiring place: settings in, a running whole out."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import KafkaException
from prometheus_client import CollectorRegistry
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException, StreamingQueryException

from tidemill.batch import files
from tidemill.batch.source import check_output, find
from tidemill.errors import CheckpointUnsupported, TopicDeleted
from tidemill.kafka.connect import survey
from tidemill.kafka.group_commit import GroupCommitter
from tidemill.kafka.lag_reader import LagReader
from tidemill.models import catalogue
from tidemill.monitoring.health import Health
from tidemill.monitoring.metrics import JobMetrics
from tidemill.monitoring.pushgateway import PushgatewayExporter
from tidemill.monitoring.server import metrics_server
from tidemill.monitoring.spark_metrics import SparkMetrics
from tidemill.monitoring.summary import Summary
from tidemill.periodic import PeriodicTask
from tidemill.spark import session, warmup
from tidemill.spark.failures import translate
from tidemill.spark.filesystem import UNREADABLE
from tidemill.streaming import job, lifecycle, preflight, progress, startup
from tidemill.streaming.checkpoint.stop_marker import StopMarker
from tidemill.streaming.listener import ProgressListener
from tidemill.streaming.offsets_reporter import KafkaOffsetsReporter
from tidemill.streaming.sink import QUERY_NAME
from tidemill.streaming.topic_watchdog import TopicWatchdog
from tidemill.streaming.watchdog import Guard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pyspark.sql import SparkSession
    from pyspark.sql.streaming import StreamingQuery

    from tidemill.inference.model import ModelSpec
    from tidemill.settings import KafkaSettings, Settings, StreamSettings
    from tidemill.streaming.progress import Progress
    from tidemill.streaming.startup import Start

log = structlog.get_logger(__name__)

LAG_INTERVAL_S = 15.0
LOOK_INTERVAL_S = 2.0


def stream(settings: Settings) -> None:
    """Run the streaming job until it ends or is asked to stop.

    Raises:
        TidemillError: It cannot start, or its query failed.

    """
    specs = catalogue.read(settings.models)
    monitoring = settings.monitoring
    # Spark tells of progress, or of having nothing to do, at a trigger only.
    health = Health(monitoring.progress_limit + settings.stream.trigger_seconds)
    metrics = JobMetrics(settings.stream.group_id, specs, lambda: health.not_ready() is None)
    registry = CollectorRegistry()
    registry.register(metrics)
    with ExitStack() as running:
        if monitoring.metrics_port is not None:  # from the start: what starts is alive
            where = monitoring.metrics_host, monitoring.metrics_port
            address = running.enter_context(
                metrics_server(*where, registry, health, settings.stream.group_id)
            )
            log.info("metrics and probes served", address=address)
        _, warnings = preflight.check(settings.kafka, settings.stream)
        for warning in warnings:
            log.warning(warning)
        if astray := survey(settings.kafka):  # some of the brokers: the job may do without them
            log.warning(str(astray))
        log.info("starting Spark")
        spark = running.enter_context(session.running(settings))
        _run(spark, settings, specs, health, metrics)


def _run(
    spark: SparkSession,
    settings: Settings,
    specs: Sequence[ModelSpec],
    health: Health,
    metrics: JobMetrics,
) -> None:
    options = settings.stream
    by_signal = lifecycle.stop_on_signals()
    by_marker = _marker(options.checkpoint_location)
    log.info("loading the models", models=[spec.id for spec in specs])
    warmup.load_models(spark, specs, job.loader(options))
    summary = Summary()

    def asked() -> bool:
        return by_signal() or by_marker()

    if asked():
        log.info("asked to stop before the stream started")
        return
    job.check(spark, options)
    try:
        while not _answer(
            spark, settings, specs, health=health, metrics=metrics, summary=summary, asked=asked
        ):
            if asked():
                break
    finally:
        health.ended()


def _answer(
    spark: SparkSession,
    settings: Settings,
    specs: Sequence[ModelSpec],
    *,
    health: Health,
    metrics: JobMetrics,
    summary: Summary,
    asked: Callable[[], bool],
) -> bool:
    """Run the query; return whether it has ended for good.

    If a topic was deleted it has not: Spark's query ends, and the next one goes on without it.
    """
    kafka, options = settings.kafka, settings.stream
    limits, _ = preflight.check(kafka, options)  # again: loading the models took its time
    begin = startup.take_over(kafka, options)
    with ExitStack() as watching:
        commit, is_ours = watching.enter_context(_offsets(kafka, options, begin))
        watching.enter_context(warmup.keep_warm(spark))
        for watcher in _watchers(spark, settings, metrics):
            watching.enter_context(watcher)
        topics = TopicWatchdog(kafka, options, begin.topics)

        def record(report: Progress) -> None:
            for take in (topics.record, commit, metrics.record, summary.record):
                take(report)
            health.progressed()

        def idle() -> None:
            for note in (metrics.idle, summary.say, health.progressed):
                note()

        listener = ProgressListener(QUERY_NAME, record, idle)
        spark.streams.addListener(listener)
        watching.callback(spark.streams.removeListener, listener)
        query = job.start(spark, kafka, options, specs, begin, limits=limits)
        watching.enter_context(
            PeriodicTask(
                LOOK_INTERVAL_S, topics.poll, what="watch the input topics", last=topics.close
            )
        )
        watching.callback(_stop, query)  # it ends before its watchers do
        log.info(
            "stream started",
            input=options.input_pattern or list(options.input_topics),
            output=options.output_topic,
            dead_letters=options.dead_letter_topic,
            group=options.group_id,
            checkpoint=options.checkpoint_location,
            delivery=options.delivery,
        )

        def pulse() -> None:
            health.beat()
            is_ours()
            topics.watch()

        try:
            was_asked = lifecycle.run(query, asked, options.stop_timeout, pulse)
        except StreamingQueryException as error:
            # A topic may have come back since the last poll. What ended the query counts more.
            with suppress(KafkaException, *UNREADABLE):
                topics.poll()
            topics.watch()
            deleted = isinstance(translate(error, options.checkpoint_location), TopicDeleted)
            if not (deleted and query.lastProgress):
                raise
            log.warning("a topic was deleted, starting the query anew")
            topics.record(progress.read(query.lastProgress.json))
            return False
        if query.lastProgress:  # the listener may not have heard of it yet
            last = progress.read(query.lastProgress.json)
            topics.record(last)
            commit(last)
        summary.say()
        log.info("stream stopped", asked=was_asked)
    return True


def _stop(query: StreamingQuery) -> None:
    """Stop a query that is not to write any more; one that has ended stays as it is."""
    with suppress(PySparkException, Py4JError, OSError):  # Java may be gone
        query.stop()


@contextmanager
def _offsets(
    kafka: KafkaSettings, stream: StreamSettings, begin: Start
) -> Iterator[tuple[Callable[[Progress], None], Callable[[], None]]]:
    """Look after the group's offsets: yield what takes progress, and what raises if they are lost.

    With exactly-once they are committed with the outcomes, and only watched here.
    """
    if begin.deliver:
        guard = Guard(kafka, begin.deliver)
        with PeriodicTask(LOOK_INTERVAL_S, guard.look, what="watch the group", last=guard.close):
            yield lambda _: None, guard.watch
        return
    committer = GroupCommitter(kafka, stream.group_id)
    reporter = KafkaOffsetsReporter(committer, committer.close).start()
    if begin.finished.offsets:
        reporter.record(begin.finished)  # the last run may have ended before it could
    try:
        yield reporter.record, lambda: None
    finally:
        reporter.close()


def _watchers(
    spark: SparkSession, settings: Settings, metrics: JobMetrics
) -> Iterator[PeriodicTask | PushgatewayExporter]:
    """Yield the threads that look at the lag, and push metrics; they are to be entered."""
    reader = LagReader(settings.kafka, settings.stream)

    def look() -> None:
        lag = None  # rather none than an old one
        try:
            lag = reader.look(time.time(), ages=False)
        finally:
            metrics.set_lag(lag)

    yield PeriodicTask(LAG_INTERVAL_S, look, what="read the lag", last=reader.close)
    if settings.monitoring.pushgateway_url:
        context = spark.sparkContext
        namespace = context.getConf().get("spark.metrics.namespace", context.applicationId)
        name = f"tidemill-{settings.stream.group_id}"
        yield PushgatewayExporter(
            settings.monitoring, name, metrics, SparkMetrics(context.uiWebUrl, name, str(namespace))
        )


def _marker(checkpoint_location: str) -> Callable[[], bool]:
    """Return what tells, and acknowledges, that `tidemill stop` asks for an end."""
    try:
        marker = StopMarker.for_checkpoint(checkpoint_location)
    except CheckpointUnsupported as error:
        log.warning("no stop marker can lie beside the checkpoint", error=str(error))
        return lambda: False
    marker.consume()  # one from before this start asks for nothing any more
    return marker.consume


def batch(settings: Settings, source: str, target: str, show: Callable[..., None]) -> files.Counts:
    """Answer every message of a file or folder; `show` shows each step.

    Raises:
        TidemillError: The input cannot be read, the output is there already, a model is broken.

    """
    specs = catalogue.read(settings.models)
    find(source)  # here too, as Spark takes long to start
    check_output(source, target)
    show("starting Spark")
    with session.running(settings) as spark:
        show("loading the models")
        warmup.load_models(spark, specs, catalogue.load)
        return files.run(spark, specs, source, target, show=show)
