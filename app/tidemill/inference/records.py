"""Map messages to requests, and outputs to results: fields, routes and the envelope."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tidemill.errors import MessageError, TidemillError
from tidemill.inference.codec import (
    copied_fields,
    decode_text,
    encode_result,
    fields_or_none,
    not_an_object,
    require_text,
)
from tidemill.inference.message import Failure, Prediction
from tidemill.inference.request import Request
from tidemill.inference.route import Router, single_routes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidemill.inference.codec import Fields
    from tidemill.inference.message import Message, Outcome
    from tidemill.inference.model import ModelSpec
    from tidemill.inference.request import Output
    from tidemill.inference.route import Route


class RoutedMessage(msgspec.Struct, frozen=True):
    """A message's request, and the fields to copy into its result."""

    request: Request
    copied: dict[str, msgspec.Raw]


class RecordCodec:
    """Read messages and write results as the entries of models.yaml say."""

    def __init__(self, specs: Iterable[ModelSpec]) -> None:
        """Index the entries.

        Raises:
            InvalidModels: Two entries match the same messages.

        """
        specs = tuple(specs)
        self._router = Router(single_routes(specs))
        # If no entry reads fields, no value is parsed.
        self._parse = any(s.match or s.payload or s.id_field or s.echo for s in specs)

    def read(self, message: Message) -> RoutedMessage | Failure:
        """Decode and route one message."""
        spec = None
        try:
            value = decode_text(message.value)
            route, fields = self._route(value)
            spec = route.choose(message.key or value)
            payload = require_text(fields, spec.payload) if spec.payload else value
            copied = copied_fields(fields, spec)
        except MessageError as error:
            return Failure(error, spec.id if spec else None)
        return RoutedMessage(Request(spec, payload), copied)

    @staticmethod
    def write(message: RoutedMessage, output: Output) -> Outcome:
        """Return the outcome of a message.

        Raises:
            TidemillError: The model is down, so the message has no outcome yet.

        """
        spec = message.request.spec
        match output.result:
            case MessageError() as error:
                return Failure(error, spec.id)
            case TidemillError() as outage:
                raise outage
            case text:
                result = encode_result(message.copied, spec.result, text, spec.id, output.span)
                return Prediction(result, spec.id)

    def _route(self, value: str) -> tuple[Route, Fields]:
        """Return the route that a value matches, and the value's fields.

        Only an entry without `match` and `payload` accepts a value that is not a JSON object.

        Raises:
            MessageError: No entry matches the value.

        """
        fields = fields_or_none(value) if self._parse else {}
        if fields is not None:
            return self._router.route(fields), fields
        route = self._router.catch_all
        if route is None or any(variant.spec.payload for variant in route.variants):
            raise not_an_object(value)
        return route, {}
