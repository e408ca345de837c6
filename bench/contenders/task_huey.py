"""Huey: the queue, and a client that submits. It runs in an environment of its own."""

from __future__ import annotations

import os

from huey import RedisHuey, SqliteHuey

from bench.contenders import task_lines

url = os.environ[task_lines.URL]
huey = RedisHuey(url=url) if url.startswith("redis:") else SqliteHuey(filename=url)
line = huey.task(name="line")(task_lines.run)


def answer() -> None:
    """Submit what is asked for."""
    task_lines.answer(line)
