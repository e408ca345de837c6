"""Dead letters in a terminal: from strangers, so all that is theirs goes through `foreign`."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from tidemill.terminal.escape import pretty, shown, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tidemill.dead_letters.letters import DeadLetter
    from tidemill.dead_letters.summary import Seen

SHORT = 60  # characters of a value or message in a table


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
    table = ruled_table(f"{total:,} dead letters", "error class", "letters", "first", "last")
    for name, seen in sorted(classes.items(), key=lambda item: -item[1].count):
        first, last = moment(seen.first), moment(seen.last)
        table.add_row(Text(visible(name)), f"{seen.count:,}", first, last)
    return table


def letters_table(letters: Sequence[DeadLetter]) -> Table:
    """Lay out letters, one a row."""
    columns = ("at", "time", "error class", "message", "from", "tries", "value")
    table = ruled_table(f"the newest {len(letters):,}", *columns)
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
    headers = ruled_table(f"{len(letter.headers)} headers", "name", "value")
    for name, content in letter.headers:
        headers.add_row(Text(visible(name)), shown(content))
    yield headers if letter.headers else Text("no headers", style="bold")
    yield Text.assemble(("key ", "bold"), shown(letter.key))
    yield Text.assemble(("value\n", "bold"), pretty(letter.value))


def _escape(character: str) -> str:
    """Return a character as JSON escapes it: units of UTF-16."""
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def _field(name: str, content: bytes | None) -> dict[str, str | None]:
    try:
        return {name: None if content is None else content.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(content or b"").decode()}


def ruled_table(title: str, *columns: str) -> Table:
    """Return an empty table; counts stand to the right."""
    table = Table(title=title, title_justify="left")
    for name in columns:
        right = name in {"letters", "tries"}
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    return table


def _short(text: Text) -> Text:
    text.truncate(SHORT, overflow="ellipsis")
    return text
