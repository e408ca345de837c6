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
HINT = "Name files that `prophet.serialize.model_to_json` has made, or folders of them."


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
            names = ", ".join(sorted(SUFFIXES))
            raise InputUnreadable(path, f"there is no model ({names})", HINT)
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
            model = _load(path, path.read_bytes())
        except Exception as error:  # a pickle can raise anything
            raise InputUnreadable(path, f"{type(error).__name__}: {error}", HINT) from error
        yield path.stem, model


def _load(path: Path, content: bytes) -> Any:  # noqa: ANN401 - any model
    if path.suffix.lower() in PICKLES:
        return pickle.loads(content)  # noqa: S301 - the user trusts it
    logging.getLogger("numexpr.utils").setLevel(logging.WARNING)  # it counts the cores
    logging.getLogger("prophet.plot").setLevel(logging.CRITICAL)  # it misses plotly
    from prophet.serialize import model_from_json  # noqa: PLC0415 - only files of Prophet need it

    decoded = msgspec.json.decode(content)
    # `json.dump(model_to_json(model), file)` in Prophet's documentation encodes twice.
    return model_from_json(decoded if isinstance(decoded, str) else content.decode())
