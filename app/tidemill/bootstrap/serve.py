"""Wire the server."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
import uvloop

from tidemill import extras
from tidemill.bootstrap.features import opened
from tidemill.bootstrap.serve_tasks import long_tasks, served_jobs, shown_tasks, worker_thread
from tidemill.errors import NothingToServe, PoolUnavailable
from tidemill.inference.route import all_specs
from tidemill.models import catalogue, machine
from tidemill.models.pool import runner
from tidemill.models.pool.loading import preloaded
from tidemill.serving import server
from tidemill.serving.access import Access
from tidemill.serving.access_log import AccessLog
from tidemill.serving.batcher import Batcher, Policy
from tidemill.serving.catalogue import Catalogue
from tidemill.serving.features import Completer
from tidemill.serving.metrics import ServingMetrics
from tidemill.serving.models import Models
from tidemill.serving.parts import Parts
from tidemill.serving.service import Service
from tidemill.serving.table_metrics import TableMetrics
from tidemill.serving.tables import Tables
from tidemill.serving.tracing import Tracing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidemill.inference.features import Complete
    from tidemill.inference.model import ModelSpec
    from tidemill.inference.route import Route
    from tidemill.models.pool.client import PooledRunner
    from tidemill.serving.request_log import RequestLog
    from tidemill.settings import ServeProgram
    from tidemill.settings.pool import PoolSettings
    from tidemill.tasks.job import Job

log = structlog.get_logger(__name__)


def serve(settings: ServeProgram) -> None:
    """Answer requests until SIGTERM or Ctrl-C.

    Raises:
        TidemillError: The server cannot start.

    """
    routes = served_routes(settings)
    jobs = served_jobs(settings)
    with opened(settings.store, all_specs(routes)) as complete:
        _serve(settings, routes, jobs, complete)


def served_routes(settings: ServeProgram) -> Sequence[Route]:
    """Return the routes of the models file, which need not exist unless the settings name it.

    Raises:
        SettingsFileUnreadable, InvalidModels: The file cannot be read, or is wrong.
        NothingToServe: There are neither models nor tables nor jobs.

    """
    is_absent = "models" not in settings.model_fields_set and not settings.models.exists()
    routes = () if is_absent else catalogue.load_models(settings.models, may_be_empty=True)
    if not (routes or settings.serving.tables or settings.tasks.jobs):
        raise NothingToServe(settings.models.absolute())
    return routes


def _serve(
    settings: ServeProgram, routes: Sequence[Route], jobs: Mapping[str, Job], complete: Complete
) -> None:
    options = settings.serving
    specs = all_specs(routes)
    processes = settings.pool.processes or machine.cores()
    # A batch is one slice: the batcher has decided what runs together.
    size = {"min_slice": options.max_batch_size, "max_slice": options.max_batch_size}
    pool = settings.pool.model_copy(update=size | {"processes": processes})
    tracing = Tracing(options)
    everything = Catalogue(routes, options.tables, jobs=jobs)
    access = Access(everything, options.tokens)
    first = preloaded(specs, pool)
    log.info("loading the models", count=len(specs), first=[spec.id for spec in specs[:5]])
    models = Models(partial(start_pool, specs, pool), processes)
    metrics = ServingMetrics()
    policy = Policy(
        options.max_batch_size, options.max_wait_ms / 1000, options.adaptive, options.max_queue
    )
    batcher = Batcher(models.run, processes, policy, on_start=metrics.batch_started)
    metrics.show_queues(specs, batcher.waiting)
    logged = request_log(settings, routes, metrics)

    def answered(*request_and_answers: Any) -> None:  # noqa: ANN401 - of Service.predict
        metrics.answered(request_and_answers[-1])
        if logged:
            logged.write(*request_and_answers)

    completer = Completer(complete, metrics.features_seconds.observe)
    service = Service(batcher, options, complete=completer, on_answers=answered)
    tables = store_tables(settings, everything, metrics)
    tasks, worker = long_tasks(settings, jobs), worker_thread(settings, jobs)
    parts = Parts(
        options, access, service, models, metrics, AccessLog(), tracing, tables, tasks, worker
    )

    stores = [each for each in (tables, tasks) if each]

    async def start() -> None:
        if tables:
            await asyncio.gather(tables.keep_refreshing(), models.try_all(first))
        else:
            await models.try_all(first)

    try:
        with (
            shown_tasks(tasks, metrics.registry),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop,
        ):
            loop.run(server.serve(parts, start))
    finally:
        models.close()
        for calls in stores:
            calls.close()
        completer.close()
        tracing.close()
        if logged:
            logged.close()
    if waits := any(each.is_busy for each in stores):
        log.warning("the store does not answer, and nobody waits for it any more")
    if models.is_busy:
        log.warning("model processes are still busy, and end now")
    if models.is_busy or waits or (worker and worker.is_busy):
        os._exit(os.EX_OK)  # else Python would wait for them; the pool ends with this process


def store_tables(
    settings: ServeProgram, everything: Catalogue, metrics: ServingMetrics
) -> Tables | None:
    """Return what looks keys up, if the settings name tables.

    Raises:
        MissingExtra: The extra `store` is not installed.
        InvalidStoreUrl: There can be no store at the URL.

    """
    if not settings.serving.tables:
        return None
    with extras.required():
        from tidemill.bootstrap.store import open_store  # noqa: PLC0415 - an extra
    return Tables(
        open_store(settings.store),
        everything,
        TableMetrics(metrics.registry),
        max_waiting=max(1, settings.serving.max_requests // 2),
    )


def request_log(
    settings: ServeProgram, routes: Sequence[Route], metrics: ServingMetrics
) -> RequestLog | None:
    """Return what writes requests and answers to Kafka, if the settings name a topic.

    Raises:
        MissingExtra: The extra `kafka` is not installed.

    """
    if settings.serving.request_topic is None:
        return None
    with extras.required():
        from tidemill.serving.request_log import RequestLog  # noqa: PLC0415 - an extra
    if unread := [route.name for route in routes if route.match is None]:
        hint = "Give these entries a `match`, or name their parameters' fields in `endpoints`."
        log.warning("no stream can read the requests of some models", models=unread[:5], hint=hint)
    return RequestLog(settings.kafka, settings.serving, metrics.unlogged.inc)


def start_pool(specs: Sequence[ModelSpec], pool: PoolSettings) -> PooledRunner:
    """Start the pool, which loads models, and return what runs them.

    Raises:
        PoolUnavailable: It cannot be started.

    """
    try:
        return runner.start(specs, pool, os.getpid())
    except (OSError, AttributeError) as error:
        raise PoolUnavailable(error) from None
