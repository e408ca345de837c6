"""Wire `tidemill predict` to the models in this process, or on servers."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tidemill.bootstrap.features import opened
from tidemill.inference.engine import Engine, local_engine
from tidemill.inference.features import as_they_are
from tidemill.models import host

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Unpack

    from tidemill.client.options import ClientOptions
    from tidemill.inference.model import ModelSpec
    from tidemill.settings import StoreSettings


@contextmanager
def engine(settings: StoreSettings, specs: Sequence[ModelSpec]) -> Iterator[Engine]:
    """Yield an engine whose models run in this process.

    Raises:
        MissingExtra, InvalidStoreUrl: An entry looks features up, but the store cannot be opened.

    """
    with opened(settings, specs) as complete:
        yield local_engine(host.load, clock=time.time, complete=complete)


@contextmanager
def remote_engine(
    urls: Sequence[str], batch_size: int, **options: Unpack[ClientOptions]
) -> Iterator[Engine]:
    """Yield an engine whose models run on servers.

    Raises:
        InvalidEndpoint, TokenExposed: The servers cannot be used.

    """
    from tidemill.client import Client  # noqa: PLC0415 - an extra
    from tidemill.client.runner import RemoteRunner  # noqa: PLC0415

    with Client(urls, **options) as client:
        runner = RemoteRunner(client, batch_size=batch_size, clock=time.time)
        yield Engine(runner, clock=time.time, complete=as_they_are)
