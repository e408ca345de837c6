"""Celery: the application, and a client that submits. It runs in an environment of its own."""

from __future__ import annotations

import json
import os

from celery import Celery

from bench.contenders import task_lines

app = Celery("bench", broker=os.environ[task_lines.URL], backend=os.environ[task_lines.URL])
app.conf.update(
    broker_connection_retry_on_startup=True, **json.loads(os.environ[task_lines.OPTIONS])
)
line = app.task(name="line")(task_lines.run)


def answer() -> None:
    """Submit what is asked for."""
    task_lines.answer(line.delay)
