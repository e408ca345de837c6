"""Complete inputs with features from the store, off the event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.inference.features import Complete, Completed
    from tidemill.inference.request import Request

# The most look-ups at a time.
THREADS = 8


class Completer:
    """Looks up in threads of its own, so that no model's process waits for the store."""

    def __init__(self, complete: Complete) -> None:
        """Take what completes inputs; any number of threads may call it."""
        self._complete = complete
        self._threads = ThreadPoolExecutor(THREADS, "look-ups")

    async def __call__(self, requests: Sequence[Request]) -> list[Completed]:
        """Return the completed inputs."""
        call = self._threads.submit(self._complete, requests)
        return await asyncio.wrap_future(call)

    def close(self) -> None:
        """Wait for the look-ups that run."""
        self._threads.shutdown(cancel_futures=True)
