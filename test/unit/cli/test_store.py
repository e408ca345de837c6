"""`tidemill store` loads, swaps, rolls back, looks up, tells and drops."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from tidemill.cli import cli
from tidemill.errors import InputUnreadable, InvalidKey, InvalidSelection, UnknownTable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Invoke = Callable[..., str]

CONFIG = """
store:
  tables:
    prices: {key: item, columns: {price: number}, time: at, history: true}
"""
PRICES = [{"item": "tea", "price": p, "at": f"2026-11-0{p}T00:00:00Z"} for p in (1, 2)]


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Run the command line in an empty folder; return what it prints, and raise what it raises."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, [{"id": 1, "age": 30}, {"id": 2, "age": None}])

    def run(*arguments: object, stdin: str | None = None) -> str:
        words = ["store", *map(str, arguments)]
        return CliRunner().invoke(cli, words, catch_exceptions=False, input=stdin).stdout

    return run


def write(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows as a file of JSON lines."""
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def test_a_table(invoke: Invoke, tmp_path: Path) -> None:
    """A file becomes a table with the columns that it has; the next one replaces it, and back."""
    assert "generation 1 of users is live: 2 rows" in invoke(
        "load", "users", "rows.jsonl", "--key", "id"
    )
    found = [json.loads(line) for line in invoke("get", "users", "1", "2", "3").splitlines()]
    assert [(each["key"], each["values"]) for each in found] == [
        (1, {"age": 30}),
        (2, {"age": None}),
        (3, None),
    ]
    write(tmp_path, [{"id": 1, "age": 31}])
    assert "generation 2 of users is ready" in invoke("load", "users", "rows.jsonl", "--no-swap")
    assert '"age":30' in invoke("get", "users", "1")
    assert "generation 2 of users is live" in invoke("swap", "users")
    assert '"age":31' in invoke("get", "users", "1")
    assert "generation 1 of users is live" in invoke("rollback", "users")
    stats = json.loads(invoke("stats", "--json"))
    assert (stats["table"], stats["live"], stats["rows"]) == ("users", 1, 2)
    assert [each["state"] for each in stats["generations"]] == ["retired", "live"]
    assert "dropped generation 2 of users" in invoke("drop", "users", "--generation", 2)
    assert invoke("stats").count("rows.jsonl") == 1
    invoke("drop", "users")
    assert "has no tables" in invoke("stats")
    with pytest.raises(UnknownTable):
        invoke("get", "users", "1")


def test_a_described_table(invoke: Invoke, tmp_path: Path) -> None:
    """The settings describe a table; rows from the standard input are as of their times."""
    (tmp_path / "config.yaml").write_text(CONFIG, "utf-8")
    lines = "".join(json.dumps(row) + "\n" for row in PRICES)
    invoke("load", "prices", "-", "--version", "3", stdin=lines)
    found = json.loads(invoke("get", "prices", "tea", "--as-of", "2026-11-01T12:00:00"))
    assert found == {
        "key": "tea",
        "values": {"price": 1},
        "time": "2026-11-01T00:00:00.000Z",
        "version": "3",
        "generation": 1,
    }


def test_mistakes(invoke: Invoke) -> None:
    """An unknown table, a missing file, a key of another type and no time are errors."""
    with pytest.raises(UnknownTable):
        invoke("load", "users", "rows.jsonl")
    with pytest.raises(InputUnreadable):
        invoke("load", "users", "missing.jsonl", "--key", "id")
    invoke("load", "users", "rows.jsonl", "--key", "id")
    with pytest.raises(InvalidKey):
        invoke("get", "users", "x")
    with pytest.raises(InvalidSelection):
        invoke("get", "users", "1", "--as-of", "yesterday")
