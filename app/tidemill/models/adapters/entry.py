"""Check what an entry of models.yaml gives to an adapter, and make a sample for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tidemill.errors import UnusableEntry

if TYPE_CHECKING:
    from collections.abc import Collection

    from tidemill.inference.model import Model


def artifact_file(artifact: str, suffixes: Collection[str]) -> Path:
    """Return the path of an artifact that must be a file with one of these suffixes.

    Raises:
        UnusableEntry: There is no such file, or it has another suffix.

    """
    path = Path(artifact)
    if not path.is_file():
        raise UnusableEntry(
            "artifact",
            f"there is no file {path}",
            "Correct the path; it is relative to the folder of models.yaml.",
        )
    if path.suffix.lower() not in suffixes:
        raise UnusableEntry(
            "artifact",
            f"{path.name} has none of the suffixes {', '.join(sorted(suffixes))}",
            "Save the model in one of these formats, or choose the adapter of its format.",
        )
    return path


def check_columns(columns: Collection[str], count: int | None) -> None:
    """Check that the option `columns` names as many fields as the model has features.

    Raises:
        UnusableEntry: There are more or fewer, or a name occurs twice.

    """
    if len({*columns}) < len(columns):
        raise UnusableEntry(
            "options.columns",
            f"a name occurs twice: {', '.join(columns)}",
            "Name each field of the message once.",
        )
    if columns and count is not None and len(columns) != count:
        raise UnusableEntry(
            "options.columns",
            f"{len(columns)} names, but the model takes {count} features",
            "Name the message's field of each feature, in the model's order.",
        )


def working_sample(model: Model, value: object) -> str | None:
    """Return a value as JSON if the model has an output for it; else None."""
    text = msgspec.json.encode(value).decode()
    try:
        model.predict_all([text])
    except Exception:  # noqa: BLE001 - a model may refuse the value in any way
        return None
    return text
