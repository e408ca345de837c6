"""Load the settings from a YAML file and the environment."""

from __future__ import annotations

import json
import os
import re
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_origin

from pydantic import ValidationError
from pydantic_settings import SettingsError

from tidemill import yaml_file
from tidemill.errors import InvalidSettings, SettingsFileUnreadable
from tidemill.settings.base import Section
from tidemill.settings.root import PREFIX, Program, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

ProgramT = TypeVar("ProgramT", bound=Program)
# Spark recognises secrets by these words in their names.
SECRET = re.compile(r"(?i)secret|password|token|access[.]?key")


def load(path: Path | None = None) -> Settings:
    """Load all settings; see `load_program`."""
    return load_program(Settings, path)


def load_program(program: type[ProgramT], path: Path | None = None) -> ProgramT:
    """Load the settings that a program needs from a YAML file and the environment.

    Without a path, read `config.yaml` in the working folder, if it exists. Sections that only other
    programs read are not checked.

    Raises:
        SettingsFileUnreadable: The file is missing, or is not a YAML mapping.
        InvalidSettings: A key is unknown or a value is wrong; the error names all of them.

    """
    path = path or default_file()
    document = _document(path) if path else {}
    source = f"{path} and environment" if path else "environment"
    try:
        _refuse_unknown_variables()
        others = Settings.model_fields.keys() - program.model_fields.keys()
        settings = program(**{key: value for key, value in document.items() if key not in others})
    except ValidationError as error:
        raise InvalidSettings(source, (_problem(e) for e in error.errors())) from None
    except SettingsError:
        raise InvalidSettings(source, _no_json(program)) from None
    except ValueError as error:
        raise InvalidSettings(source, [str(error)]) from None
    base = path.parent if path else Path()
    placed = settings.model_copy(update={"models": base / settings.models})
    placed.model_fields_set.intersection_update(settings.model_fields_set)  # what the user has set
    return placed


def default_file() -> Path | None:
    """Return `config.yaml` in the working folder, if it exists."""
    path = Path("config.yaml")
    return path if path.is_file() else None


def _document(path: Path) -> dict[str, Any]:
    document = yaml_file.read(path, "Name an existing file with --config.")
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise SettingsFileUnreadable(
            path, "its top level is no mapping", "Write sections (kafka:, stream:)."
        )
    # Names that cannot be keyword arguments, or that would control pydantic-settings.
    if unknown := [key for key in document if not isinstance(key, str) or key.startswith("_")]:
        raise InvalidSettings(str(path), [f"{key}: there is no such setting" for key in unknown])
    _refuse_secrets(path, document)
    return document


def _refuse_secrets(path: Path, document: dict[str, Any]) -> None:
    """Refuse secrets in the file: they belong in the environment or in files of their own."""
    for section, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            for name in field.annotation.secrets():
                if name in _keys(document, section):
                    variable = f"{PREFIX}{section.upper()}__{name.upper()}"
                    setting = f"{section}.{name}"
                    problem = f"{setting} is a secret: set {variable} or {setting}_file"
                    raise InvalidSettings(str(path), [problem])
    for name in _keys(document, "spark"):
        if SECRET.search(str(name)):
            raise InvalidSettings(
                str(path), [f"spark.{name} is a secret: set {PREFIX}SPARK, a JSON object, with it"]
            )


def _keys(document: dict[str, Any], section: str) -> list[Any]:
    return list(document[section]) if isinstance(document.get(section), dict) else []


def _refuse_unknown_variables() -> None:
    """Report variables of an unknown section, which pydantic-settings would ignore."""
    for variable in os.environ:
        name = variable.upper()
        section = name.removeprefix(PREFIX[:-1]).removeprefix("_").split("__")[0].lower()
        if name.startswith(PREFIX) and section not in Settings.model_fields:
            raise ValueError(f"{variable}: there is no section {section!r}")
        if not name.startswith(PREFIX) and name.startswith(f"{PREFIX[:-1]}{section.upper()}__"):
            raise ValueError(f"{variable}: two underscores must follow TIDEMILL")


def _no_json(program: type[Program]) -> Iterator[str]:
    """Report each variable that must be JSON but is not, without its value."""
    for variable, value in os.environ.items():
        section, _, name = variable.lower().removeprefix(PREFIX.lower()).partition("__")
        is_ours = variable.upper().startswith(PREFIX) and section in program.model_fields
        if not is_ours or section == "models":
            continue
        kind = program.model_fields[section].annotation
        if name:
            field = getattr(kind, "model_fields", {}).get(name)
            kind = field.annotation if field else None
        example = """'["a", "b"]'""" if get_origin(kind) is tuple else """'{"name": "value"}'"""
        if get_origin(kind) in {tuple, dict} or not name:
            try:
                json.loads(value)
            except ValueError:
                yield f"{variable} is not JSON: write it like {example}"


def _names() -> list[str]:
    """Return the names of all sections and settings."""
    sections = [Settings, *(field.annotation for field in Settings.model_fields.values())]
    return [name for section in sections for name in getattr(section, "model_fields", ())]


def _problem(error: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails, a TypedDict
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        wrong = str(error["loc"][-1])
        longer = [name for name in _names() if name.startswith(f"{wrong}_")]
        near = longer or get_close_matches(wrong, _names(), n=1)
        return f"{where}: there is no such setting" + (f", did you mean {near[0]}?" if near else "")
    if error["type"] == "tuple_type":
        return f"{where}: must be a list, such as [a, b]"
    if error["type"] == "model_type":
        return f"{where}: must be a mapping, such as {{name: value}}"
    return f"{where}: {error['msg'].removeprefix('Value error, ')}"
