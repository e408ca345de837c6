"""Load a model and run it on its sample, as before a start."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from tidemill.errors import TidemillError
from tidemill.inference.batch import probe
from tidemill.models import host
from tidemill.models.isolation import procfs

if TYPE_CHECKING:
    from tidemill.inference.model import ModelSpec

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Trial:
    """A model that works.

    Attributes:
        output: The model's output for its sample.
        load_seconds: How long the model took to load.
        sample_seconds: How long the sample took.
        memory: The bytes that the process grew by, with the libraries that only this model needs.
            0 if the system does not tell.

    """

    output: str
    load_seconds: float
    sample_seconds: float
    memory: int


def try_model(spec: ModelSpec) -> Trial:
    """Load a model and run it on its sample.

    Raises:
        ModelUnavailable, ModelMisconfigured, ModelLoadFailed, SampleMissing: It does not work.

    """
    try:
        before, start = procfs.anonymous_bytes(), time.perf_counter()
        model = host.load(spec)
        loaded = time.perf_counter()
        output = probe(spec, model)
        finished = time.perf_counter()
    except TidemillError as error:
        log.debug("the model's traceback", model=spec.id, exc_info=error)
        raise
    grown = max(0, procfs.anonymous_bytes() - before)
    return Trial(output, loaded - start, finished - loaded, grown)
