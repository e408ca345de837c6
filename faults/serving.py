"""`make faults-serving`: kill servers and their model processes under load; count what fails.

Two servers answer an open-loop load: requests start at fixed times, whether or not others have been
answered. Each round kills in one way, and asks in one way: with `tidemill.client`, or without
retries, as a caller would that knows one server.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
from rich.console import Console
from rich.table import Table

from dev.pipeline.job_process import pool_processes, running_processes
from faults import results_log
from faults.served_process import ServedProcess
from tidemill.client import AsyncClient
from tidemill.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Ask = Callable[[str, str], Awaitable[None]]
    Strike = Callable[[ServedProcess], Awaitable[None]]

RATE = 60.0  # requests a second
BETWEEN_S = 1.0
FROZEN_S = 3.0
HEDGE_S = 0.5
NAMES = [f"model-{letter}" for letter in "abcdefgh"]


@dataclass
class Round:
    """What happened in a round.

    `failed` counts errors by their class; `slowest` is the longest time of a request in seconds.
    """

    struck: str
    asked: str
    kills: int = 0
    requests: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0

    def __str__(self) -> str:
        """Return a line for people."""
        failed = ", ".join(f"{count} {name}" for name, count in self.failed.items()) or "none"
        return (
            f"{self.struck}, asked with {self.asked}: {self.kills} kills, {self.requests:,} "
            f"requests, failed: {failed}, slowest answer {self.slowest:.1f} s"
        )


async def kill_model_process(server: ServedProcess) -> None:
    """Kill a process that predicts; its server replaces it."""
    pool = pool_processes(server.pid)
    parents = running_processes()
    members = [each for each in pool if each in parents and parents[each][0] in pool]
    if members:
        os.kill(random.choice(members), signal.SIGKILL)  # noqa: S311 - no secret


async def kill_server(server: ServedProcess) -> None:
    """Kill a server, and start it again."""
    server.kill()
    await server.start()


async def freeze_server(server: ServedProcess) -> None:
    """Stop a server's clock for a while: it takes connections, and answers nothing."""
    os.kill(server.pid, signal.SIGSTOP)
    await asyncio.sleep(FROZEN_S)
    os.kill(server.pid, signal.SIGCONT)


async def restart_server(server: ServedProcess) -> None:
    """Restart a server as an update does: it finishes its requests first."""
    await server.stop()
    await server.start()


STRIKES: dict[str, Strike] = {
    "model process": kill_model_process,
    "server": kill_server,
    "server frozen": freeze_server,
    "rolling restart": restart_server,
}


async def load(ask: Ask, done: asyncio.Event, found: Round) -> None:
    """Ask at fixed times until an event; then wait for all answers."""
    start, tasks = time.monotonic(), set[asyncio.Task[None]]()

    async def note(model: str, text: str) -> None:
        begin = time.monotonic()
        try:
            await ask(model, text)
        except (RequestError, aiohttp.ClientError, AssertionError) as error:
            found.failed[type(error).__name__] += 1
        found.slowest = max(found.slowest, time.monotonic() - begin)

    for number in itertools.count():
        if done.is_set():
            break
        await asyncio.sleep(max(0.0, start + number / RATE - time.monotonic()))
        found.requests += 1
        task = asyncio.create_task(note(NAMES[number % len(NAMES)], f"text {number}"))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)


@asynccontextmanager
async def with_client(servers: list[ServedProcess], scheme: str) -> AsyncIterator[Ask]:
    """Ask with the client, which retries and hedges."""
    async with AsyncClient([each.url(scheme) for each in servers], hedge_after=HEDGE_S) as client:

        async def ask(model: str, text: str) -> None:
            (answer,) = await client.predict(model, [text])
            assert answer.output == text.upper()

        yield ask


@asynccontextmanager
async def without_retries(servers: list[ServedProcess], _: str) -> AsyncIterator[Ask]:
    """Ask one server after the other, without retries."""
    turns = itertools.cycle(servers)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30)) as session:

        async def ask(model: str, text: str) -> None:
            url = f"{next(turns).url('http')}/{model}"
            async with session.post(url, json={"inputs": [text]}) as response:
                response.raise_for_status()
                assert (await response.json())["outputs"] == [text.upper()]

        yield ask


async def play(servers: list[ServedProcess], struck: list[str], how: str, kills: int) -> Round:
    """Run a round of some kills, in turn of each kind and on each server."""
    found = Round(", ".join(struck), how)
    done = asyncio.Event()
    asking = without_retries if how == "no retries" else with_client
    async with asking(servers, how) as ask:
        loading = asyncio.create_task(load(ask, done, found))
        try:
            for number in range(kills):
                await asyncio.sleep(BETWEEN_S)
                server = servers[number // len(struck) % len(servers)]
                await STRIKES[struck[number % len(struck)]](server)
                found.kills += 1
            await asyncio.sleep(BETWEEN_S)
        finally:
            done.set()
            await loading
    return found


def plan(kills: int) -> list[tuple[list[str], str, int]]:
    """Return what each round kills, how it asks, and how often it kills."""
    struck = ["model process", "server", "server frozen"]
    few = max(2, kills // 5)
    return [
        (struck, "http", kills - kills // 2),
        (struck, "grpc", kills // 2),
        (["rolling restart"], "http", 2),
        (["rolling restart"], "grpc", 2),
        (["model process"], "no retries", few),
        (["server"], "no retries", few),
        (["rolling restart"], "no retries", 2),
    ]


async def campaign(
    rounds_to_play: list[tuple[list[str], str, int]], show: Callable[[Round], object]
) -> list[Round]:
    """Run rounds, and show each."""
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        servers = [ServedProcess(Path(folder, name), NAMES) for name in ("one", "two")]
        try:
            await asyncio.gather(*(each.start() for each in servers))
            for kinds, how, count in rounds_to_play:
                found = await play(servers, kinds, how, count)
                show(found)
                rounds.append(found)
        finally:
            for each in servers:
                each.kill()
    return rounds


def table(rounds: list[Round]) -> Table:
    """Return a table with a row for each round."""
    drawn = Table(title="Requests that failed while servers were killed")
    for name in ("killed", "asked with", "kills", "requests", "failed", "slowest answer"):
        drawn.add_column(name, justify="left" if name in {"killed", "asked with"} else "right")
    for each in rounds:
        failed = sum(each.failed.values())
        drawn.add_row(
            each.struck, each.asked, str(each.kills), f"{each.requests:,}", f"{failed:,}",
            f"{each.slowest:.1f} s",
        )  # fmt: skip
    return drawn


def entry(rounds: list[Round]) -> dict[str, Any]:
    """Return what the results file keeps."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "load": round(os.getloadavg()[1], 1),
        "rate": RATE,
        "rounds": [
            [each.struck, each.asked, each.kills, each.requests, dict(each.failed),
             round(each.slowest, 2)]
            for each in rounds
        ],
    }  # fmt: skip


def holds(rounds: list[Round]) -> bool:
    """Tell whether requests failed only without retries, and only with whole servers."""
    return not any(
        each.failed
        for each in rounds
        if each.asked != "no retries" or each.struck == "model process"
    )


def main() -> None:
    """Run the campaign, and keep its result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="kills while the client asks")
    arguments = parser.parse_args()
    console = Console()
    show = partial(console.print, soft_wrap=True, highlight=False)
    rounds = asyncio.run(campaign(plan(arguments.kills), lambda each: show(str(each))))
    console.print(table(rounds))
    results_log.add("serving", entry(rounds))
    sys.exit(not holds(rounds))


if __name__ == "__main__":
    main()
