"""Wire look-ups: open the store if an entry needs it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from tidemill import extras
from tidemill.inference.features import complete, no_features, without_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tidemill.inference.features import Complete
    from tidemill.inference.model import ModelSpec
    from tidemill.settings import StoreSettings
    from tidemill.store.store import Store


@contextmanager
def opened(settings: StoreSettings, specs: Sequence[ModelSpec]) -> Iterator[Complete]:
    """Yield what completes inputs until the end of the context.

    Raises:
        MissingExtra, InvalidStoreUrl: The store cannot be opened.

    """
    if not look_up(specs):
        yield without_store
        return
    with opened_store(settings) as store:
        yield partial(complete, store=store, clock=time.time)


def on_workers(settings: StoreSettings, specs: Sequence[ModelSpec]) -> Callable[[], Complete]:
    """Return what a worker of Spark calls for what completes inputs; it can be pickled.

    Raises:
        MissingExtra, InvalidStoreUrl: The store cannot be opened here, so nor can it there.

    """
    if not look_up(specs):
        return no_features
    opened_store(settings).close()
    return partial(in_this_process, settings)


def in_this_process(settings: StoreSettings) -> Complete:
    """Return what completes inputs until this process ends."""
    return partial(complete, store=opened_store(settings), clock=time.time)


def look_up(specs: Sequence[ModelSpec]) -> bool:
    """Tell whether a model needs the store."""
    return any(spec.lookup for spec in specs)


def opened_store(settings: StoreSettings) -> Store:
    """Return the store; the caller closes it.

    Raises:
        MissingExtra, InvalidStoreUrl: It cannot be opened.

    """
    with extras.required("store"):
        from tidemill.bootstrap.store import open_store  # noqa: PLC0415 - an extra

    return open_store(settings)
