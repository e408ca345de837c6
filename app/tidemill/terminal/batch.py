"""Show what a batch has done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from tidemill.units import counted, duration, per_second

if TYPE_CHECKING:
    from rich.console import Console

    from tidemill.batch.summary import Summary


def show_summary(console: Console, summary: Summary) -> None:
    """Print the numbers of a batch, the reasons of its dead letters, and its warnings."""
    skipped = f" + {summary.skipped:,} skipped" if summary.skipped else ""
    console.print(
        f"{counted(summary.messages, 'message')} = {counted(summary.results, 'result')} + "
        f"{counted(summary.dead_letters, 'dead letter')}{skipped}, in {escape(summary.output)}"
    )
    continued = f"; an earlier run had answered {summary.continued:,}" if summary.continued else ""
    console.print(
        f"{summary.engine} engine, {duration(summary.seconds)}, "
        f"{per_second(summary.rate)} rows/s{continued}"
    )
    for error, count in sorted(summary.errors.items(), key=lambda each: -each[1]):
        console.print(f"  dead letters by {error}: {count:,}")
    for warning in summary.warnings:
        console.print(f"[yellow]{escape(warning)}[/]")
    if summary.messages and not summary.results:
        console.print("[yellow]no message got a result[/]: see the folder dead-letters")
