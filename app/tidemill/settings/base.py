"""The base class of all sections of the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, SecretStr, model_validator


class Section(BaseModel):
    """A section of the settings: frozen, without unknown keys, and with no values in its errors.

    Each secret has a second setting `<name>_file`, the file that holds it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @classmethod
    def secrets(cls) -> list[str]:
        """Return the names of the settings that are secrets."""
        return [
            name
            for name, field in cls.model_fields.items()
            if SecretStr in getattr(field.annotation, "__args__", ())
        ]

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files(cls, data: Any) -> Any:  # noqa: ANN401 - pydantic's hook
        for name in cls.secrets():
            if isinstance(data, dict) and (path := data.get(f"{name}_file")):
                if data.get(name):
                    raise ValueError(f"{name} and {name}_file are both set: keep one")
                try:
                    data = {**data, name: Path(path).read_text(encoding="utf-8").rstrip("\r\n")}
                except (OSError, TypeError, ValueError) as error:
                    raise ValueError(f"{name}_file: {error}") from None
        return data


def read_null(value: object) -> object:
    """Convert the text `null`, which is how an environment variable spells YAML's null."""
    return None if value == "null" else value
