"""Map messages to requests, and outputs to results: fields, routes and the envelope."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tidemill.errors import MessageError, MissingField, TidemillError
from tidemill.inference.codec import (
    copied_fields,
    decode_text,
    encode_result,
    fields_or_none,
    is_present,
    not_an_object,
    require_key,
    require_text,
    require_value,
    select,
)
from tidemill.inference.headers import FORCE_VARIANT, SOURCE_TIMESTAMP
from tidemill.inference.message import Assignment, Failure, Prediction
from tidemill.inference.request import Request
from tidemill.inference.route import Router

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidemill.inference.codec import Fields
    from tidemill.inference.message import Message, Outcome
    from tidemill.inference.model import ModelSpec
    from tidemill.inference.request import Output
    from tidemill.inference.route import Route, Variant


class RoutedMessage(msgspec.Struct, frozen=True):
    """A message's request, its variant, and the fields to copy into its result."""

    request: Request
    copied: dict[str, msgspec.Raw]
    assignment: Assignment | None


class RecordCodec:
    """Read messages and write results as the routes say.

    `read` is made of steps, each a method, so that `tidemill explain` can watch them.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        """Index the routes.

        Raises:
            InvalidModels: Two routes match the same messages.

        """
        routes = tuple(routes)
        self.router = Router(routes)
        # If no route reads fields, no value is parsed.
        self.parses = any(route.is_split or _reads_fields(route) for route in routes)

    def read(self, message: Message) -> RoutedMessage | Failure:
        """Decode and route one message."""
        model = assignment = None
        try:
            value = self.decode(message)
            fields = self.parse(value)
            route = self.route(fields)
            fields = fields or {}
            variant, assignment = self.choose(route, message, fields, value)
            spec, model = variant.spec, variant.spec.id
            text = self.take_input(spec, fields, value)
            request = Request(spec, text, _time(spec, message))
            copied = self.copy(spec, fields)
        except MessageError as error:
            return Failure(error, model, assignment)
        return RoutedMessage(request, copied, assignment)

    def decode(self, message: Message) -> str:
        """Return a message's value as text.

        Raises:
            MessageError: There is no value, or it is not UTF-8.

        """
        return decode_text(message.value)

    def parse(self, value: str) -> Fields | None:
        """Return a value's fields, or None if it is not a JSON object but need not be one.

        Only a route that matches every message, and whose models take the whole value, accepts a
        value that is not a JSON object.

        Raises:
            InvalidJson: The value is not a JSON object, and no route takes any other.

        """
        fields = fields_or_none(value) if self.parses else {}
        if fields is None:
            route = self.router.catch_all
            if route is None or any(variant.spec.payload for variant in route.variants):
                raise not_an_object(value)
        return fields

    def route(self, fields: Fields | None) -> Route:
        """Return the route that matches a message's fields.

        Raises:
            MessageError: There is none.

        """
        return self.router.route(fields or {})

    def choose(
        self, route: Route, message: Message, fields: Fields, value: str
    ) -> tuple[Variant, Assignment | None]:
        """Return the variant that answers a message.

        Raises:
            UnknownVariant: The message forces a variant that the route does not have.
            MissingField: The message lacks the field that holds the key.

        """
        if not route.is_split:
            return route.variants[0], None
        if (name := _forced_variant(message, fields)) is not None:
            return route.find(name), Assignment(name, forced=True)
        variant = route.choose(split_key(route, message, fields, value))
        return variant, Assignment(variant.name)

    def take_input(self, spec: ModelSpec, fields: Fields, value: str) -> str:
        """Return the model's input.

        Raises:
            MessageError: The message lacks it, or it has the wrong type.

        """
        if spec.lookup:
            return value  # the key need not be in the payload
        match spec.payload:
            case None:
                return value
            case str() as field:
                return (require_text if spec.is_text else require_value)(fields, field)
            case names:
                return select(fields, names)

    def copy(self, spec: ModelSpec, fields: Fields) -> Fields:
        """Return the fields to copy into the result.

        Raises:
            InvalidJson: A value is nested too deeply.

        """
        return copied_fields(fields, spec)

    @staticmethod
    def write(message: RoutedMessage, output: Output) -> Outcome:
        """Return the outcome of a message.

        Raises:
            TidemillError: The model is down, so the message has no outcome yet.

        """
        spec, assignment = message.request.spec, message.assignment
        match output.result:
            case MessageError() as error:
                return Failure(error, spec.id, assignment)
            case TidemillError() as outage:
                raise outage
            case text:
                result = encode_result(
                    message.copied,
                    spec.result,
                    text,
                    spec.id,
                    output.span,
                    assignment=assignment,
                    features=output.features,
                )
                return Prediction(result, spec.id, assignment)


def _reads_fields(route: Route) -> bool:
    specs = [variant.spec for variant in route.variants]
    return any(
        spec.match or spec.payload or spec.id_field or spec.echo or spec.lookup for spec in specs
    )


def split_key(route: Route, message: Message, fields: Fields, value: str) -> str | bytes:
    """Return the key by which a route with several models splits its messages.

    Raises:
        MissingField: The message lacks the field that holds the key.

    """
    return require_key(fields, route.split_by) if route.split_by else message.key or value


def _forced_variant(message: Message, fields: Fields) -> str | None:
    """Return the variant that a message names in its last such header, or else in a field."""
    for name, content in reversed(message.headers):
        if name == FORCE_VARIANT and content is not None:
            return content.decode(errors="replace")
    return require_key(fields, FORCE_VARIANT) if is_present(fields, FORCE_VARIANT) else None


def _time(spec: ModelSpec, message: Message) -> int | None:
    """Return a message's own time.

    Raises:
        MissingField: It has none, but the entry wants features as of this time.

    """
    if message.timestamp is None and any(each.time == SOURCE_TIMESTAMP for each in spec.lookup):
        raise MissingField(SOURCE_TIMESTAMP, "In `lookup`, name the field that holds the time.")
    return message.timestamp
