"""Load models, and keep as many of them as a bound on their memory allows.

Nothing else in a process loads models.
"""

from __future__ import annotations

import ctypes
import gc
import math
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import MetadataPathFinder
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tidemill.models import machine
from tidemill.models.adapters import class_path
from tidemill.models.isolation import child, procfs
from tidemill.models.isolation.replies import load_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.inference.model import Model, ModelSpec


@dataclass(slots=True)
class Usage:
    """What a host did with one model; `bytes` is what the model takes now."""

    loads: int = 0
    evictions: int = 0
    seconds: float = 0.0
    bytes: int = 0


class Loaded(NamedTuple):
    """A model that this process loaded."""

    id: str
    model: Model
    bytes: int


class Host:
    """Loaded models, of which the least recently used are evicted if they exceed a limit.

    A model's size is the entry's `limits.memory`, else what the process grew by when it was loaded.
    A model that alone exceeds the limit is the only one that is kept. Models that a parent process
    loaded do not count: to evict them would free nothing.
    """

    def __init__(
        self, limit: float = math.inf, measure: Callable[[], int] = procfs.anonymous_bytes
    ) -> None:
        """Take the limit in bytes; `measure` returns the bytes of memory of this process."""
        self.limit = limit
        self._measure = measure
        self._inherited: dict[bytes, Model] = {}
        self._own: dict[bytes, Loaded] = {}  # the least recently used model is the first
        # Memory that an evicted model leaves to the allocator hides the growth of the next load.
        self._sizes: dict[bytes, int] = {}
        self._usage: dict[str, Usage] = {}
        self._evictions = 0

    @property
    def is_full(self) -> bool:
        """Whether another model would exceed the limit, or one has done so."""
        return self._evictions > 0 or self.bytes >= self.limit

    @property
    def bytes(self) -> int:
        """The bytes of the models that this process loaded."""
        return sum(loaded.bytes for loaded in self._own.values())

    def load(self, spec: ModelSpec) -> Model:
        """Return the entry's model, which is loaded unless it is there.

        Raises:
            ModelMisconfigured: The class cannot be imported or constructed, or lacks `predict_all`.
            ModelLoadFailed: The constructor raised another exception, so loading may succeed later.

        """
        try:
            return self._load(spec)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as cause:
            raise load_error(spec, cause, **child.explain(cause, spec.adapter)) from cause

    def __contains__(self, spec: ModelSpec) -> bool:
        with suppress(ImportError):  # no such adapter
            key = _key(spec)
            return key in self._own or key in self._inherited
        return False

    def inherit(self, limit: float) -> None:
        """Note that this process is a fork: the models so far are its parent's."""
        self._inherited |= {key: loaded.model for key, loaded in self._own.items()}
        self._own.clear()
        self._usage.clear()
        self.limit = limit

    def reorder(self, last_use: Callable[[str], float]) -> None:
        """Sort the models by the time of their last use, which `last_use` returns for an id."""
        self._own = dict(sorted(self._own.items(), key=lambda item: last_use(item[1].id)))

    def take_usage(self) -> dict[str, Usage]:
        """Return the changes since the last call, by the id of the model."""
        usage, self._usage = self._usage, {}
        return usage

    def _load(self, spec: ModelSpec) -> Model:
        key = _key(spec)
        if key in self._inherited:
            return self._inherited[key]
        if key in self._own:
            self._own[key] = self._own.pop(key)
            return self._own[key].model
        start = time.monotonic()
        path = class_path(spec.adapter)
        child.load_class(path)  # what it imports is not the model's memory
        self._evict(spec.limits.memory or self._sizes.get(key, 0))
        before = self._measure()
        model: Model = child.construct(path, spec.arguments)
        grown = max(self._measure() - before, self._sizes.get(key, 0))
        size = self._sizes[key] = spec.limits.memory or grown
        self._evict(size)
        self._own[key] = Loaded(spec.id, model, size)
        usage = self._usage.setdefault(spec.id, Usage())
        usage.loads += 1
        usage.seconds += time.monotonic() - start
        usage.bytes += size
        return model

    def _evict(self, needed: int) -> None:
        """Evict models until there is room for another one, or none is left."""
        before = self._evictions
        while self._own and self.bytes + needed > self.limit:
            loaded = self._own.pop(next(iter(self._own)))
            usage = self._usage.setdefault(loaded.id, Usage())
            usage.evictions += 1
            usage.bytes -= loaded.bytes
            self._evictions += 1
            del loaded
        if self._evictions > before:
            _return_memory()


def _key(spec: ModelSpec) -> bytes:
    return msgspec.json.encode((spec.id, class_path(spec.adapter), spec.arguments))


def is_shareable(before: set[tuple[int, str]]) -> bool:
    """Return whether forks may use the models that were loaded since `procfs.resources`.

    Threads are a problem because a fork has only the thread that called it: a lock that another
    thread holds would stay locked for ever. Open files are a problem because processes that share a
    socket or a pipe read each other's data, and those that share a file move each other's position.
    """
    if procfs.resources() <= before:
        return True
    # A library that looks up a package's version leaves each archive in sys.path open, such as
    # pyspark.zip. This closes them.
    MetadataPathFinder().invalidate_caches()
    gc.collect()
    return procfs.resources() <= before


def _return_memory() -> None:
    """Return the memory of evicted models to the system; the C library would keep some of it."""
    gc.collect()
    with suppress(AttributeError, OSError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)


models = Host(machine.model_memory())
load = models.load
