"""The queues of the benchmark of tasks, and how their workers run."""

from __future__ import annotations

import itertools
import json
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from bench import testbed
from bench.contenders import task_lines
from bench.environments.environments import python_of
from bench.store_databases import total_cpu
from dev import PYTHONPATH
from dev.kafka.process import spawn, stop
from dev.postgres import Postgres
from dev.redis import Redis, redis

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from subprocess import Popen

OURS: Final = "Tidemill"
SQLITE: Final = "sqlite:///"
SLOTS: Final = 2
# As they are by default: here a task that was accepted outlives a power failure.
SYNCED: Final = ("max_connections=50", "shared_buffers=64MB")
HUEY_MOST_S: Final = 0.1  # between two looks for work, as Tidemill has; Huey's default is 10
STOP_S: Final = 20
CELERY_SAFE: Final = {
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "worker_prefetch_multiplier": 1,
}
CELERY_AGAIN_S: Final = 10  # instead of an hour
CELERY_AGAIN: Final = f"Celery (Redis), late acks, visibility time-out {CELERY_AGAIN_S} s"
# It looks for lost tasks every 100 seconds by default.
CELERY_SOON: Final = {
    "visibility_timeout": CELERY_AGAIN_S,
    "unacked_restore_interval": 1,
    "unacked_restore_throttle": 1,
}


class Queue(NamedTuple):
    """A queue: how a client and how each worker is started, and the process of its server."""

    name: str
    client: list[str]
    workers: list[list[str]]
    environment: dict[str, str]
    folder: Path
    server: int | None = None

    @property
    def is_ours(self) -> bool:
        """Whether it is Tidemill's."""
        return self.name.startswith(OURS)

    @property
    def lines(self) -> Path:
        """The file that its tasks write to."""
        return self.folder / "lines"

    @property
    def cpu(self) -> float:
        """The CPU time of its server in seconds."""
        return 0.0 if self.server is None else total_cpu(self.server)

    @contextmanager
    def working(self) -> Iterator[list[Popen[bytes]]]:
        """Run its workers; they have as many slots together as each other queue's."""
        log = self.folder / "log"
        running = [
            spawn(command, log, cwd=self.folder, env=self.environment) for command in self.workers
        ]
        try:
            yield running
        finally:
            for process in running:
                stop(process, STOP_S)


@contextmanager
def queues(folder: Path, *, peers: bool = True) -> Iterator[list[Queue]]:
    """Yield all queues, with the servers that they need; without peers, only ours on SQLite."""
    if not peers:
        yield [ours("SQLite", f"{SQLITE}{folder}/ours.db", folder)]
        return
    with Postgres(SYNCED) as postgres, redis() as cache:
        yield [
            ours("SQLite", f"{SQLITE}{folder}/ours.db", folder),
            ours("PostgreSQL", postgres.url, folder, postgres.pid),
            *peers_of(postgres, cache, folder),
        ]


def peers_of(postgres: Postgres, cache: Redis, folder: Path) -> Iterator[Queue]:
    """Yield the queues of others, with the same number of slots."""
    python, numbers = str(python_of("tasks")), itertools.count()

    def queue(
        name: str,
        module: str,
        url: str,
        work: list[str],
        server: int | None = None,
        **options: object,
    ) -> Queue:
        own = folder / name.replace(" ", "-")
        own.mkdir()
        # procrastinate's slots are threads of one process.
        workers = [work] * (SLOTS if module == "procrastinate" else 1)
        command = [[python, "-m", *each] for each in workers]
        return Queue(
            name, client(python, module), command, variables(own, url, options), own, server
        )

    def celery(name: str, **options: object) -> Queue:
        work = ["celery", "-A", "bench.contenders.task_celery", "worker", "-c", str(SLOTS)]
        url = f"{cache.url}/{next(numbers)}"
        return queue(name, "celery", url, [*work, "-l", "WARNING"], cache.pid, **options)

    app = "bench.contenders.task_procrastinate.app"
    work = ["procrastinate", "--app", app, "worker", "--concurrency", "1"]
    yield queue("procrastinate (PostgreSQL)", "procrastinate", postgres.url, work, postgres.pid)
    yield celery("Celery (Redis), late acks", **CELERY_SAFE)
    yield celery("Celery (Redis), defaults")
    yield celery(CELERY_AGAIN, **CELERY_SAFE, broker_transport_options=CELERY_SOON)
    work = ["huey.bin.huey_consumer", "bench.contenders.task_huey.huey", "-q"]
    work += ["-k", "process", "-w", str(SLOTS), "-m", str(HUEY_MOST_S)]
    yield queue("Huey (SQLite)", "huey", f"{folder}/huey.db", work)
    yield queue("Huey (Redis)", "huey", f"{cache.url}/{next(numbers)}", work, cache.pid)


def ours(name: str, url: str, folder: Path, server: int | None = None) -> Queue:
    """Return a queue of ours on a database."""
    job = {"job": "bench.contenders.task_tidemill:Line"}
    settings = {
        "TIDEMILL__STORE__URL": url,
        "TIDEMILL__TASKS__JOBS": json.dumps({"line": job}),
        "TIDEMILL__TASKS__SLOTS": str(SLOTS),
    }
    worker = [sys.executable, "-m", "tidemill", "task", "work"]
    own = folder / f"ours-{name}"
    own.mkdir()
    environment = {**variables(own, url), **settings}
    return Queue(
        f"{OURS} ({name})", client(sys.executable, "tidemill"), [worker], environment, own, server
    )


def client(python: str, module: str) -> list[str]:
    """Return the command of a client; the module is not the main one, as the peers want it."""
    return [python, "-c", f"from bench.contenders.task_{module} import answer; answer()"]


def variables(folder: Path, url: str, options: Mapping[str, object] = {}) -> dict[str, str]:
    """Return the environment of a client and of workers."""
    return {
        **os.environ,
        **testbed.THREADS,
        "PYTHONPATH": PYTHONPATH,
        task_lines.LINES: str(folder / "lines"),
        task_lines.URL: url,
        task_lines.OPTIONS: json.dumps(options),
    }
