"""Decide where a model runs: in this process, in a fork of it, or in a supervised child process."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING

from tidemill.models import host
from tidemill.models.isolation import procfs, supervised
from tidemill.models.isolation.fork import ForkedModel, ModelFork

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidemill.inference.model import Model, ModelLoader, ModelSpec


class Place(Enum):
    """Where models run."""

    THIS_PROCESS = "this process"
    FORK = "a fork of this process"
    SUPERVISED = "a supervised child process"


def place(
    *, is_retry: bool = False, starts_threads: bool = False, has_threads: bool = False
) -> Place:
    """Return the place for the models of a process.

    Args:
        is_retry: The work may have crashed or hung a process before.
        starts_threads: This process will start threads, which would make its models slower.
        has_threads: This process has threads already, so that it cannot be forked.

    """
    if is_retry:
        return Place.SUPERVISED
    if starts_threads and not has_threads:
        return Place.FORK
    return Place.THIS_PROCESS


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
    if place(is_retry=is_retry) is not Place.SUPERVISED:
        yield load
        return
    with supervised.loader(call_timeout) as supervised_load:
        yield supervised_load


def prepare_for_threads() -> ModelFork | None:
    """Make the fork for this process's models now, before this process starts threads.

    Return None if it has threads already.
    """
    return _fork_of(os.getpid())


@cache
def _fork_of(pid: int) -> ModelFork | None:  # noqa: ARG001 - the cache's key
    """Return the fork of the process with this id; a fork of that process makes its own."""
    if place(starts_threads=True, has_threads=procfs.has_threads()) is Place.FORK:
        return ModelFork()
    sys.stderr.write(
        "cannot fork a single-threaded model process; models may run about 15% slower\n"
    )
    return None


def _load_beside_threads(spec: ModelSpec) -> Model:
    model_fork = prepare_for_threads()
    return ForkedModel(spec, model_fork) if model_fork else host.load(spec)


def can_share_models() -> bool:
    """Return whether forks of this process, which has loaded models, may run them.

    A fork copies no other thread; two processes that share a socket get each other's responses.
    """
    return not procfs.has_threads() and not procfs.socket_fds()
