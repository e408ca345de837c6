"""A codec that keeps what each step of reading and writing a message returned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.inference.records import RecordCodec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidemill.inference.codec import Fields
    from tidemill.inference.message import Assignment, Message, Outcome
    from tidemill.inference.model import ModelSpec
    from tidemill.inference.records import RoutedMessage
    from tidemill.inference.request import Output
    from tidemill.inference.route import Route, Variant


class WatchedCodec(RecordCodec):
    """A `RecordCodec` for one message. What a step would have returned is None if it failed."""

    def __init__(self, routes: Iterable[Route]) -> None:
        """Index the routes."""
        super().__init__(routes)
        self.value: str | None = None
        self.is_parsed = False
        self.fields: Fields | None = None  # also None if the value is not an object
        self.matched: Route | None = None
        self.variant: Variant | None = None
        self.assignment: Assignment | None = None
        self.input: str | None = None
        self.copied: Fields | None = None
        self.output: Output | None = None

    def decode(self, message: Message) -> str:
        """Keep the text."""
        self.value = super().decode(message)
        return self.value

    def parse(self, value: str) -> Fields | None:
        """Keep the fields."""
        self.fields = super().parse(value)
        self.is_parsed = True
        return self.fields

    def route(self, fields: Fields | None) -> Route:
        """Keep the route."""
        self.matched = super().route(fields)
        return self.matched

    def choose(
        self, route: Route, message: Message, fields: Fields, value: str
    ) -> tuple[Variant, Assignment | None]:
        """Keep the variant."""
        self.variant, self.assignment = super().choose(route, message, fields, value)
        return self.variant, self.assignment

    def take_input(self, spec: ModelSpec, fields: Fields, value: str) -> str:
        """Keep the input."""
        self.input = super().take_input(spec, fields, value)
        return self.input

    def copy(self, spec: ModelSpec, fields: Fields) -> Fields:
        """Keep the fields of the result."""
        self.copied = super().copy(spec, fields)
        return self.copied

    def write(self, message: RoutedMessage, output: Output) -> Outcome:  # type: ignore[override] # static there
        """Keep the engine's output."""
        self.output = output
        return super().write(message, output)
