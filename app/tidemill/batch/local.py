"""Answer a batch on this machine, without Spark: the models run in a pool of processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.batch.answer import Work, answer
from tidemill.inference.features import without_store
from tidemill.inference.predictor import Predictor
from tidemill.inference.route import all_specs
from tidemill.models.pool.engine import pooled_engine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.batch.meter import Meter
    from tidemill.inference.features import Complete
    from tidemill.inference.route import Route
    from tidemill.settings.pool import PoolSettings


def run_locally(
    routes: Sequence[Route],
    pool: PoolSettings,
    work: Work,
    splits: Sequence[int],
    meter: Meter,
    *,
    complete: Complete = without_store,
) -> None:
    """Answer splits one after another; models that are preloaded must work before the first row.

    `complete` completes the inputs.

    Raises:
        ModelUnavailable, ModelMisconfigured, ModelLoadFailed: A model is down.

    """
    engine = pooled_engine(all_specs(routes), pool, complete)
    answered = answer(
        work,
        splits,
        Predictor(routes, engine),
        on_block=lambda block, dead: meter.add(len(block.messages), block.size, dead),
    )
    for _ in answered:
        pass
