"""Show what each way to keep a model costs, and how long each way to predict takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from examples.forecasts.published import COMPRESSIONS, LATENCIES, TALK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidemill.packing.report import Measured

LARGEST = COMPRESSIONS["pickle-none"].size


def costs(measured: Sequence[Measured]) -> Table:
    """Return a table with a row for each kind, and the talk's figures beside ours."""
    table = Table(title="What a model costs", title_justify="left", caption_justify="left")
    for name in (
        "kind",
        "bytes",
        "saved",
        "load ms",
        "KB in memory",
        "same forecasts",
        "talk: bytes",
        "saved",
    ):
        table.add_column(name, justify="left" if name == "kind" else "right")
    table.add_column("load ms", justify="right")
    for each in sorted(measured, key=lambda each: each.size):
        theirs = COMPRESSIONS.get(each.kind)
        table.add_row(
            each.kind,
            f"{each.size:,.0f}",
            f"{each.saved:.1%}",
            f"{each.load_ms:.2f}",
            f"{each.memory / 1000:,.1f}",
            "yes" if each.equal else "no",
            *(
                (
                    f"{theirs.size:,}",
                    f"{1 - theirs.size / LARGEST:.1%}",
                    f"{theirs.load_s * 1e3:.1f}",
                )
                if theirs
                else ()
            ),
        )
    table.caption = f"Our load ms include a first forecast. Talk: {TALK}"
    return table


def times(seconds: Mapping[str, float], models: int) -> Table:
    """Return a table with a row for each way to predict, and the talk's ways below."""
    table = Table(title=f"{models:,} models x 52 weeks", title_justify="left")
    table.add_column("way")
    table.add_column("seconds", justify="right")
    for name, took in seconds.items():
        table.add_row(name, f"{took:.2f}")
    table.add_section()
    for each in LATENCIES:
        name = f"talk, 1,400 models x 52: {each.approach}, {each.at_once:,} models in a request"
        table.add_row(f"{name}, compressed" if each.compressed else name, f"{each.seconds:.2f}")
    return table
