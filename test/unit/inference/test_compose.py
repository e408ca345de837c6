"""The message that is composed for an input is read as this input, for the same model."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tidemill.inference.compose import compose
from tidemill.inference.message import Assignment
from tidemill.inference.model import ModelSpec
from tidemill.inference.records import RecordCodec, RoutedMessage
from tidemill.inference.route import Route, Variant

TEXTS = st.text(min_size=1)
NAMES = st.sampled_from(["a", "b", "to", "user"])
OBJECTS = st.dictionaries(NAMES, st.text() | st.integers() | st.none(), min_size=1).map(json.dumps)
KEYS = st.none() | st.text()


def route(payload: object, *, is_text: bool, split_by: str | None, variants: int) -> Route:
    """Return a route that messages to `x` match."""
    specs = [
        ModelSpec(
            name="m", version=str(number), adapter="m:M", match={"to": "x"}, is_text=is_text,
            payload=payload,  # type: ignore[arg-type]
        )
        for number in range(variants)
    ]  # fmt: skip
    named = tuple(Variant(spec.version, spec) for spec in specs)
    return Route("m", {"to": "x"}, named, split_by=split_by)


def read(
    route: Route, text: str, key: str | None, *, forced: str | None = None
) -> tuple[ModelSpec, RoutedMessage]:
    """Return the model that a server chooses, and what a stream reads from the message."""
    fields = json.loads(text) if route.split_by and text.startswith("{") else {}
    own = fields.get(route.split_by) if isinstance(fields, dict) else None
    chosen = str(own) if own is not None else key or text
    variant = route.find(forced) if forced else route.choose(chosen)
    assignment = Assignment(variant.name, forced=bool(forced)) if route.is_split else None
    message = compose(route, variant.spec, text, key, assignment)
    routed = RecordCodec([route]).read(message)
    assert isinstance(routed, RoutedMessage), routed
    assert routed.assignment == assignment
    return variant.spec, routed


@given(TEXTS, KEYS, st.sampled_from([None, "0", "2"]), st.integers(1, 3))
def test_text(text: str, key: str | None, forced: str | None, variants: int) -> None:
    """A text keeps its characters; its variant is that of the key, or else of the text."""
    one = route("text", is_text=True, split_by=None, variants=variants)
    named = forced if variants == 3 else None
    spec, routed = read(one, text, key, forced=named)
    assert (routed.request.spec, routed.request.input) == (spec, text)


@given(OBJECTS, st.text(min_size=1))
def test_whole_message(text: str, key: str) -> None:
    """An object that is the whole message keeps its values, and gets the fields of its route."""
    one = route(None, is_text=False, split_by="user", variants=2)
    _, routed = read(one, text, key)
    found = json.loads(routed.request.input or "")
    given_fields: dict[str, Any] = json.loads(text)
    user = given_fields.get("user")
    assert found == given_fields | {"to": "x", "user": key if user is None else user}


def test_whole_message_unchanged() -> None:
    """An object that already has the fields keeps every byte."""
    one = route(None, is_text=False, split_by=None, variants=1)
    text = '{ "to": "x",  "n": 1.50 }'
    assert read(one, text, None)[1].request.input == text


@given(OBJECTS, st.text(min_size=1))
def test_several_fields(text: str, key: str) -> None:
    """Of an object whose fields are the payload, the model gets these fields."""
    one = route(("a", "b"), is_text=False, split_by="key", variants=2)
    fields = json.loads(text)
    if not {"a", "b"} & fields.keys():
        fields["a"] = 1
    _, routed = read(one, json.dumps(fields), key)
    expected = {name: fields[name] for name in ("a", "b") if name in fields}
    assert json.loads(routed.request.input or "") == expected


@given(st.lists(st.integers()).map(json.dumps), st.text(min_size=1))
def test_one_field(text: str, key: str) -> None:
    """A value of any type stays in its field."""
    one = route("values", is_text=False, split_by="user", variants=2)
    _, routed = read(one, text, key)
    assert json.loads(routed.request.input or "") == json.loads(text)


def test_text_that_no_stream_reads() -> None:
    """An input that is no object, though messages must be, is written as it is."""
    one = route(None, is_text=True, split_by=None, variants=1)
    assert compose(one, one.variants[0].spec, "plain", None, None).value == b"plain"
