"""Run the query once, with all that watches it."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import KafkaException
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException, StreamingQueryException

from tidemill.bootstrap.features import on_workers
from tidemill.errors import TopicDeleted
from tidemill.inference.route import all_specs
from tidemill.periodic import PeriodicTask
from tidemill.spark import warmup
from tidemill.spark.failures import translate
from tidemill.spark.filesystem import UNREADABLE
from tidemill.streaming import job, lifecycle, preflight, progress, startup
from tidemill.streaming.listener import ProgressListener
from tidemill.streaming.sink import QUERY_NAME
from tidemill.streaming.topic_watchdog import TopicWatchdog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyspark.sql import SparkSession
    from pyspark.sql.streaming import StreamingQuery

    from tidemill.bootstrap.observability import Observers
    from tidemill.inference.route import Route
    from tidemill.kafka.record_size import TopicLimits
    from tidemill.settings import PoolSettings, Settings
    from tidemill.streaming.delivery import Delivery
    from tidemill.streaming.progress import Progress

log = structlog.get_logger(__name__)

POLL_INTERVAL_S = 2.0


def run_query(
    spark: SparkSession,
    settings: Settings,
    routes: Sequence[Route],
    delivery: Delivery,
    *,
    pool: PoolSettings,
    observers: Observers,
    stop_reason: Callable[[], str | None],
    check_topics: Callable[..., tuple[dict[str, TopicLimits], list[str]]] = preflight.check,
    watch_topics: Callable[..., TopicWatchdog] = TopicWatchdog,
    start: Callable[..., StreamingQuery] = job.start,
    wait: Callable[..., str | None] = lifecycle.run,
) -> bool:
    """Run the query; return False if a topic was deleted, so that the query must start again.

    Raises:
        TidemillError: The query cannot start, or must stop.
        StreamingQueryException: The query failed.

    """
    kafka, options = settings.kafka, settings.stream
    features = on_workers(settings.store, all_specs(routes))
    limits, _ = check_topics(kafka, options)  # again, because loading the models takes time
    run = startup.take_over(delivery, options.checkpoint_location)
    with ExitStack() as stack:
        group = stack.enter_context(run.track_offsets())
        stack.enter_context(warmup.keep_warm(spark))
        usage = stack.enter_context(observers.export(spark))
        topics = watch_topics(kafka, options, run.plan.topic_record())

        def on_progress(report: Progress) -> None:
            topics.record(report)
            group.record(report)
            observers.record(report)

        listener = ProgressListener(QUERY_NAME, on_progress, observers.idle)
        spark.streams.addListener(listener)
        stack.callback(spark.streams.removeListener, listener)
        query = start(
            spark,
            kafka,
            options,
            routes,
            run,
            pool=pool,
            limits=limits,
            usage=usage,
            features=features,
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
            observers.health.heartbeat()
            group.check()
            topics.check()

        try:
            reason = wait(query, stop_reason, options.stop_timeout, on_poll)
        except StreamingQueryException as error:
            if not _lost_a_topic(query, error, topics, options.checkpoint_location):
                raise
            log.warning("a topic was deleted; restarting the query without it")
            return False
        if query.lastProgress:  # the listener may not have received the last report yet
            last = progress.read(query.lastProgress.json)
            topics.record(last)
            group.record(last)
        observers.flush()
        log.info("stream stopped", reason=reason or "query ended")
    return True


def _lost_a_topic(
    query: StreamingQuery, error: StreamingQueryException, topics: TopicWatchdog, checkpoint: str
) -> bool:
    """Tell whether a query that has made progress ended because a topic was deleted.

    Raises:
        TopicRecreated: A topic was recreated since the last poll, which is the root cause.

    """
    with suppress(KafkaException, *UNREADABLE):  # the error that ended the query matters more
        topics.poll()
    topics.check()
    if not (isinstance(translate(error, checkpoint), TopicDeleted) and query.lastProgress):
        return False
    topics.record(progress.read(query.lastProgress.json))
    return True


def _stop(query: StreamingQuery) -> None:
    """Stop a query that must not write any more; do nothing if it has ended."""
    with suppress(PySparkException, Py4JError, OSError):  # the JVM may be gone
        query.stop()
