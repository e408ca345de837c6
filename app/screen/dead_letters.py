"""Dead letters in a terminal: they are from strangers, so that nothing in them may steer it."""

from __future__ import annotations

import base64
import json
import shlex
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from app.dead_letters.letters import DeadLetter
    from app.dead_letters.listing import Seen
    from app.dead_letters.replay import Report

SHORT = 60  # characters of a value or message in a table


def console() -> Console:
    """Return a console; a file or a pipe, which have no width, get room for the tables."""
    made = Console(highlight=False)
    return made if made.is_terminal else Console(highlight=False, width=160)


@contextmanager
def progress(console: Console, what: str) -> Iterator[Callable[[int], None]]:
    """Show a bar while the letters are gone through; yield what takes how many are left."""
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def looked(left: int) -> None:
            done = bar.tasks[0].completed + 1
            bar.update(task, completed=done, total=done + left)

        yield looked


def visible(text: str) -> str:
    """Return text with everything that prints nothing, or steers a terminal, as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shown(content: bytes | None) -> Text:
    """Return bytes to look at: text where they are UTF-8, null where there are none."""
    if content is None:
        return Text("null", style="dim")
    if not content:
        return Text("empty", style="dim")
    return Text(visible(content.decode(errors="backslashreplace")))


def pretty(content: bytes | None) -> Text:
    """Return a value to look at: JSON over several lines, all else as it is."""
    try:
        lines = msgspec.json.format(content or b"", indent=2).decode().split("\n")
    except (ValueError, RecursionError):
        return shown(content)
    return Text("\n".join(map(visible, lines)))


def json_line(letter: DeadLetter) -> str:
    """Return a letter as one line of JSON; bytes are text, or base64 under `<name>_base64`."""
    line = json.dumps(
        {
            "partition": letter.partition,
            "offset": letter.offset,
            "timestamp": moment(letter.timestamp),
            "error": letter.error,
            "message": letter.message,
            "source": {
                "topic": letter.source_topic,
                "partition": letter.source_partition,
                "offset": letter.source_offset,
                "timestamp": moment(letter.source_timestamp),
            },
            "model": letter.model,
            "tries": letter.tries,
            "omitted": letter.omitted,
            **_field("key", letter.key),
            **_field("value", letter.value),
            "headers": [{"name": n, **_field("value", content)} for n, content in letter.headers],
        },
        ensure_ascii=False,
    )
    return "".join(c if c.isprintable() else _escape(c) for c in line)


def moment(timestamp: int | None) -> str | None:
    """Return milliseconds since the epoch as ISO 8601 in UTC; a number where no calendar has it."""
    if timestamp is None:
        return None
    try:
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=timestamp)
    except OverflowError:
        return str(timestamp)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def classes_table(classes: Mapping[str, Seen]) -> Table:
    """Lay out how many letters each error class has; the most frequent first."""
    total = sum(seen.count for seen in classes.values())
    table = _table(f"{total:,} dead letters", "error class", "letters", "first", "last")
    for name, seen in sorted(classes.items(), key=lambda item: -item[1].count):
        first, last = moment(seen.first), moment(seen.last)
        table.add_row(Text(visible(name)), f"{seen.count:,}", first, last)
    return table


def letters_table(letters: Sequence[DeadLetter]) -> Table:
    """Lay out letters, one a row."""
    columns = ("at", "time", "error class", "message", "from", "tries", "value")
    table = _table(f"the newest {len(letters):,}", *columns)
    for letter in letters:
        table.add_row(
            f"{letter.partition}/{letter.offset}",
            moment(letter.timestamp),
            Text(visible(letter.error)),
            _short(Text(visible(letter.message))),
            Text(visible(source(letter))),
            str(letter.tries),
            Text("omitted", style="dim") if letter.omitted else _short(shown(letter.value)),
        )
    return table


def source(letter: DeadLetter) -> str:
    """Return topic, partition and offset of the message; a question mark for what is not known."""
    parts = letter.source_topic, letter.source_partition, letter.source_offset
    return "/".join("?" if part is None else str(part) for part in parts)


def letter_view(letter: DeadLetter) -> Iterator[Text | Table]:
    """Lay out one letter whole: what happened, where it came from, headers, key, value."""
    facts = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, text in {
        "dead letter": f"{letter.partition}/{letter.offset}, {moment(letter.timestamp)}",
        "error class": letter.error,
        "message": letter.message,
        "model": letter.model or "none was chosen",
        "from": f"{source(letter)}, {moment(letter.source_timestamp) or '?'}",
        "tries": str(letter.tries),
        **({"omitted": letter.omitted} if letter.omitted else {}),
    }.items():
        facts.add_row(Text(name, style="bold"), Text(visible(text)))
    yield facts
    headers = _table(f"{len(letter.headers)} headers", "name", "value")
    for name, content in letter.headers:
        headers.add_row(Text(visible(name)), shown(content))
    yield headers if letter.headers else Text("no headers", style="bold")
    yield Text.assemble(("key ", "bold"), shown(letter.key))
    yield Text.assemble(("value\n", "bold"), pretty(letter.value))


def report_tables(report: Report, *, sent: bool) -> Iterator[Text | Table]:
    """Lay out what a replay did or would do, and what it leaves out."""
    title = f"{report.chosen.total():,} {'chosen and sent' if sent else 'would be sent'}"
    chosen = _table(title, "error class", "to topic", "letters")
    for (error, topic), count in report.chosen.most_common():
        chosen.add_row(Text(visible(error)), Text(visible(topic)), f"{count:,}")
    yield chosen if report.chosen else Text(title)
    for title, counts in {
        "left out": report.left_out,
        "cannot be sent now": report.held,
        "not delivered": report.failed,
    }.items():
        table = _table(f"{counts.total():,} {title}", "why", "letters")
        for said, count in counts.most_common():
            table.add_row(Text(visible(said)), f"{count:,}")
        if counts:
            yield table


def sending_command(
    config: Path | None, places: Sequence[str], options: Mapping[str, object]
) -> str:
    """Return the command that sends what the same options showed, as a shell reads it."""
    words = ["tidemill", "dlq", "replay", *places]
    for name, given in {**options, "config": config, "send": True}.items():
        for value in given if isinstance(given, list) else [given]:
            if value not in {None, False}:
                words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    return shlex.join(words)


def _escape(character: str) -> str:
    """Return a character as JSON escapes it: units of UTF-16."""
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def _field(name: str, content: bytes | None) -> dict[str, str | None]:
    try:
        return {name: None if content is None else content.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(content or b"").decode()}


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for name in columns:
        right = name in {"letters", "tries"}
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    return table


def _short(text: Text) -> Text:
    text.truncate(SHORT, overflow="ellipsis")
    return text
