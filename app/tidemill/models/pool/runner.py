"""Choose what runs the models: the pool, or a child process if there can be no pool."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from tidemill.models import machine
from tidemill.models.isolation.supervised import SupervisedRunner
from tidemill.models.pool.client import PooledRunner
from tidemill.models.pool.loading import preloaded
from tidemill.models.pool.slices import Slicer
from tidemill.models.pool.start import PoolAddress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.inference.engine import Runner
    from tidemill.inference.model import ModelSpec
    from tidemill.settings.pool import PoolSettings

# Workers configure no logging, so the standard library's default prints it to standard error.
log = logging.getLogger(__name__)

# Seconds until a process tries again to make a pool.
RETRY_S = 60.0

_runners: dict[tuple[int, str, str], PooledRunner] = {}
_fallback = SupervisedRunner()
_last_failure = -RETRY_S
# The last tuple of entries, and its text, which takes 14 ms for 10,000 entries.
_last_text: tuple[tuple[ModelSpec, ...], str] = (), "()"


def runner(specs: Sequence[ModelSpec], settings: PoolSettings, owner: int) -> Runner:
    """Return what runs the models of some entries.

    The pool is shared with all processes that give the same arguments; it ends when the process
    `owner` ends. If there can be none, this process has a child process for its models, and tries
    again after a minute.
    """
    global _last_failure  # noqa: PLW0603 - one for each process
    key = owner, _text(specs), repr(settings)
    if key not in _runners and time.monotonic() - _last_failure >= RETRY_S:
        try:
            _runners[key] = start(specs, settings, owner)
        except (OSError, AttributeError) as error:  # also a system without pidfds
            _last_failure = time.monotonic()
            log.warning("no pool of model processes, so each worker has one of its own: %s", error)
    return _runners.get(key, _fallback)


def _text(specs: Sequence[ModelSpec]) -> str:
    """Return a text that stands for some entries; tasks that pass the same tuple share it."""
    global _last_text  # noqa: PLW0603 - one for each process
    entries = tuple(specs)  # of a tuple, the same one
    last, text = _last_text
    if entries is not last:
        text = repr(entries)
        _last_text = entries, text
    return text


def start(specs: Sequence[ModelSpec], settings: PoolSettings, owner: int) -> PooledRunner:
    """Start the pool of some entries, unless it is there, and return what runs models in it.

    Without entries it has nothing to do, and is not started.

    Raises:
        OSError, AttributeError: It cannot be started, or the system has no pidfds.

    """
    processes = settings.processes or machine.cores()
    address = PoolAddress(
        specs,
        processes,
        owner,
        preloaded=preloaded(specs, settings),
        memory=settings.model_memory or machine.model_memory(),
    )
    if specs:
        address.start()
    return PooledRunner(address, Slicer(settings, processes), processes)
