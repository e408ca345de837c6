"""Wire the streaming job."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import structlog

from tidemill.bootstrap.observability import Observers
from tidemill.bootstrap.query import run_query
from tidemill.errors import log_fields
from tidemill.inference.route import all_specs
from tidemill.kafka.failures import survey
from tidemill.models import catalogue
from tidemill.spark import session, warmup, worker_pool
from tidemill.streaming import lifecycle, preflight
from tidemill.streaming.delivery import choose

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from pyspark.sql import SparkSession

    from tidemill.settings import KafkaSettings, Settings, StreamSettings

log = structlog.get_logger(__name__)


def check_kafka(kafka: KafkaSettings, options: StreamSettings) -> None:
    """Check the topics and the brokers before Spark starts, which takes long; log warnings.

    Raises:
        KafkaAuthFailed, BrokerUnreachable, InvalidTopics: The job cannot start.

    """
    _, warnings = preflight.check(kafka, options)
    for warning in warnings:
        log.warning(warning)
    if unreachable := survey(kafka):  # the job may do without some of the brokers
        log.warning(unreachable.message, **log_fields(unreachable))


def stream(
    settings: Settings,
    *,
    check: Callable[[KafkaSettings, StreamSettings], None] = check_kafka,
    run_session: Callable[[Settings], AbstractContextManager[SparkSession]] = session.running,
    stop_requests: Callable[[str], Callable[[], str | None]] = lifecycle.stop_requests,
    load_models: Callable[..., None] = warmup.load_models,
    query: Callable[..., bool] = run_query,
) -> None:
    """Run the streaming job until it ends or is asked to stop.

    Raises:
        TidemillError: It cannot start, or its query failed.

    """
    options = settings.stream
    routes = catalogue.load_models(settings.models)
    specs = all_specs(routes)
    observers = Observers(settings, routes)
    delivery = choose(settings.kafka, options)
    with ExitStack() as stack:
        stack.enter_context(observers.serve())  # first, since a job that is starting is alive
        check(settings.kafka, options)
        log.info("starting Spark")
        spark = stack.enter_context(run_session(settings))
        stop_reason = stop_requests(options.checkpoint_location)  # after Spark's own handlers
        log.info("loading the models", count=len(specs), first=[spec.id for spec in specs[:5]])
        pool = worker_pool.sized(settings.pool, spark)
        load_models(spark, specs, pool)
        if reason := stop_reason():
            log.info("stopped before the stream started", reason=reason)
            return
        delivery.check_spark(spark)
        stack.callback(observers.health.ended)
        while not query(
            spark,
            settings,
            routes,
            delivery,
            pool=pool,
            observers=observers,
            stop_reason=stop_reason,
        ):
            if stop_reason():
                break
