"""Compose the message from which a stream would read a given input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tidemill.inference.codec import fields_or_none, is_present
from tidemill.inference.headers import FORCE_VARIANT
from tidemill.inference.message import Message

if TYPE_CHECKING:
    from tidemill.inference.codec import Fields
    from tidemill.inference.message import Assignment
    from tidemill.inference.model import ModelSpec
    from tidemill.inference.route import Route


def compose(
    route: Route, spec: ModelSpec, text: str, key: str | None, assignment: Assignment | None
) -> Message:
    """Return a message that `RecordCodec.read` turns into this input, for the same model.

    `key` chose the variant, unless `assignment` is forced; an empty key is none. The message has
    the fields that the route matches, so an input that is the whole message may get more fields.
    There is no such message if an input that must be an object is something else, or if the route
    matches no messages; then the message has the input as far as possible.
    """
    record_key = key or (text if route.is_split and route.split_by is None else None)
    forced = (assignment.variant,) if assignment and assignment.forced else ()
    return Message(
        value=_value(route, spec, text, key),
        key=record_key.encode() if record_key else None,
        headers=tuple((FORCE_VARIANT, name.encode()) for name in forced),
    )


def _value(route: Route, spec: ModelSpec, text: str, key: str | None) -> bytes:
    fields: Fields | None
    if isinstance(spec.payload, str):
        value = msgspec.json.encode(text) if spec.is_text else text.encode()
        fields = {spec.payload: msgspec.Raw(value)}
    else:
        fields = fields_or_none(text)
    if fields is None:
        return text.encode()
    added = dict(route.match or {})
    if route.is_split and route.split_by and key and not is_present(fields, route.split_by):
        added[route.split_by] = key
    encoded = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in added.items()}
    if spec.payload is None and all(fields.get(name) == value for name, value in encoded.items()):
        return text.encode()
    return msgspec.json.encode(fields | encoded)
