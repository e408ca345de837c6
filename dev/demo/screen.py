"""What the demo shows: its steps, the answers as they come, the consumer group's lag."""

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
    """Return a console; a log file or a pipe, which have no width, get room for the tables."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=140)


@contextmanager
def step(console: Console, what: str) -> Iterator[Callable[[str], None]]:
    """Show that a step goes on, with what its `report` was told last, and then its time."""
    began = time.monotonic()
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    live = console.is_terminal  # elsewhere nothing can be drawn over
    with Progress(*columns, console=console, transient=True, disable=not live) as progress:
        task = progress.add_task(escape(what), total=None)
        yield lambda detail: progress.update(task, description=escape(f"{what}: {detail}"))
    console.print(f"[green]✓[/] {escape(what)} [dim]{time.monotonic() - began:.1f} s[/]")


def answers_table(
    texts: Mapping[Source, str], answers: Sequence[Answer], lags: Sequence[int] = ()
) -> Table:
    """Lay out the answers in the order they came in; dead letters are red. Below, the lag's way."""
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
    """Write the entities, each with its category, or the error of a dead letter."""
    if answer.error is not None:
        return Text(answer.error, style="red")
    entities = [Text.assemble(name, " ", (kind, "cyan")) for name, kind in answer.entities]
    return Text(", ").join(entities) if entities else Text("none", style="dim")


def kafkas_lag_table(described: str) -> Table:
    """Lay out what Kafka's ConsumerGroupCommand printed."""
    table = Table(title="the same, by Kafka's own tool", title_justify="left")
    lines = [line.split() for line in described.splitlines() if line.strip()]
    start = next((i for i, line in enumerate(lines) if line[0] == "GROUP"), len(lines))
    for name in lines[start][:6] if start < len(lines) else ():
        table.add_column(name.lower(), justify="left" if name in {"GROUP", "TOPIC"} else "right")
    for line in sorted(lines[start + 1 :]):
        table.add_row(*line[:6])
    return table
