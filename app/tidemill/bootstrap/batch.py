"""Wire a batch over files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.batch import files
from tidemill.batch.output import check_output
from tidemill.batch.source import find_source
from tidemill.inference.route import all_specs
from tidemill.models import catalogue
from tidemill.spark import session, warmup, worker_pool

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from pyspark.sql import SparkSession

    from tidemill.settings import Settings


def batch(
    settings: Settings,
    source: str,
    target: str,
    show: Callable[..., None],
    *,
    run_session: Callable[[Settings], AbstractContextManager[SparkSession]] = session.running,
    load_models: Callable[..., None] = warmup.load_models,
    run: Callable[..., files.Counts] = files.run,
) -> files.Counts:
    """Process every message of a file or folder; `show` displays each step.

    Raises:
        TidemillError: The input cannot be read, the output exists, or a model does not work.

    """
    routes = catalogue.load_models(settings.models)
    find_source(source)  # before Spark, which takes long to start
    check_output(source, target)
    show("starting Spark")
    with run_session(settings) as spark:
        show("loading the models")
        pool = worker_pool.sized(settings.pool, spark)
        load_models(spark, all_specs(routes), pool)
        return run(spark, routes, source, target, pool=pool, show=show)
