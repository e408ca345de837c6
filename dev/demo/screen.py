"""Draw the demo's steps, the answers as they arrive, and the lag."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from dev.demo.messages import Answer, Source

TEXT_WIDTH: Final = 44


def make_console() -> Console:
    """Return a console; in a log file or a pipe, which have no width, it is wide enough."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=140)


@contextmanager
def step(console: Console, name: str) -> Iterator[Callable[[str], None]]:
    """Show a spinner while a step runs, then its time; yield a function that shows a detail."""
    began = time.monotonic()
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    live = console.is_terminal  # only a terminal can redraw
    with Progress(*columns, console=console, transient=True, disable=not live) as progress:
        task = progress.add_task(escape(name), total=None)
        yield lambda detail: progress.update(task, description=escape(f"{name}: {detail}"))
    console.print(f"[green]✓[/] {escape(name)} [dim]{time.monotonic() - began:.1f} s[/]")


def answers_table(
    texts: Mapping[Source, str], answers: Sequence[Answer], lags: Sequence[int] = ()
) -> Table:
    """Return a table of the answers as they arrived, dead letters in red, with the lag below."""
    table = Table(title=f"{len(answers)} of {len(texts)} answered", title_justify="left")
    table.add_column("text", max_width=TEXT_WIDTH, no_wrap=True)
    table.add_column("entities")
    table.add_column("ms", justify="right")
    table.add_column("from", justify="right")
    for answer in answers:
        text = texts.get(answer.source, "(not sent by this demo)")
        source = f"{answer.source.partition}/{answer.source.offset}"
        table.add_row(Text(text), outcome(answer), str(answer.latency_ms), source)
    table.caption = (
        "ms: from the message's Kafka timestamp to its answer's; Spark's first micro-batch is slow"
        "\nfrom: partition/offset of the message"
        f"\nlag of the consumer group, in messages: {' → '.join(map(str, lags))}"
    )
    table.caption_justify = "left"
    return table


def outcome(answer: Answer) -> Text:
    """Return the entities with their categories, or the error of a dead letter."""
    if answer.error is not None:
        return Text(answer.error, style="red")
    entities = [Text.assemble(name, " ", (kind, "cyan")) for name, kind in answer.entities]
    return Text(", ").join(entities) if entities else Text("none", style="dim")


def kafkas_lag_table(output: str) -> Table:
    """Return a table of the output of Kafka's ConsumerGroupCommand."""
    table = Table(title="the same, from Kafka's own tool", title_justify="left")
    lines = [line.split() for line in output.splitlines() if line.strip()]
    start = next((i for i, line in enumerate(lines) if line[0] == "GROUP"), len(lines))
    for name in lines[start][:6] if start < len(lines) else ():
        table.add_column(name.lower(), justify="left" if name in {"GROUP", "TOPIC"} else "right")
    for line in sorted(lines[start + 1 :]):
        table.add_row(*line[:6])
    return table
