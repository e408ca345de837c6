"""Run batches with the tests' models, and read what they have written."""

from __future__ import annotations

import csv
import io
import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import parquet

from tidemill.batch import run as batches
from tidemill.batch.answer import Work, answer
from tidemill.batch.formats import FORMATS, parse
from tidemill.batch.run import Order, Place
from tidemill.inference.engine import local_engine
from tidemill.inference.predictor import Predictor
from tidemill.settings import PoolSettings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pyspark.sql import SparkSession

    from tidemill.batch.meter import Meter
    from tidemill.batch.run import Engine
    from tidemill.batch.summary import Summary
    from tidemill.inference.model import Model
    from tidemill.inference.route import Route


def in_process(routes: Sequence[Route], model: Model) -> Engine:
    """Return an engine that runs one model in this process."""

    def engine(work: Work, splits: Sequence[int], meter: Meter) -> None:
        predictor = Predictor(routes, local_engine(lambda _: model, clock=time.time))
        for _ in answer(
            work,
            splits,
            predictor,
            on_block=lambda block, dead: meter.add(len(block.messages), block.size, dead),
        ):
            pass

    return engine


def on_spark(routes: Sequence[Route], spark: SparkSession) -> Engine:
    """Return an engine that runs the models in a session."""
    from tidemill.batch.on_spark import run_on_spark  # noqa: PLC0415 - Spark, only now

    return partial(run_on_spark, (spark, routes, PoolSettings()))


def run_batch(
    routes: Sequence[Route],
    source: object,
    target: object,
    engine: Engine,
    *,
    part_rows: int = 5000,
    name: str = "local",
) -> Summary:
    """Run a batch from `FORMAT:PATH` to `FORMAT:PATH`; JSON lines are the default."""
    given, wanted = (
        Place(kind or "jsonl", path) for kind, path in map(parse, map(str, (source, target)))
    )
    order = Order(given, wanted, routes, part_rows)
    return batches.run(order, FORMATS, lambda _: (name, engine), show=lambda *_, **__: None)


def results(folder: Path) -> list[dict[str, Any]]:
    """Return all results of an output, in order."""
    return [row for path in sorted((folder / "results").glob("part-*")) for row in rows_of(path)]


def dead_letters(folder: Path) -> list[dict[str, Any]]:
    """Return all dead letters of an output, in order."""
    paths = sorted((folder / "dead-letters").glob("part-*"))
    return [json.loads(line) for path in paths for line in path.read_bytes().split(b"\n")[:-1]]


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file with results; the cells of CSV are text."""
    if path.suffix == ".parquet":
        rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
        return rows
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def write_rows(kind: str, path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows, which have the same fields, as a file or table of a format."""
    if kind == "jsonl":
        path.write_bytes(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    elif kind == "csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
        path.write_bytes(text.getvalue().encode())
    elif kind == "parquet":
        parquet.write_table(pa.Table.from_pylist(list(rows)), path)
    else:
        from deltalake import write_deltalake  # noqa: PLC0415 - slow to import

        write_deltalake(path, pa.Table.from_pylist(list(rows)))
