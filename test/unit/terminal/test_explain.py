from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from any_messages import MESSAGE, Moody
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from specs import make_spec

from tidemill.dead_letters.letters import DeadLetter
from tidemill.errors import KeyRequired
from tidemill.explain.explanation import explain, record_of
from tidemill.explain.origin import Origin
from tidemill.inference.message import Failure, Message, OutcomeRecord
from tidemill.inference.route import Route, Variant, single_routes
from tidemill.terminal.explain import document, parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.explain.explanation import Writer

EN = make_spec(name="en", match={"lang": "en", "more": 2}, payload="text", sample="fine")
ALL = make_spec(name="all", echo="all")
SPLIT = Route("ab", {}, (Variant("a", ALL, 90.0), Variant("b", EN, 10.0)), split_by="user")
HERE = Origin("here")
ROUTES = [single_routes([EN]), single_routes([EN, ALL]), (SPLIT,)]


def shown(
    message: Message,
    routes: Sequence[Route],
    origin: Origin = HERE,
    width: int = 80,
    write: Writer = record_of,
) -> str:
    """Return what a terminal shows."""
    wide = Console(width=width, highlight=False)
    explanation = explain(routes, message, origin, lambda _: Moody(), write=write)
    with wide.capture() as captured:
        for part in parts(explanation):
            wide.print(part)
    return captured.get()


class TestParts:
    """The steps are shown one below the other, and no content controls the terminal."""

    @given(MESSAGE, st.sampled_from(ROUTES), st.sampled_from([80, 120]))
    def test_any_message(self, message: Message, routes: Sequence[Route], width: int) -> None:
        """Any message is shown within the terminal's width, in printable characters."""
        lines = shown(message, routes, width=width).split("\n")
        assert all(line.isprintable() for line in lines)
        steps = [line[2:10].strip() for line in lines if line[:1] in set("✓✗·")]
        assert steps == ["record", "decode", "route", "variant", "input", "model", "encode"]

    def test_closest(self) -> None:
        """Of an entry that nearly matches, the field and the types that differ are shown."""
        message = Message(json.dumps({"lang": "en", "more": "2"}).encode())
        text = " ".join(shown(message, ROUTES[0]).split())
        assert 'en:1 needs more = 2, which is "2", string instead of number' in text

    def test_long(self) -> None:
        """A long value is cut, and its length is told; the document has all of it."""
        message = Message(json.dumps({"text": "é" * 10_000}, ensure_ascii=False).encode())
        text = shown(message, ROUTES[1])
        assert "20,012 bytes" in text
        assert "… and 9,712 characters more" in " ".join(text.split())
        explanation = explain(ROUTES[1], message, HERE, lambda _: Moody())
        assert "é" * 10_000 in json.loads(document(explanation))["steps"]["record"]["value"]

    def test_many_fields(self) -> None:
        """Of many fields, the first are named, and the others counted."""
        message = Message(json.dumps({f"f{i}": i for i in range(1000)}).encode())
        text = " ".join(shown(message, ROUTES[1]).split())
        assert "object with 1,000 fields" in text
        assert "and 970 more" in text
        assert "… and 971 more lines" in text

    def test_letter(self) -> None:
        """A dead letter says why it is one, and that its message is what follows."""
        letter = DeadLetter(0, 0, 0, None, b"{}", (), "NoModel", "said \x1b")
        text = shown(Message(b"{}"), ROUTES[1], Origin("dlq/0/1", {}, letter))
        assert "a dead letter: NoModel: said \\x1b" in text

    def test_omitted(self) -> None:
        """A dead letter whose topic has no room for the message says so."""

        def refuse(_: Message, __: object) -> OutcomeRecord:
            return OutcomeRecord(Failure(KeyRequired(), "all:1"), None, None, [])

        text = shown(Message(b"{}"), ROUTES[1], write=refuse)
        assert "left out, like the key" in text
        assert "✗ encode" in text

    @pytest.mark.parametrize(
        ("value", "verdict"), [(b"{}", "becomes a result"), (b"\xff", "becomes a dead letter")]
    )
    def test_verdict(self, value: bytes, verdict: str) -> None:
        """The last line says what becomes of the message."""
        assert verdict in shown(Message(value), ROUTES[1]).splitlines()[-1]
