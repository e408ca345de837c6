"""Create a folder for a model of one's own: a class, its entry, messages, a test, a Dockerfile."""

from __future__ import annotations

import importlib.util
import keyword
import re
from importlib import resources
from string import Template
from typing import TYPE_CHECKING

from tidemill.errors import FolderExists, InvalidProjectName

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".template"  # of the files with placeholders


def create(folder: Path) -> None:
    """Write the files of a new model into a new folder; the folder's name becomes the model's.

    Raises:
        InvalidProjectName: It cannot name a Python module, or a module has that name already.
        FolderExists: Something is there already; nothing is overwritten.

    """
    names = _names(folder.name)
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise FolderExists(folder) from error
    for template in sorted(resources.files("tidemill").joinpath("templates").iterdir(), key=str):
        name = template.name.removesuffix(SUFFIX).replace("model.py", f"{names['module']}.py")
        text = template.read_text("utf-8")
        if template.name.endswith(SUFFIX):
            text = Template(text).substitute(names)
        (folder / name).write_text(text, "utf-8")


def _names(name: str) -> dict[str, str]:
    if not re.fullmatch(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*", name):
        raise InvalidProjectName(
            name, "it must be lower-case words, joined by - or _, and begin with a letter"
        )
    module = name.replace("-", "_")
    if keyword.iskeyword(module) or _is_installed(module):
        raise InvalidProjectName(name, f"Python has a keyword or a module named {module} already")
    class_name = "".join(word.capitalize() for word in module.split("_"))
    return {"name": name, "module": module, "class_name": class_name}


def _is_installed(module: str) -> bool:
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.origin is not None  # a folder without modules has no origin
