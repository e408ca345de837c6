"""Wire everything together: the only module that takes the whole settings object."""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import KafkaException
from prometheus_client import CollectorRegistry
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException, StreamingQueryException

from tidemill.batch import files
from tidemill.batch.output import check_output
from tidemill.batch.source import find_source
from tidemill.errors import CheckpointUnsupported, TopicDeleted, log_fields
from tidemill.kafka.connect import survey
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
from tidemill.streaming.delivery import choose
from tidemill.streaming.listener import ProgressListener
from tidemill.streaming.sink import QUERY_NAME
from tidemill.streaming.topic_watchdog import TopicWatchdog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pyspark.sql import SparkSession
    from pyspark.sql.streaming import StreamingQuery

    from tidemill.inference.model import ModelSpec
    from tidemill.settings import Settings
    from tidemill.streaming.delivery import Delivery
    from tidemill.streaming.progress import Progress

log = structlog.get_logger(__name__)

LAG_INTERVAL_S = 15.0
POLL_INTERVAL_S = 2.0


def stream(settings: Settings) -> None:
    """Run the streaming job until it ends or is asked to stop.

    Raises:
        TidemillError: It cannot start, or its query failed.

    """
    specs = catalogue.load_models(settings.models)
    monitoring = settings.monitoring
    # Spark reports progress, or that the query is idle, once per trigger interval at most.
    health = Health(monitoring.progress_limit + settings.stream.trigger_seconds)
    metrics = JobMetrics(
        settings.stream.group_id, specs, lambda: health.readiness_problem() is None
    )
    registry = CollectorRegistry()
    registry.register(metrics)
    with ExitStack() as stack:
        if monitoring.metrics_port is not None:  # first, since a job that is starting is alive
            host, port = monitoring.metrics_host, monitoring.metrics_port
            address = stack.enter_context(
                metrics_server(host, port, registry, health, settings.stream.group_id)
            )
            log.info("serving metrics and probes", address=address)
        _, warnings = preflight.check(settings.kafka, settings.stream)
        for warning in warnings:
            log.warning(warning)
        if unreachable := survey(settings.kafka):  # the job may do without some of the brokers
            log.warning(unreachable.message, **log_fields(unreachable))
        log.info("starting Spark")
        spark = stack.enter_context(session.running(settings))
        _run(spark, settings, specs, health, metrics)


def _run(
    spark: SparkSession,
    settings: Settings,
    specs: Sequence[ModelSpec],
    health: Health,
    metrics: JobMetrics,
) -> None:
    options = settings.stream
    delivery = choose(settings.kafka, options)
    stopped_by_signal = lifecycle.stop_on_signals()
    stopped_by_marker = _stop_marker(options.checkpoint_location)
    log.info("loading the models", models=[spec.id for spec in specs])
    warmup.load_models(spark, specs, job.loader(delivery))
    summary = Summary()

    def stop_reason() -> str | None:
        if stopped_by_signal():
            return "signal"
        return "stop marker" if stopped_by_marker() else None

    if reason := stop_reason():
        log.info("stopped before the stream started", reason=reason)
        return
    delivery.check_spark(spark)
    try:
        while not _run_query(
            spark,
            settings,
            specs,
            delivery,
            health=health,
            metrics=metrics,
            summary=summary,
            stop_reason=stop_reason,
        ):
            if stop_reason():
                break
    finally:
        health.ended()


