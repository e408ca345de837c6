"""Load the models that the processes of a pool share, in the server, before it forks them."""

from __future__ import annotations

import gc
import logging
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from tidemill.errors import InvalidSettings, TidemillError
from tidemill.models import host
from tidemill.models.isolation import procfs
from tidemill.models.pool.member import LOAD_SECONDS
from tidemill.models.pool.model_table import NO_WISH, REFUSED, WISHED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidemill.inference.model import ModelSpec
    from tidemill.models.pool.model_table import ModelTable
    from tidemill.settings.pool import PoolSettings

# The standard library's default prints warnings to standard error, and survives if nobody reads it.
log = logging.getLogger(__name__)

# Seconds without a new wish before the server grants those that there are.
QUIET_S = 1.0


def preloaded(specs: Sequence[ModelSpec], settings: PoolSettings) -> tuple[ModelSpec, ...]:
    """Return the models to load at the start, which the setting `preload` names.

    Raises:
        InvalidSettings: There is no model of such a name.

    """
    if isinstance(settings.preload, str):
        return tuple(specs) if settings.preload == "all" else ()
    known = {name for spec in specs for name in (spec.name, spec.id)}
    if unknown := [name for name in settings.preload if name not in known]:
        problems = [f"pool.preload: the models file has no model {name}" for name in unknown]
        raise InvalidSettings("pool.preload", problems)
    return tuple(spec for spec in specs if {spec.name, spec.id} & {*settings.preload})


def load_shareable(specs: Sequence[ModelSpec]) -> bool:
    """Load models while there is room; return whether forks of this process may use them.

    A model that does not load is skipped here: the first slice for it reports why.
    """
    before = procfs.resources()
    for spec in specs:
        _load(spec)
        if host.models.is_full:
            log.warning(
                "the models of the start fill pool.model_memory (%.0f MiB): the others load later",
                host.models.limit / 2**20,
            )
            break
    shareable = host.is_shareable(before)
    _freeze()
    return shareable


def load_wishes(specs: Sequence[ModelSpec], table: ModelTable) -> bool:
    """Load the models that processes wish to share; return whether forks of this one may use them.

    A model is refused if it does not load, ends this process, or leaves threads or open files. If
    it is the only one, the other wishes remain.
    """
    gc.unfreeze()  # the garbage of evicted models is to be collected, too
    host.models.reorder(table.last_use)
    before = procfs.resources()
    wishes = table.wishes()
    for spec in sorted(specs, key=lambda spec: table.last_use(spec.id)):
        if spec.id not in wishes:
            continue
        table.answer(spec.id, REFUSED)
        _load(spec)
        if not host.is_shareable(before):
            return False
        if spec in host.models:
            table.answer(spec.id, WISHED)
        else:
            log.warning("the server cannot load %s, so processes do not share it", spec.id)
    for model in wishes & table.wishes():
        table.answer(model, NO_WISH)
    _freeze()
    return True


class Wishes:
    """Tell when to grant the wishes of processes: once no new one has come for a while."""

    def __init__(
        self,
        table: ModelTable,
        quiet: float = QUIET_S,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the seconds without a new wish."""
        self._table = table
        self._quiet = quiet
        self._clock = clock
        self._seen: frozenset[str] = frozenset()
        self._last = clock()

    def are_due(self) -> bool:
        """Return whether there are wishes, all of them old enough."""
        wishes = self._table.wishes()
        if wishes - self._seen:
            self._last = self._clock()
        self._seen = wishes
        return bool(wishes) and self._clock() - self._last >= self._quiet

    def postpone(self) -> frozenset[str]:
        """Repeat the wishes that were due, and wait twice as long; return the refused ones."""
        for model in self._seen:
            self._table.wish(model)
        self._quiet *= 2
        self._last = self._clock()
        return self._seen - self._table.wishes()


def _load(spec: ModelSpec) -> None:
    signal.alarm(LOAD_SECONDS)  # its default is to kill this process
    with suppress(TidemillError):
        host.load(spec)
    signal.alarm(0)


def _freeze() -> None:
    """Keep the garbage collector from writing to the objects, which would copy shared memory."""
    gc.collect()
    gc.freeze()
