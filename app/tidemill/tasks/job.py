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
# Pydantic's words for a name that a model, or a dataclass, does not have.
UNKNOWN_NAME = {"extra_forbidden", "unexpected_keyword_argument"}


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
        arguments = list(inspect.signature(method).parameters)
        if len(arguments) != len(("self", "parameters", "report")):
            raise InvalidJob(self.name, f"{self.path}.run must take parameters and report")
        try:
            return TypeAdapter(_hint(method, arguments[1]))
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
            # A misspelt name of an optional parameter would pass for its default.
            extra: Any = "forbid" if not any(map(_is_open, _models(self._schema))) else None
            parsed = self._adapter.validate_json(parameters, strict=True, extra=extra)
            # Pydantic also reads NaN and Infinity, which JSON lacks, so others could not read them.
            msgspec.json.decode(parameters)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_context=False)
            misspelt = (each for each in problems if each["type"] in UNKNOWN_NAME)
            first = next(misspelt, problems[0])
            place = ".".join(str(part)[:MAX_NAME] for part in first["loc"])
            problem = first["msg"].removeprefix("Value error, ")  # of the job's own validators
            if first["type"] in UNKNOWN_NAME:
                problem = "is not one of its parameters"
            raise InvalidParameters(
                self.name, f"{place}: {problem}" if place else problem
            ) from None
        except (msgspec.MsgspecError, RecursionError) as error:
            raise InvalidParameters(self.name, error) from None
        return parsed

    def make(self) -> Runnable:
        """Return a new object of the class."""
        return self._class(**self.options)


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema whose models take no other names than their own, unless one takes others."""
    models = _models(schema)
    if not any(map(_is_open, models)):
        for model in models:
            model["additionalProperties"] = False
    return schema


def _models(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the schemas of models, of which parameters consist."""
    return [each for each in (schema, *schema.get("$defs", {}).values()) if "properties" in each]


def _is_open(model: dict[str, Any]) -> bool:
    return bool(model.get("additionalProperties"))


def _hint(method: Callable[..., object], name: str) -> Any:  # noqa: ANN401 - any type
    """Return the type hint of one argument; others may name what only type checkers import."""
    hint = method.__annotations__.get(name, dict[str, Any])
    only = type("Only", (), {"__annotations__": {name: hint}, "__module__": method.__module__})
    return get_type_hints(only, include_extras=True)[name]
