"""Measure look-ups, loads and swaps of our store, beside Feast and plain SQL."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import yaml

from bench import store_databases, store_lookup_times, store_swaps
from bench.forecast import rounded
from bench.store_children import feasts, ours, output, started
from bench.store_databases import DATABASES
from bench.store_servers import OURS, PLAIN, PRECOMPUTED, SERVICES, doors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from bench.store_databases import Database
    from bench.store_size import Size

SQL = "plain SQL"
BYTES_A_ROW = 600  # at most, of the large load: its rows and their copy in a log


def measure(
    console: Console, size: Size, *, with_feast: bool = True, databases: Sequence[str] = DATABASES
) -> dict[str, Any]:
    """Fill all databases, and then measure one after the other; return the figures of each."""
    load = [os.getloadavg()[0]]
    with ExitStack() as stack:
        filled = []
        for name in databases:
            folder = Path(stack.enter_context(TemporaryDirectory()))
            database = stack.enter_context(store_databases.running(name, folder))
            repository = folder / "feast" if with_feast else None
            own = size._replace(rows=size.postgres_rows) if database.pid else size
            part: dict[str, Any] = {"loads": loads(database, repository, own.rows)}
            part["large"] = large(database, size)
            console.print(name, part, highlight=False)
            filled.append((database, repository, own, part))
        load.append(os.getloadavg()[0])
        for database, repository, own, part in filled:
            part.update(look_ups(database, repository, own))
            console.print(database.name, part, highlight=False)
            load.append(os.getloadavg()[0])
        parts = {database.name: part for database, *_, part in filled}
    result: dict[str, Any] = rounded({"size": size._asdict(), "load": load, "parts": parts})
    return result


def look_ups(database: Database, repository: Path | None, size: Size) -> dict[str, Any]:
    """Return the figures of look-ups in processes, over HTTP, and during swaps."""
    commands = {
        OURS: ours("store_lookups", "tidemill", database.url, size.rows),
        SQL: ours("store_lookups", "sql", database.url, size.rows),
    }
    if repository is not None:
        for name, service in SERVICES.items():
            commands[name] = feasts(service, repository, size.rows)
    with ExitStack() as stack:
        children = {name: stack.enter_context(started(each)) for name, each in commands.items()}
        calls = store_lookup_times.calls(children, database, size)
    with doors(database, repository) as opened:
        return {
            "calls": calls,
            "requests": store_lookup_times.requests(opened, database, size),
            "swaps": store_swaps.measure(opened[0], database.url, size),
        }


def loads(database: Database, repository: Path | None, rows: int) -> dict[str, dict[str, float]]:
    """Fill the database for all contenders; return what the loads took."""
    found = {OURS: loaded(database, ours("store_writer", "rows", database.url, rows))}
    store_databases.write_plain(database.url, rows)
    if repository is not None:
        repository.mkdir()
        content = {
            "project": "bench",
            "provider": "local",
            "registry": "registry.db",
            "online_store": database.feast,
            "entity_key_serialization_version": 3,
        }
        (repository / "feature_store.yaml").write_text(yaml.safe_dump(content), "utf-8")
        found[PLAIN] = loaded(database, feasts("load", repository, rows))
        found[PRECOMPUTED] = loaded(database, feasts("vectors", repository, rows))
    return found


def large(database: Database, size: Size) -> dict[str, float]:
    """Return what our large load takes."""
    free, needed = shutil.disk_usage("/tmp").free, size.loaded * BYTES_A_ROW  # noqa: S108 - asked
    assert free > needed, f"the load needs {needed:,} bytes of /tmp, which has {free:,}"
    command = ours("store_writer", "load", database.url, size.loaded, size.narrow)
    return loaded(database, command)


def loaded(database: Database, command: list[str]) -> dict[str, float]:
    """Return what a load takes, with the database's CPU time."""
    used = database.cpu
    took = output(command)
    return {**took, "CPU s": took["CPU s"] + database.cpu - used}
