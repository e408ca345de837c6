"""The job's settings that a deployment passes on: known names, valid values, no secrets."""

from __future__ import annotations

import ast
import json
import re
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy.databricks.errors import SecretInTheOpen, SettingsWrong

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PREFIX = "TIDEMILL__"
SOURCE = Path(__file__).parents[2] / "app" / "tidemill" / "settings"
# The settings that are secrets, and the pattern of Spark settings that are.
SECRETS = (
    "kafka.ssl_key_password",
    "kafka.sasl_password",
    "kafka.oauth_client_secret",
    "monitoring.pushgateway_password",
    "store.password",
)
SECRET_NAME = re.compile(r"(?i)secret|password|token|access[.]?key")
REFERENCE = re.compile(r"\{\{secrets/[^/{}]+/[^/{}]+\}\}")
# The section with Spark's own settings, which are not listed anywhere completely.
OPEN = "spark"


def settings_of(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that are settings of the job.

    Names are checked against the source text of the settings' classes, as a dry run needs no
    packages. Values are checked too if the packages are installed.

    Raises:
        SettingsWrong: The job would refuse or ignore some variables; the message names each.
        SecretInTheOpen: A secret is given as plain text, not as a reference.

    """
    settings = {n: environ[n] for n in sorted(environ) if n.upper().startswith(PREFIX)}
    if wrong := [*_misspelt_prefixes(environ), *_unknown(settings)]:
        raise SettingsWrong(wrong)
    for name, value in settings.items():
        if not REFERENCE.fullmatch(value) and any(map(_is_secret, _places(name, value))):
            raise SecretInTheOpen(name)
    if wrong := list(_impossible(settings)):
        raise SettingsWrong(wrong)
    return settings


def _misspelt_prefixes(environ: Iterable[str]) -> Iterator[str]:
    """Yield a problem for each variable whose prefix looks like a misspelt one."""
    for name in environ:
        word, _, rest = name.upper().partition("_")
        near = get_close_matches(word, [PREFIX.strip("_")], cutoff=0.8)
        if near and "__" in f"_{rest}" and not name.upper().startswith(PREFIX):
            yield f"{name}: the name of a setting begins with {PREFIX}"


def _unknown(settings: Mapping[str, str]) -> Iterator[str]:
    """Yield a problem for each variable, or key of its JSON value, that names no setting."""
    known = sections()
    for variable, value in settings.items():
        for place in _places(variable, value):
            section, dot, name = place.partition(".")
            if section not in known:
                yield f"{variable}: there is no section {section!r}{_hint(section, known)}"
            elif dot and section != OPEN and name not in known[section]:
                yield f"{variable}: there is no setting {place!r}{_hint(name, known[section])}"


def _hint(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f", did you mean {near[0]!r}?" if near else ""


def _places(variable: str, value: str) -> list[str]:
    """Return the settings that a variable sets, as `section.name`; a section may be JSON."""
    section, nested, name = variable.upper().removeprefix(PREFIX).lower().partition("__")
    if nested:
        return [f"{section}.{name}"]
    try:
        return [f"{section}.{key}" for key in dict(json.loads(value))]
    except (ValueError, TypeError):
        # The job refuses a value that is no JSON object; a value for Spark may still hold a secret.
        return [f"{section}.{value}" if section == OPEN else section]


def _is_secret(place: str) -> bool:
    section, _, name = place.partition(".")
    return place in SECRETS or (section == OPEN and bool(SECRET_NAME.search(name)))


@cache
def sections() -> dict[str, frozenset[str]]:
    """Return the names of the settings of each section."""
    classes: dict[str, dict[str, str]] = {}
    bases: dict[str, list[str]] = {}
    for path in SOURCE.glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                bases[node.name] = [ast.unparse(base) for base in node.bases]
                classes[node.name] = {
                    field.target.id: ast.unparse(field.annotation)
                    for field in node.body
                    if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
                }
    root: dict[str, str] = {}
    names = ["Settings"]
    for name in names:  # grows by the base classes
        root |= classes.get(name, {})
        names += bases.get(name, [])
    return {name: frozenset(classes.get(annotation, ())) for name, annotation in root.items()}


def _impossible(settings: Mapping[str, str]) -> Iterator[str]:
    """Yield a problem for each invalid value, if the packages are installed.

    Constraints between settings are left to the job: some settings may be in its file.
    """
    try:
        from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415
        from pydantic_settings import EnvSettingsSource  # noqa: PLC0415

        from tidemill.settings import Settings  # noqa: PLC0415
    except ImportError:
        return
    source = EnvSettingsSource(Settings)
    for variable, value in settings.items():
        if REFERENCE.fullmatch(value):
            continue
        source.env_vars = {variable.lower(): value}
        try:
            for section, given in source().items():
                field: Any = Settings.model_fields[section].annotation
                TypeAdapter(field).validate_python(given)
        except ValidationError as error:
            for problem in error.errors(include_input=False, include_url=False):
                if problem["loc"]:  # empty for a constraint between settings
                    yield f"{variable}: {problem['msg'].removeprefix('Value error, ')}"
        except ValueError:  # raised by pydantic-settings; its text could quote a secret
            yield f"{variable}: must be JSON, such as " + """'["a", "b"]' or '{"a": "b"}'"""