def _run_query(
    spark: SparkSession,
    settings: Settings,
    specs: Sequence[ModelSpec],
    delivery: Delivery,
    *,
    health: Health,
    metrics: JobMetrics,
    summary: Summary,
    stop_reason: Callable[[], str | None],
) -> bool:
    """Run the query; return False if a topic was deleted, so that the query must start again."""
    kafka, options = settings.kafka, settings.stream
    limits, _ = preflight.check(kafka, options)  # again, because loading the models takes time
    run = startup.take_over(delivery, options.checkpoint_location)
    with ExitStack() as stack:
        group = stack.enter_context(run.track_offsets())
        stack.enter_context(warmup.keep_warm(spark))
        for exporter in _exporters(spark, settings, metrics):
            stack.enter_context(exporter)
        topics = TopicWatchdog(kafka, options, run.plan.topic_record())

        def on_progress(report: Progress) -> None:
            for record in (topics.record, group.record, metrics.record, summary.record):
                record(report)
            health.progressed()

        def on_idle() -> None:
            for handle in (metrics.idle, summary.flush, health.progressed):
                handle()

        listener = ProgressListener(QUERY_NAME, on_progress, on_idle)
        spark.streams.addListener(listener)
        stack.callback(spark.streams.removeListener, listener)
        query = job.start(
            spark, kafka, options, specs, run, load=job.loader(delivery), limits=limits
        )
        stack.enter_context(
            PeriodicTask(
                POLL_INTERVAL_S,
                topics.poll,
                description="watch the input topics",
                on_close=topics.close,
            )
        )
        stack.callback(_stop, query)  # stop the query before its watchdogs
        log.info(
            "stream started",
            input=options.input_pattern or list(options.input_topics),
            output=options.output_topic,
            dead_letters=options.dead_letter_topic,
            group=options.group_id,
            checkpoint=options.checkpoint_location,
            delivery=options.delivery,
        )

        def on_poll() -> None:
            health.heartbeat()
            group.check()
            topics.check()

        try:
            reason = lifecycle.run(query, stop_reason, options.stop_timeout, on_poll)
        except StreamingQueryException as error:
            # A topic may have been recreated since the last poll, which would be the root cause.
            # If the poll fails too, the error that ended the query matters more.
            with suppress(KafkaException, *UNREADABLE):
                topics.poll()
            topics.check()
            deleted = isinstance(translate(error, options.checkpoint_location), TopicDeleted)
            if not (deleted and query.lastProgress):
                raise
            log.warning("a topic was deleted; restarting the query without it")
            topics.record(progress.read(query.lastProgress.json))
            return False
        if query.lastProgress:  # the listener may not have received the last report yet
            last = progress.read(query.lastProgress.json)
            topics.record(last)
            group.record(last)
        summary.flush()
        log.info("stream stopped", reason=reason or "query ended")
    return True


def _stop(query: StreamingQuery) -> None:
    """Stop a query that must not write any more; do nothing if it has ended."""
    with suppress(PySparkException, Py4JError, OSError):  # the JVM may be gone
        query.stop()


def _exporters(
    spark: SparkSession, settings: Settings, metrics: JobMetrics
) -> Iterator[PeriodicTask | PushgatewayExporter]:
    """Yield context managers for the background lag poller and the Pushgateway exporter."""
    reader = LagReader(settings.kafka, settings.stream)

    def read_lag() -> None:
        lag = None  # report no lag rather than an outdated one
        try:
            lag = reader.read(time.time(), ages=False)
        finally:
            metrics.set_lag(lag)

    yield PeriodicTask(LAG_INTERVAL_S, read_lag, description="read the lag", on_close=reader.close)
    if settings.monitoring.pushgateway_url:
        context = spark.sparkContext
        namespace = context.getConf().get("spark.metrics.namespace", context.applicationId)
        name = f"tidemill-{settings.stream.group_id}"
        yield PushgatewayExporter(
            settings.monitoring, name, metrics, SparkMetrics(context.uiWebUrl, name, str(namespace))
        )


def _stop_marker(checkpoint_location: str) -> Callable[[], bool]:
    """Return a function that tells whether `tidemill stop` asked the job to stop."""
    try:
        marker = StopMarker.for_checkpoint(checkpoint_location)
    except CheckpointUnsupported as error:
        log.warning("`tidemill stop` cannot stop this job", error=error.message, hint=error.hint)
        return lambda: False
    marker.consume()  # ignore a marker from before this start
    return marker.consume


def batch(settings: Settings, source: str, target: str, show: Callable[..., None]) -> files.Counts:
    """Process every message of a file or folder; `show` displays each step.

    Raises:
        TidemillError: The input cannot be read, the output exists, or a model does not work.

    """
    specs = catalogue.load_models(settings.models)
    find_source(source)  # before Spark, which takes long to start
    check_output(source, target)
    show("starting Spark")
    with session.running(settings) as spark:
        show("loading the models")
        warmup.load_models(spark, specs, catalogue.load)
        return files.run(spark, specs, source, target, show=show)
