"""A TCP proxy that delays packets."""

from __future__ import annotations

import asyncio
import random
import threading
from contextlib import suppress
from typing import Self

from dev.kafka.ports import HOST

# A lost packet arrives after TCP has sent it again.
LOST_SHARE = 0.05
RESEND_S = 0.4


class SlowLink:
    """Forward a port to another one; delay each direction by `delay` seconds."""

    def __init__(self, port: int, target: int) -> None:
        """Take the port to listen on and the port to connect to."""
        self.delay = 0.0
        self._port = port
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._random = random.Random(1)  # noqa: S311 - reproducible, not secret
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        """Listen."""
        serving = asyncio.start_server(self._forward, HOST, self._port)
        self._forwardr = self._loop.run_until_complete(serving)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Drop all connections."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        self._loop.run_forever()
        self._forwardr.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            target_reader, target_writer = await asyncio.open_connection(HOST, self._target)
            await asyncio.gather(
                self._copy(reader, target_writer), self._copy(target_reader, writer)
            )

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while packet := await reader.read(65_536):
                lost = self._random.random() < LOST_SHARE
                await asyncio.sleep(self.delay + RESEND_S * lost if self.delay else 0)
                writer.write(packet)
                await writer.drain()
        except OSError:
            pass  # one side closed the connection
        finally:
            writer.close()
