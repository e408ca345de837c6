"""The page about the settings, from their classes."""

from __future__ import annotations

import inspect
import re
import textwrap
from typing import TYPE_CHECKING, Any, Final, Literal, get_args, get_origin

from pydantic_core import PydanticUndefined

from tidemill.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Collection

    from pydantic.fields import FieldInfo

HEAD: Final = """\
# Settings

Settings come from three places; later ones win: the defaults below, a YAML file (`config.yaml` of
the working folder, or `--config FILE`), and the environment. A variable's name is
`TIDEMILL__SECTION__NAME`; lists and mappings are JSON:
`TIDEMILL__STREAM__INPUT_TOPICS='["a", "b"]'`. An unknown key is an error that names it.

A relative path in `models` is relative to the settings file's folder; one in
`checkpoint_location`, to the working folder. Give each job a checkpoint of its own, by its full
path.

**Secrets** come from the environment, or from a file that a `…_file` setting names. In the YAML
file they are refused. They appear neither in logs nor on a command line.
[Topics and security](topics-and-security.md) says which settings a broker needs.
"""

NAMES: Final = {
    "str": "text",
    "int": "whole number",
    "float": "number",
    "bool": "true or false",
    "ByteSize": "number of bytes, or text such as `2GiB`",
    "Path": "path",
    "SecretStr": "secret",
}


def page() -> str:
    """Return the page."""
    sections = {
        name: field.annotation
        for name, field in Settings.model_fields.items()
        if hasattr(field.annotation, "model_fields")
    }
    parts = [HEAD]
    for name, section in sections.items():
        parts += [f"## `{name}`\n", _table(section, name)]
    parts += ["## Without a section\n", _table(Settings, "", without=sections)]
    return "\n".join(parts)


def _table(section: Any, prefix: str, without: Collection[str] = ()) -> str:  # noqa: ANN401 - a class of pydantic's
    about = attributes(section)
    rows = ["| setting, variable | type, default, meaning |", "|---|---|"]
    for name, field in section.model_fields.items():
        if name not in without:
            variable = "__".join(filter(None, ("TIDEMILL", prefix, name))).upper()
            facts = ", ".join(filter(None, (_type(field.annotation), _default(field))))
            meaning = about.get(name, "").replace("|", "\\|")
            rows.append(f"| `{name}`<br>`{variable}` | {facts}. {meaning} |")
    return "\n".join(rows) + "\n"


def attributes(owner: type) -> dict[str, str]:
    """Return what the docstrings of a class and its bases say about each attribute."""
    about: dict[str, str] = {}
    for each in reversed(owner.__mro__):
        _, _, listed = inspect.cleandoc(each.__doc__ or "").partition("Attributes:\n")
        entries = re.findall(r"^(\w+): (.*(?:\n +.*)*)", textwrap.dedent(listed), re.MULTILINE)
        about |= {name: " ".join(text.split()) for name, text in entries}
    return about


def _type(annotation: Any) -> str:  # noqa: ANN401 - any annotation
    """Describe a type to somebody who writes YAML."""
    origin, members = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return "one of " + ", ".join(f"`{choice}`" for choice in members)
    if origin is tuple:
        return "list of text"
    if origin is dict:
        return "mapping" if hasattr(members[1], "model_fields") else "mapping of text"
    if origin is not None:  # a union with None, or Annotated
        return _type(members[0])
    return NAMES.get(getattr(annotation, "__name__", ""), "text")


def _default(field: FieldInfo) -> str:
    """Show a default as YAML has it; nothing for None."""
    value = field.default
    if field.default_factory is not None:
        return "default: the host's name"
    if value is None or value is PydanticUndefined:
        return ""
    if isinstance(value, bool):
        value = str(value).lower()
    return f"default `[{', '.join(value)}]`" if isinstance(value, tuple) else f"default `{value}`"
