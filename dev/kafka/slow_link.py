"""A connection that takes its time: each packet comes late, and some much later."""

from __future__ import annotations

import asyncio
import random
import threading
from contextlib import suppress
from typing import Self

from dev.kafka.ports import HOST

LOST = 0.05  # of the packets; TCP sends them again
AGAIN_S = 0.4


class SlowLink:
    """A port that passes everything on to another, `delay` seconds later in each direction."""

    def __init__(self, port: int, target: int) -> None:
        """Take the port to listen on, and the one to connect to."""
        self.delay = 0.0
        self._port = port
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._random = random.Random(1)  # noqa: S311 - to be repeated, not to be unguessable
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        """Listen."""
        serving = asyncio.start_server(self._serve, HOST, self._port)
        self._server = self._loop.run_until_complete(serving)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Drop all connections."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        self._loop.run_forever()
        self._server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            there = await asyncio.open_connection(HOST, self._target)
            await asyncio.gather(self._pass(reader, there[1]), self._pass(there[0], writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while packet := await reader.read(65_536):
                again = self._random.random() < LOST
                await asyncio.sleep(self.delay + AGAIN_S * again if self.delay else 0)
                writer.write(packet)
                await writer.drain()
        except OSError:
            pass  # one end has gone
        finally:
            writer.close()
