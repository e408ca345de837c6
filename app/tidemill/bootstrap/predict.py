"""Wire `tidemill predict` to servers."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tidemill.client import Client
from tidemill.client.runner import RemoteRunner
from tidemill.inference.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Unpack

    from tidemill.client.options import ClientOptions


@contextmanager
def remote_engine(
    urls: Sequence[str], batch_size: int, **options: Unpack[ClientOptions]
) -> Iterator[Engine]:
    """Yield an engine whose models run on servers.

    Raises:
        InvalidEndpoint, TokenExposed: The servers cannot be used.

    """
    with Client(urls, **options) as client:
        yield Engine(RemoteRunner(client, batch_size=batch_size, clock=time.time), clock=time.time)
