"""Write the input of a batch, and check its output, without the package that is tested."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from deltalake import DeltaTable
from pyarrow import parquet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FILES = 3
# Every so many rows, one makes the model raise.
BAD = 50
SUFFIXES = {"jsonl": ".jsonl", "csv": ".csv", "parquet": ".parquet", "delta": ".parquet"}


def rows(count: int) -> list[dict[str, Any]]:
    """Return rows with an id, a text that may break lines, and a number."""
    return [
        {"id": f"id-{i}", "text": text(i), "number": i if i % 3 else None} for i in range(count)
    ]


def text(number: int) -> str:
    """Return the text of a row."""
    return f"raise {number}" if number % BAD == 0 else f'text, "{number}"\né'


def write(kind: str, folder: Path, count: int) -> None:
    """Write rows as some files."""
    folder.mkdir()
    given = rows(count)
    share = -(-count // FILES)
    for index in range(FILES):
        part = given[index * share : (index + 1) * share]
        path = folder / f"{index}.{kind}"
        if kind == "parquet":
            parquet.write_table(pa.Table.from_pylist(part), path, row_group_size=share // 4)
        elif kind == "csv":
            with path.open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, list(part[0]))
                writer.writeheader()
                writer.writerows(part)
        else:
            path.write_text("".join(f"{json.dumps(row)}\n" for row in part), "utf-8")


def problems(folder: Path, kind: str, count: int) -> list[str]:
    """Return what is wrong with an output: a row without one outcome, a strange file, a number."""
    expected = rows(count)
    results, letters = list(read_results(folder, kind)), list(read_dead_letters(folder))
    found = [
        *_not_once(expected, [row["id"] for row in (*results, *letters)]),
        *(f"{row['id']} has another result" for row in results if not _is_right(row)),
        *(f"{row['id']} is a dead letter" for row in letters if "raise" not in row["text"]),
    ]
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    numbers = {"messages": count, "results": len(results), "dead_letters": len(letters)}
    found += [
        f"the summary has {summary[name]} {name}, but there are {number}"
        for name, number in numbers.items()
        if summary[name] != number
    ]
    return found + [f"{name} is not part of an output" for name in strange_files(folder, kind)]


def _not_once(expected: Sequence[dict[str, Any]], ids: Sequence[str]) -> list[str]:
    counted = Counter(ids)
    missing = [row["id"] for row in expected if not counted[row["id"]]]
    twice = [name for name, number in counted.items() if number > 1]
    return [f"{name} has no outcome" for name in missing] + [
        f"{name} has {counted[name]} outcomes" for name in twice
    ]


def _is_right(row: dict[str, Any]) -> bool:
    number = int(row["id"].removeprefix("id-"))
    return row["out"] == text(number).upper() and "raise" not in text(number)


def read_results(folder: Path, kind: str) -> Iterator[dict[str, Any]]:
    """Yield the rows with results."""
    if kind == "delta":
        yield from DeltaTable(folder / "results").to_pyarrow_table().to_pylist()
        return
    for path in sorted((folder / "results").glob(f"*{SUFFIXES[kind]}")):
        if kind == "parquet":
            yield from parquet.read_table(path).to_pylist()
        elif kind == "csv":
            with path.open(encoding="utf-8", newline="") as file:
                yield from csv.DictReader(file)
        else:
            with path.open(encoding="utf-8") as file:
                yield from map(json.loads, file)


def read_dead_letters(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows with dead letters."""
    for path in sorted((folder / "dead-letters").glob("*")):
        with path.open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(json.loads(line)["value"])


def listing(folder: Path) -> dict[str, int]:
    """Return the size of each file that a reader sees: those that are not hidden."""
    found = {}
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith("."):
                path = Path(parent, name)
                found[str(path.relative_to(folder))] = path.stat().st_size
    return found


def strange_files(folder: Path, kind: str) -> list[str]:
    """Return the files that a reader of the output does not expect."""
    return [
        name
        for name in listing(folder)
        if name != "summary.json"
        and not (name.startswith("results/part-") and name.endswith(SUFFIXES[kind]))
        and not (name.startswith("dead-letters/part-") and name.endswith(".jsonl"))
        and not (kind == "delta" and name.startswith("results/_delta_log/"))
    ]
