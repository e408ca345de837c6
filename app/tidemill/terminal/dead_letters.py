"""Render dead letters. Strangers wrote their content, so all of it goes through `escape`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from tidemill.inference.readable import readable
from tidemill.terminal.escape import pretty, printable_json, shown, visible
from tidemill.units import moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tidemill.dead_letters.letters import DeadLetter
    from tidemill.dead_letters.summary import ErrorClassCount

SHORT = 60  # characters of a value or message in a table


def json_line(letter: DeadLetter) -> str:
    """Return a letter as one line of JSON; bytes are text, or base64 under `<name>_base64`."""
    line = json.dumps(
        {
            "partition": letter.partition,
            "offset": letter.offset,
            "timestamp": time_of(letter.timestamp),
            "error": letter.error,
            "message": letter.message,
            "source": {
                "topic": letter.source_topic,
                "partition": letter.source_partition,
                "offset": letter.source_offset,
                "timestamp": time_of(letter.source_timestamp),
            },
            "model": letter.model,
            "tries": letter.tries,
            "omitted": letter.omitted,
            **readable("key", letter.key),
            **readable("value", letter.value),
            "headers": [{"name": n, **readable("value", content)} for n, content in letter.headers],
        },
        ensure_ascii=False,
    )
    return printable_json(line)


def time_of(timestamp: int | None) -> str | None:
    """Return a time as ISO 8601, if there is one."""
    return None if timestamp is None else moment(timestamp)


def classes_table(classes: Mapping[str, ErrorClassCount]) -> Table:
    """Return a table of the error classes, the most frequent first."""
    total = sum(seen.count for seen in classes.values())
    table = ruled_table(f"{total:,} dead letters", "error class", "letters", "first", "last")
    for name, seen in sorted(classes.items(), key=lambda item: -item[1].count):
        first, last = time_of(seen.first), time_of(seen.last)
        table.add_row(Text(visible(name)), f"{seen.count:,}", first, last)
    return table


def letters_table(letters: Sequence[DeadLetter]) -> Table:
    """Return a table with a row for each letter."""
    columns = ("place", "time", "error class", "message", "from", "tries", "value")
    table = ruled_table(f"the newest {len(letters):,}", *columns)
    for letter in letters:
        table.add_row(
            f"{letter.partition}/{letter.offset}",
            time_of(letter.timestamp),
            Text(visible(letter.error)),
            _short(Text(visible(letter.message))),
            Text(visible(source(letter))),
            str(letter.tries),
            Text("omitted", style="dim") if letter.omitted else _short(shown(letter.value)),
        )
    return table


def source(letter: DeadLetter) -> str:
    """Return the message's topic, partition and offset, with a question mark for unknown parts."""
    parts = letter.source_topic, letter.source_partition, letter.source_offset
    return "/".join("?" if part is None else str(part) for part in parts)


def letter_view(letter: DeadLetter) -> Iterator[Text | Table]:
    """Yield the parts of one letter: its error, its source, headers, key and value."""
    facts = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, text in {
        "dead letter": f"{letter.partition}/{letter.offset}, {time_of(letter.timestamp)}",
        "error class": letter.error,
        "message": letter.message,
        "model": letter.model or "none",
        "from": f"{source(letter)}, {time_of(letter.source_timestamp) or '?'}",
        "tries": str(letter.tries),
        **({"omitted": letter.omitted} if letter.omitted else {}),
    }.items():
        facts.add_row(Text(name, style="bold"), Text(visible(text)))
    yield facts
    headers = ruled_table(f"{len(letter.headers)} headers", "name", "value")
    for name, content in letter.headers:
        headers.add_row(Text(visible(name)), shown(content))
    yield headers if letter.headers else Text("no headers", style="bold")
    yield Text.assemble(("key ", "bold"), shown(letter.key))
    yield Text.assemble(("value\n", "bold"), pretty(letter.value))


def ruled_table(title: str, *columns: str) -> Table:
    """Return an empty table; align counts to the right."""
    table = Table(title=title, title_justify="left")
    for name in columns:
        right = name in {"letters", "tries"}
        table.add_column(
            name,
            justify="right" if right else "left",
            overflow="fold",
            no_wrap=name == "error class",
        )
    return table


def _short(text: Text) -> Text:
    text.truncate(SHORT, overflow="ellipsis")
    return text
