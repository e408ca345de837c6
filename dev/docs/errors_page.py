"""The page about the errors, from their classes."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import sys
import textwrap
from typing import TYPE_CHECKING, Final

from tidemill import errors
from tidemill.errors.base import SeveralProblems

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD: Final = """\
# Errors

Every error that Tidemill raises on purpose has a name. The log prints it with its message; the exit
code says whether a restart can help. `{path}` and `…` stand for details that vary. An error
that finds several problems prints all of them, a line each; `{problems}` stands for the first.

An error without a name here is a bug, in Tidemill or in your model.
"""

CONFIGURATION: Final = """\
## Wrong configuration: exit code 2

A restart cannot help. Change what the message names.
"""

FAULTS: Final = """\
## Faults: exit code 1

A restart may help. The job repeats what was not finished; nothing is lost.
"""

MESSAGES: Final = """\
## One message is wrong: a dead letter

The class is in the header `tidemill.error.class`, and the message in `tidemill.error.message`. The
job goes on.
"""


def page() -> str:
    """Return the page."""
    groups: dict[str, list[type[Exception]]] = {CONFIGURATION: [], FAULTS: [], MESSAGES: []}
    for leaf in leaves():
        if issubclass(leaf, errors.MessageError):
            groups[MESSAGES].append(leaf)
        else:
            wrong = issubclass(leaf, errors.ConfigurationError)
            groups[CONFIGURATION if wrong else FAULTS].append(leaf)
    parts = [HEAD]
    for head, group in groups.items():
        parts += [head, *map(_entry, group)]
    return "\n".join(parts)


def _entry(leaf: type[Exception]) -> str:
    """Return what there is to know about an error, under a heading that links can name."""
    meaning = (inspect.getdoc(leaf) or "").partition("\n\n")[0]
    message, hint = words(leaf)
    parts = [f"### {leaf.__name__}", meaning, f"> {message}", hint]
    return "\n\n".join(" ".join(part.split()) for part in parts if part) + "\n"


def leaves() -> list[type[Exception]]:
    """Return every error class with a message of its own, in the order of their definition."""
    for module in pkgutil.walk_packages(getattr(errors, "__path__", []), "tidemill.errors."):
        importlib.import_module(module.name)
    ours = [
        leaf
        for leaf in _subclasses(errors.TidemillError)
        if leaf.__module__.startswith(errors.__name__)
        and "__init__" in vars(leaf)
        and leaf is not SeveralProblems
    ]
    return sorted(ours, key=lambda leaf: (leaf.__module__, inspect.getsourcelines(leaf)[1]))


def _subclasses(root: type[Exception]) -> Iterator[type[Exception]]:
    for leaf in root.__subclasses__():
        yield leaf
        yield from _subclasses(leaf)


def words(leaf: type[Exception]) -> tuple[str, str]:
    """Return the message and the hint that an error's constructor builds, without their values."""
    constants = vars(sys.modules[leaf.__module__])
    source = ast.parse(textwrap.dedent(inspect.getsource(vars(leaf)["__init__"])))
    for call in ast.walk(source):
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(".__init__"):
            message, *more = (a for a in call.args if ast.unparse(a) != "self")
            more += [keyword.value for keyword in call.keywords if keyword.arg == "hint"]
            parts = [_text(part, constants) for part in (message, *more)]
            if issubclass(leaf, SeveralProblems):  # subject, problems, hint
                parts = [f"{parts[0]}: {{problems}}", parts[2]]
            if issubclass(leaf, errors.RequestError):
                parts = parts[-2:]  # after title and status
            return parts[0], "".join(parts[1:]).removeprefix("…")
    return "…", ""


def _text(node: ast.expr, constants: dict[str, object]) -> str:
    """Return the text of an expression, with names or … for what it does not hold itself."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(_text(value, constants) for value in values)
        case ast.BinOp(left=left, right=right):
            return _text(left, constants) + _text(right, constants)
        case (
            ast.IfExp(body=value)
            | ast.FormattedValue(value=value)
            | ast.Call(func=ast.Name(id="str"), args=[value])
        ):
            return _text(value, constants)
        case ast.Name(id=name):
            return str(constants.get(name, f"{{{name}}}"))
        case _:
            return "…"
