"""Make an engine of a pool of model processes that ends with this process."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from tidemill.errors import TidemillError
from tidemill.inference.engine import Engine
from tidemill.inference.features import without_store
from tidemill.inference.request import Request
from tidemill.models.pool.loading import preloaded
from tidemill.models.pool.runner import runner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.inference.features import Complete
    from tidemill.inference.model import ModelSpec
    from tidemill.settings.pool import PoolSettings


def pooled_engine(
    specs: Sequence[ModelSpec], pool: PoolSettings, complete: Complete = without_store
) -> Engine:
    """Return an engine; models that are preloaded must work. `complete` completes the inputs.

    Raises:
        ModelUnavailable, ModelMisconfigured, ModelLoadFailed: A model is down.

    """
    engine = Engine(runner(specs, pool, os.getpid()), clock=time.time, complete=complete)
    for output in engine.run([Request(spec, None) for spec in preloaded(specs, pool)]):
        if isinstance(output.result, TidemillError):
            raise output.result
    return engine
