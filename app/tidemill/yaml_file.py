"""Read a YAML file that a user wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from tidemill.errors import SettingsFileUnreadable

if TYPE_CHECKING:
    from pathlib import Path


def read(path: Path, missing: str) -> Any:  # noqa: ANN401 - whatever the file holds
    """Return the content of a YAML file; `missing` says what to do if there is no such file.

    Raises:
        SettingsFileUnreadable: The file does not exist or is not YAML. The error quotes no line of
            it, because one may hold a secret.

    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsFileUnreadable(path.absolute(), "there is no such file", missing) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        hint = "Correct the YAML there, or in the line before."
        raise SettingsFileUnreadable(path, f"{error.problem}{place}", hint) from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise SettingsFileUnreadable(path, error) from None
