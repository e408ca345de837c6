"""Describe a job: its class, its limits, and the JSON Schema of its parameters."""

from __future__ import annotations

import importlib
import inspect
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, get_type_hints

import msgspec
from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError

from tidemill.errors import InvalidJob, InvalidParameters, describe

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_NAME = 50  # characters of a client's names that errors show


class Runnable(Protocol):
    """What a job's class makes: `report(0.4, "phrase")` tells how far it is."""

    def run(self, parameters: Any, report: Callable[..., None]) -> object:  # noqa: ANN401
        """Return the result, which JSON can hold."""


class Job(msgspec.Struct, frozen=True, dict=True):
    """A job that tasks can be submitted for; the settings explain its fields."""

    name: str
    path: str
    options: dict[str, Any] = {}
    timeout: float = 3600
    concurrency: int | None = None
    attempts: int = 3

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of its parameters.

        Raises:
            InvalidJob: The class cannot be imported, or its type hints are of no use.

        """
        return self._schema

    def schema_with(self, template: str) -> dict[str, Any]:
        """Return the schema with other references, such as `#/components/schemas/{model}`."""
        return _closed(self._adapter.json_schema(ref_template=template))

    @cached_property
    def _class(self) -> type[Runnable]:
        module, _, name = self.path.partition(":")
        try:
            found: type[Runnable] = getattr(importlib.import_module(module), name)
        except Exception as error:
            raise InvalidJob(self.name, describe(error)) from error
        if not callable(getattr(found, "run", None)):
            raise InvalidJob(self.name, f"{self.path} has no method run")
        return found

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        method = self._class.run
        names = list(inspect.signature(method).parameters)
        if len(names) != len(("self", "parameters", "report")):
            raise InvalidJob(self.name, f"{self.path}.run must take parameters and report")
        try:
            return TypeAdapter(_hint(method, names[1]))
        except (NameError, TypeError, PydanticUserError, PydanticSchemaGenerationError) as error:
            raise InvalidJob(self.name, f"its parameters have no schema: {error}") from error

    @cached_property
    def _schema(self) -> dict[str, Any]:
        try:
            return _closed(self._adapter.json_schema())
        except PydanticUserError as error:
            raise InvalidJob(self.name, f"its parameters have no schema: {error}") from error

    def parse(self, parameters: str | bytes) -> Any:  # noqa: ANN401 - whatever `run` takes
        """Return parameters as `run` takes them.

        Raises:
            InvalidParameters: They do not have the schema.

        """
        try:
            parsed = self._adapter.validate_json(parameters, strict=True)
            # Pydantic also reads NaN and Infinity, which JSON lacks, so others could not read them.
            decoded = msgspec.json.decode(parameters)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            place = ".".join(str(part)[:MAX_NAME] for part in first["loc"])
            problem = first["msg"].removeprefix("Value error, ")  # of the job's own validators
            raise InvalidParameters(
                self.name, f"{place}: {problem}" if place else problem
            ) from None
        except (msgspec.MsgspecError, RecursionError) as error:
            raise InvalidParameters(self.name, error) from None
        known = self._schema.get("properties")
        if known is not None and not self._schema.get("additionalProperties"):
            for name in decoded:
                if name not in known:
                    raise InvalidParameters(
                        self.name, f"{name[:MAX_NAME]}: is not one of its parameters"
                    )
        return parsed

    def make(self) -> Runnable:
        """Return a new object of the class."""
        return self._class(**self.options)


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """Allow no other parameters: a misspelt name would pass for the default of the right one."""
    is_open = "properties" not in schema or schema.get("additionalProperties")
    return schema if is_open else schema | {"additionalProperties": False}


def _hint(method: Callable[..., object], name: str) -> Any:  # noqa: ANN401 - any type
    """Return the type hint of one argument; others may name what only type checkers import."""
    hint = method.__annotations__.get(name, dict[str, Any])
    only = type("Only", (), {"__annotations__": {name: hint}, "__module__": method.__module__})
    return get_type_hints(only, include_extras=True)[name]
