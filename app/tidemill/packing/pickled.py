"""Keep any models as compressed pickles, which can run any code when they are loaded."""

from __future__ import annotations

import bz2
import gzip
import importlib
import lzma
import pickle
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tidemill import extras
from tidemill.errors import InvalidInput
from tidemill.packing.queries import DATES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidemill.packing.kinds import Forecast
    from tidemill.packing.queries import Options, Query

# How many models stay loaded.
LOADED = 64


class Compression(NamedTuple):
    """How to compress bytes, and how to get them back."""

    compress: Callable[[bytes], bytes]
    decompress: Callable[[bytes], bytes]


def _package(name: str, **options: Any) -> Callable[[], Compression]:  # noqa: ANN401
    """Return what imports a package that compresses; `options` are those of its `compress`."""

    def load() -> Compression:
        with extras.required():
            package = importlib.import_module(name)
        return Compression(partial(package.compress, **options), package.decompress)

    return load


COMPRESSIONS: dict[str, Callable[[], Compression]] = {
    "none": lambda: Compression(bytes, bytes),
    "gzip": lambda: Compression(gzip.compress, gzip.decompress),
    "bz2": lambda: Compression(bz2.compress, bz2.decompress),
    "lzma": lambda: Compression(lzma.compress, lzma.decompress),
    "brotli": _package("brotli"),
    "zstd": _package("zstandard"),
    "blosc": _package("blosc2", typesize=1),
}


class Pickled:
    """Models of any class with a method `predict` that takes a DataFrame, such as Prophet."""

    def __init__(self, compression: str) -> None:
        """Take the name of a compression, one of COMPRESSIONS."""
        self._compression = compression

    def pack(self, _: str, model: Any) -> tuple[bytes, bytes]:  # noqa: ANN401 - any model
        """Return an empty template, and the compressed pickle."""
        packed = COMPRESSIONS[self._compression]().compress(pickle.dumps(model))
        return b"{}", packed

    def check(self) -> None:
        """Check that the compression is installed.

        Raises:
            MissingExtra: It is not.

        """
        COMPRESSIONS[self._compression]()

    def columns(self, _: bytes) -> tuple[str, ...]:
        """Return no columns, because a pickle does not say what it needs."""
        return ()

    def predict(
        self, template: bytes, items: Sequence[bytes], queries: Sequence[Query], options: Options
    ) -> list[Forecast | InvalidInput]:
        """Return the columns of numbers that each model predicts; one column is called `yhat`."""
        del template
        return [
            _predict(load(self._compression, item), query, options)
            for item, query in zip(items, queries, strict=True)
        ]


@lru_cache(maxsize=LOADED)
def load(compression: str, item: bytes) -> Any:  # noqa: ANN401 - any model
    """Return the model of an item."""
    content = COMPRESSIONS[compression]().decompress(item)
    return pickle.loads(content)  # noqa: S301 - the user trusts the artifact


def _predict(model: Any, query: Query, options: Options) -> Forecast | InvalidInput:  # noqa: ANN401
    import pandas as pd  # noqa: PLC0415 - only these models need it

    if hasattr(model, "uncertainty_samples"):
        model.uncertainty_samples = options.samples
    np.random.seed(options.seed)  # noqa: NPY002 - the generator of the models' packages
    order = np.argsort(query.dates, kind="stable")
    columns = {name: values[order] for name, values in query.columns.items()}
    dates = query.dates[order].astype("datetime64[ns]")
    try:
        found = model.predict(pd.DataFrame({DATES: dates, **columns}))
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        return InvalidInput(str(error))
    frame = found if isinstance(found, pd.DataFrame) else pd.DataFrame({"yhat": np.ravel(found)})
    back = np.argsort(order, kind="stable")
    numbers = frame.select_dtypes("number")
    return {str(name): numbers[name].to_numpy(np.float64)[back] for name in numbers}
