"""Wire a batch over files, tables or topics."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, TypeAlias

import structlog

from tidemill.batch import run as batches
from tidemill.batch.local import run_locally
from tidemill.batch.plan import KAFKA
from tidemill.batch.run import PART_ROWS
from tidemill.bootstrap.features import on_workers, opened
from tidemill.bootstrap.places import Bounds, order_of, place
from tidemill.inference.route import all_specs
from tidemill.models import catalogue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidemill.batch.answer import Work
    from tidemill.batch.meter import Meter
    from tidemill.batch.run import Engine
    from tidemill.batch.summary import Summary
    from tidemill.inference.route import Route
    from tidemill.settings import Settings

log = structlog.get_logger(__name__)

EngineName: TypeAlias = Literal["auto", "local", "spark"]
# From this size of the input on, `auto` chooses Spark if it is installed.
SPARK_BYTES = 256 * 1024 * 1024
EVERYTHING = Bounds()


def batch(
    settings: Settings,
    source: str,
    target: str,
    show: Callable[..., None],
    *,
    engine: EngineName = "auto",
    part_rows: int = PART_ROWS,
    bounds: Bounds = EVERYTHING,
) -> Summary:
    """Answer every message of an input, or of a range of a topic; `show` displays each step.

    Raises:
        TidemillError: The input cannot be read, the output exists, or a model does not work.

    """
    routes = catalogue.load_models(settings.models)
    given = place(source)
    places = given, place(target, "jsonl" if given.format == KAFKA else given.format)
    order, formats = order_of(settings, routes, places, bounds, part_rows=part_rows)
    return batches.run(order, formats, engines(settings, routes, engine, show), show=show)


def engines(
    settings: Settings, routes: Sequence[Route], wanted: EngineName, show: Callable[..., None]
) -> Callable[[int], tuple[str, Engine]]:
    """Return what chooses the engine for an input of so many bytes."""

    def locally(work: Work, splits: Sequence[int], meter: Meter) -> None:
        show("loading the models")
        with opened(settings.store, all_specs(routes)) as complete:
            run_locally(routes, settings.pool, work, splits, meter, complete=complete)

    def on_spark(work: Work, splits: Sequence[int], meter: Meter) -> None:
        from tidemill.batch.on_spark import run_on_spark  # noqa: PLC0415 - Spark, only now
        from tidemill.spark import session  # noqa: PLC0415

        features = on_workers(settings.store, all_specs(routes))
        show("starting Spark")
        with session.running(settings) as spark:
            show("loading the models")
            run_on_spark((spark, routes, settings.pool), work, splits, meter, features)

    def choose(size: int) -> tuple[str, Engine]:
        is_large = size >= SPARK_BYTES and find_spec("pyspark") is not None
        if wanted == "spark" or (wanted == "auto" and is_large):
            return "spark", on_spark
        return "local", locally

    return choose
