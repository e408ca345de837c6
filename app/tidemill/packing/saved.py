"""Load fitted models that were saved as files, whose names without the suffix are the keys."""

from __future__ import annotations

import logging
import pickle
from typing import TYPE_CHECKING, Any

import msgspec

from tidemill.errors import InputUnreadable, UntrustedPickle

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

PICKLES = {".pickle", ".pkl"}
SUFFIXES = {".json", *PICKLES}


def find(paths: Iterable[Path]) -> list[Path]:
    """Return files of models: those that are named, and all in the folders that are named.

    Raises:
        InputUnreadable: A path does not exist, or names no model.

    """
    found: list[Path] = []
    for path in paths:
        own = sorted(path.iterdir()) if path.is_dir() else [path]
        models = [each for each in own if each.suffix.lower() in SUFFIXES]
        if not path.exists() or not models:
            raise InputUnreadable(path, f"there is no model ({', '.join(sorted(SUFFIXES))})")
        found += models
    return found


def load(paths: Iterable[Path], *, trust: str | None = None) -> Iterator[tuple[str, Any]]:
    """Yield the keys and the models of files.

    Raises:
        InputUnreadable: A file holds no model.
        UntrustedPickle: A file is a pickle, which only `trust="pickle"` allows.

    """
    for path in paths:
        if path.suffix.lower() in PICKLES and trust != "pickle":
            raise UntrustedPickle(path.name)
        try:
            content = path.read_bytes()
            yield path.stem, _load(path, content)
        except (OSError, ValueError, KeyError, TypeError, pickle.UnpicklingError) as error:
            raise InputUnreadable(path, error) from error


def _load(path: Path, content: bytes) -> Any:  # noqa: ANN401 - any model
    if path.suffix.lower() in PICKLES:
        return pickle.loads(content)  # noqa: S301 - the user trusts it
    logging.getLogger("numexpr.utils").setLevel(logging.WARNING)  # it counts the cores
    logging.getLogger("prophet.plot").setLevel(logging.CRITICAL)  # it misses plotly
    from prophet.serialize import model_from_json  # noqa: PLC0415 - only files of Prophet need it

    decoded = msgspec.json.decode(content)
    # `json.dump(model_to_json(model), file)` in Prophet's documentation encodes twice.
    return model_from_json(decoded if isinstance(decoded, str) else content.decode())
