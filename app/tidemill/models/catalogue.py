"""Read the entries of models.yaml."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tidemill import yaml_file
from tidemill.errors import InvalidModels
from tidemill.inference.model import ModelSpec
from tidemill.models import validation


def load_models(path: Path | str) -> tuple[ModelSpec, ...]:
    """Return the entries of a models.yaml: a mapping with one key, `models`, a list of entries.

    The models themselves are not loaded.

    Raises:
        SettingsFileUnreadable: The file does not exist or is not YAML.
        InvalidModels: An entry is wrong, or two entries match the same messages.

    """
    path = Path(path)
    document = yaml_file.read(path, "The setting `models` names this file: create or correct it.")
    entries = document["models"] if isinstance(document, dict) and [*document] == ["models"] else ()
    if not (entries and isinstance(entries, list)):
        raise InvalidModels(path, "needs a list of entries under the one key 'models'")
    if problems := [
        problem
        for number, entry in enumerate(entries, 1)
        for problem in validation.problems(number, entry)
    ]:
        raise InvalidModels(path, *problems)
    specs = msgspec.convert(entries, tuple[ModelSpec, ...])
    try:
        validation.check(specs)
    except InvalidModels as error:
        raise InvalidModels(path, error) from None
    return specs
