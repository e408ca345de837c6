"""Read a YAML file that a user wrote, and remember the line of each value."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from tidemill.errors import SettingsFileUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# libyaml's parser is ten times as fast, but some builds of PyYAML lack it.
Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
INTEGER = "tag:yaml.org,2002:int"
# YAML 1.1 reads 010 as 8, and 12:30 as 750.
MISREAD = re.compile(r"[-+]?0[0-7_]+|.*:.*")


class Document:
    """The content of a file.

    Attributes:
        value: The document: dictionaries, lists and scalars.
        problems: The line and the problem of each key that occurs twice, and of each number that
            YAML reads as another one than its author may have meant.

    """

    def __init__(self, text: str) -> None:
        """Parse a text.

        Raises:
            yaml.YAMLError: It is not YAML.

        """
        loader = Loader(text)
        try:
            self._node = loader.get_single_node()
            self.problems = [] if self._node is None else sorted(set(_problems(self._node, set())))
            self.value: Any = None if self._node is None else loader.construct_document(self._node)
        finally:
            loader.dispose()

    def line(self, *path: str | int) -> int:
        """Return the line of the value to which keys and indexes lead, or of the last that exists.

        Lines are numbered from 1. A key of a mapping has the line of the key.
        """
        node, line = self._node, 1
        for step in path:
            match node:
                case yaml.MappingNode():
                    pairs = [pair for pair in node.value if pair[0].value == str(step)]
                case yaml.SequenceNode() if isinstance(step, int) and step < len(node.value):
                    pairs = [(node.value[step], node.value[step])]
                case _:
                    pairs = []
            if not pairs:
                break
            key, node = pairs[-1]
            line = key.start_mark.line + 1
        return line


def _problems(node: Any, seen: set[int]) -> Iterator[tuple[int, str]]:  # noqa: ANN401 - yaml.Node
    if id(node) in seen:  # an anchor's node is there once for each alias
        return
    seen.add(id(node))
    line = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        if node.tag == INTEGER and not node.style and MISREAD.fullmatch(node.value):
            number = yaml.safe_load(node.value)
            yield line, f"YAML reads {node.value} as the number {number}: put it in quotes"
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _problems(item, seen)
    elif isinstance(node, yaml.MappingNode):
        keys = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if (key.tag, key.value) in keys:
                    yield key.start_mark.line + 1, f"the key {key.value!r} occurs twice"
                keys.add((key.tag, key.value))
            yield from _problems(value, seen)


def read(path: Path, missing: str) -> Any:  # noqa: ANN401 - whatever the file holds
    """Return the content of a YAML file; see `load`."""
    return load(path, missing).value


def load(path: Path, missing: str) -> Document:
    """Return the document in a YAML file; `missing` says what to do if there is no such file.

    Raises:
        SettingsFileUnreadable: The file does not exist or is not YAML. The error quotes no line of
            it, because one may hold a secret.

    """
    try:
        return Document(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsFileUnreadable(path.absolute(), "there is no such file", missing) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        hint = "Correct the YAML there, or in the line before."
        raise SettingsFileUnreadable(path, f"{error.problem}{place}", hint) from None
    except UnicodeDecodeError as error:
        hint = "Save the file as UTF-8."
        reason = f"it is not UTF-8: {error.reason} at byte {error.start}"
        raise SettingsFileUnreadable(path, reason, hint) from None
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise SettingsFileUnreadable(path, error) from None
