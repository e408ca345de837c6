"""Render models as tables. Whatever people or models wrote goes through `escape`."""

from __future__ import annotations

from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec
from rich.table import Table
from rich.text import Text

from tidemill.errors import TidemillError
from tidemill.terminal import models_json
from tidemill.terminal.escape import pretty, visible
from tidemill.terminal.responsive_table import ResponsiveTable
from tidemill.units import UNKNOWN, duration

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

    from tidemill.inference.model import ModelSpec
    from tidemill.models.lookup import Selected
    from tidemill.models.trial import Trial

MIB = 1024 * 1024
SHORT = 60  # characters of an output in a table
# Columns that a narrow terminal drops, in this order.
DROPPABLE_COLUMNS = ("adapter", "path")
BLOCKS = ("sample", "schema")  # fields that may need several lines


def list_table(selected: Sequence[Selected]) -> ResponsiveTable:
    """Return a table with a row for each model."""
    columns = {
        "model": [Text(variant.spec.id) for _, variant in selected],
        "adapter": [Text(visible(variant.spec.adapter)) for _, variant in selected],
        "messages": [Text(messages(route.match)) for route, _ in selected],
        "path": [Text(route.path or "") for route, _ in selected],
        "variant": [
            Text(visible(variant.name) if route.is_split else "") for route, variant in selected
        ],
        "share": [
            Text(percent(variant.weight) if route.is_split else "") for route, variant in selected
        ],
    }
    used = {name: cells for name, cells in columns.items() if any(cells)}
    return ResponsiveTable(partial(_table, count(len(selected)), used), DROPPABLE_COLUMNS)


def count(number: int) -> str:
    """Return a number of models in words."""
    return f"{number:,} model{'s' if number > 1 else ''}"


def messages(match: Mapping[str, str | int] | None) -> str:
    """Return which messages a route takes."""
    if match is None:
        return "none"
    return visible(", ".join(f"{name}={value}" for name, value in match.items())) or "all"


def percent(weight: float) -> str:
    """Return a weight with at most four digits."""
    return f"{weight:.4g}%"


def show_parts(selected: Sequence[Selected]) -> Iterator[Text | Table]:
    """Yield everything about some models: for each route its facts, then those of its models."""
    for route, group in groupby(selected, itemgetter(0)):
        document = models_json.full(route, [variant for _, variant in group])
        described = document.pop("models")
        yield _facts({**document, "match": messages(route.match)})
        for model in described:
            share = model.pop("weight")
            yield Text()
            yield _facts(
                {**model, "share": None if share is None else percent(share)}, without=BLOCKS
            )
            for name in BLOCKS:
                if model[name] is not None:
                    yield Text.assemble((f"{name}\n", "bold"), pretty(_encode(model[name])))


def trial_table(trials: Sequence[tuple[ModelSpec, Trial | TidemillError]]) -> Table:
    """Return a table with a row for each model that was loaded and got its sample."""
    failed = sum(isinstance(result, TidemillError) for _, result in trials)
    title = count(len(trials)) + (f", {failed:,} failed" if failed else "")
    rows = [_trial_row(spec, result) for spec, result in trials]
    names = ("", "model", "load", "sample", "memory", "output")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    return _table(title, columns, ())


def problems(spec: ModelSpec, error: TidemillError) -> Iterator[Text]:
    """Yield the lines about a model that failed: what is wrong, and what to do."""
    yield Text.assemble(("✗ ", "red"), f"{spec.id}: {visible(error.message)}")
    for problem in error.problems:
        yield Text(f"  - {visible(problem)}")
    if error.hint:
        yield Text(f"  hint: {visible(error.hint)}")


def _trial_row(spec: ModelSpec, result: Trial | TidemillError) -> list[Text]:
    if isinstance(result, TidemillError):
        name = Text(type(result).__name__, "red")
        return [Text("✗", "red"), Text(spec.id), *[Text(UNKNOWN)] * 3, name]
    output = Text(visible(result.output))
    output.truncate(SHORT, overflow="ellipsis")
    return [
        Text("✓", "green"),
        Text(spec.id),
        Text(duration(result.load_seconds)),
        Text(f"{1000 * result.sample_seconds:,.0f} ms"),
        Text(f"{result.memory / MIB:,.0f} MiB" if result.memory else UNKNOWN),
        output,
    ]


def _table(title: str, columns: Mapping[str, Sequence[Text]], without: Container[str]) -> Table:
    table = Table(title=title, title_justify="left")
    left = {name: cells for name, cells in columns.items() if name not in without}
    for name in left:
        right = name in {"share", "load", "sample", "memory"}
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in zip(*left.values(), strict=True):
        table.add_row(*row)
    return table


def _facts(values: Mapping[str, Any], without: Container[str] = ()) -> Table:
    """Return a table with a row for each value that is set."""
    facts = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in values.items():
        if name not in without and value not in (None, "", {}, ()):
            text = value if isinstance(value, str) else _encode(value).decode()
            facts.add_row(Text(name, style="bold"), Text(visible(text)))
    return facts


def _encode(value: object) -> bytes:
    return value.encode() if isinstance(value, str) else msgspec.json.encode(value)
