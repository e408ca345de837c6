"""procrastinate: the application, and a client that submits, in an environment of its own."""

from __future__ import annotations

import os

from procrastinate import App, PsycopgConnector, SyncPsycopgConnector

from bench.contenders import task_lines

url = os.environ[task_lines.URL]
app = App(connector=PsycopgConnector(conninfo=url))
app.task(name="line")(task_lines.run)


def answer() -> None:
    """Create the tables, and submit what is asked for."""
    client = App(connector=SyncPsycopgConnector(conninfo=url))
    submit = client.task(name="line")(task_lines.run).defer
    with client.open():
        if not client.check_connection():
            client.schema_manager.apply_schema()
        task_lines.answer(lambda number, seconds: submit(number=number, seconds=seconds))
