"""Decide where a model runs; nothing else does.

- In this process, if nothing speaks against it.
- In a fork of it, if this process will start threads, which would make the model slower. A process
  that has threads already cannot be forked.
- In a supervised child process, if the work may have crashed or hung a process before.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from tidemill.models import host
from tidemill.models.isolation import procfs, supervised
from tidemill.models.isolation.fork import ForkedModel, ModelFork

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidemill.inference.model import Model, ModelLoader, ModelSpec


def loader(*, starts_threads: bool = False) -> ModelLoader:
    """Return the function that loads a model for this process; it can be sent to another process.

    It raises ModelMisconfigured and ModelLoadFailed as `host.load` does.
    """
    return _load_beside_threads if starts_threads else host.load


@contextmanager
def retry_loader(
    load: ModelLoader, *, is_retry: bool, call_timeout: float | None
) -> Iterator[ModelLoader]:
    """Yield the function that loads a model for one attempt at some work: at first `load`.

    `call_timeout` is the time in seconds that a supervised model may take for a call.
    """
    if not is_retry:
        yield load
        return
    with supervised.loader(call_timeout) as supervised_load:
        yield supervised_load


def prepare_for_threads() -> ModelFork | None:
    """Make the fork for this process's models now, before this process starts threads.

    Return None if it has threads already.
    """
    return _fork_of(os.getpid())


def can_share_models() -> bool:
    """Return whether forks of this process, which has loaded models, may run them.

    A fork copies no other thread; two processes that share a socket get each other's responses.
    """
    return not procfs.has_threads() and not procfs.socket_fds()


@cache
def _fork_of(pid: int) -> ModelFork | None:  # noqa: ARG001 - the cache's key
    """Return the fork of the process with this id; a fork of that process makes its own."""
    if procfs.has_threads():
        sys.stderr.write(
            "cannot fork a single-threaded model process; models may run about 15% slower\n"
        )
        return None
    return ModelFork()


def _load_beside_threads(spec: ModelSpec) -> Model:
    model_fork = prepare_for_threads()
    return ForkedModel(spec, model_fork) if model_fork else host.load(spec)
