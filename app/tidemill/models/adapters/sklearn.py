"""Predict with an estimator of scikit-learn."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

from tidemill import extras
from tidemill.errors import UnusableEntry
from tidemill.models import outputs, tables
from tidemill.models.adapters.entry import artifact_file, check_columns, working_sample

with extras.required():
    import joblib
    import skops.io
    from sklearn.utils.validation import check_is_fitted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PICKLES = {".joblib", ".pickle", ".pkl"}
METHODS = "predict", "predict_proba", "decision_function", "transform"


class Sklearn:
    """Predict with a fitted estimator, such as a pipeline.

    What an input is depends on the estimator:

    - If it was fitted with named features, an input is an object with these names.
    - If it only knows the number of its features, an input is an array of as many numbers; of a
      single feature, also the number.
    - If it knows neither, as a pipeline that begins with a vectorizer of texts, it gets the inputs
      themselves.

    An output is whatever the method returns for a row: a value, or an array of values.
    """

    def __init__(
        self,
        artifact: str,
        *,
        trust: str | None = None,
        device: str | None = None,
        method: str = "predict",
        trusted: Sequence[str] = (),
        columns: Sequence[str] = (),
    ) -> None:
        """Load the estimator.

        Args:
            artifact: A file that skops has written, or with `trust: pickle` also a pickle.
            trust: `pickle` allows pickles, which can run any code when they are loaded.
            device: `cpu` or None.
            method: The method to call: one of METHODS.
            trusted: The types that skops may load besides those that it trusts by itself.
            columns: The input's field for each feature, in order, if the names differ from those
                of the features, or the features have none.

        Raises:
            UnusableEntry: The artifact is missing, of another format or not trusted, or an option
                does not suit it.

        """
        if device not in {None, "cpu"}:
            raise UnusableEntry(
                "device",
                f"scikit-learn does not run on {device}",
                "Remove the field `device` from the entry.",
            )
        self._estimator = _load(artifact, trust, trusted)
        check_is_fitted(self._estimator)
        if method not in METHODS or not hasattr(self._estimator, method):
            raise UnusableEntry(
                "options.method",
                f"{type(self._estimator).__name__} has no method {method}",
                f"Choose {' or '.join(m for m in METHODS if hasattr(self._estimator, m))}.",
            )
        self._method = method
        self._names = [str(name) for name in getattr(self._estimator, "feature_names_in_", ())]
        self._count = getattr(self._estimator, "n_features_in_", len(self._names))
        check_columns(columns, self._count)
        self._columns = [*columns] or self._names
        self._dtype: type = float
        self._nulls: dict[str, float | None] = dict.fromkeys(self._columns)
        zeros = dict.fromkeys(self._columns, 0) if self._columns else [0] * self._count
        self.sample = working_sample(self, zeros) if self._count else None
        if self.sample is None:
            self._dtype = object  # it may take texts
        if self._names:
            self._nulls = self._accepted_nulls()
        self.input_schema = self._input_schema()

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Return the estimator's output for each input."""
        # The other cores belong to other processes, whatever the estimator's `n_jobs` is.
        with joblib.parallel_config(backend="sequential"):
            result = getattr(self._estimator, self._method)(self._table(inputs))
        if self._method == "predict_proba" and isinstance(result, list):
            result = list(zip(*result, strict=True))  # an array for each of several targets
        return outputs.encode(result)

    def _table(self, inputs: list[str]) -> Any:  # noqa: ANN401 - pandas and numpy
        if not self._count:
            return inputs
        rows = tables.decode(inputs)
        if self._names:
            table = tables.frame(rows, self._columns, self._nulls)
            return table.set_axis(self._names, axis="columns")
        return tables.array(rows, self._columns, self._dtype)

    def _accepted_nulls(self) -> dict[str, float | None]:
        """Return what a null becomes in each column: NaN if the estimator accepts it, else None.

        Encoders of texts fail on a column of NaN; everything takes one of None. But the null must
        not depend on the batch, or equal inputs would have different outputs.
        """
        none: dict[str, float | None] = dict.fromkeys(self._columns)
        usual = none if self.sample is None else dict.fromkeys(self._columns, 0)

        def accepts(*names: str) -> bool:
            self._nulls = none | dict.fromkeys(names, nan)
            return working_sample(self, usual | dict.fromkeys(names)) is not None

        if accepts(*self._columns):
            return dict.fromkeys(self._columns, nan)
        return {name: nan if accepts(name) else None for name in self._columns}

    def _input_schema(self) -> dict[str, Any] | None:
        if not self._count:
            return None
        numeric = self._dtype is float and not self._names
        value = {"type": ["number", "null"]} if numeric else {}
        if self._columns:
            properties = dict.fromkeys(self._columns, value)
            return {"type": "object", "properties": properties, "required": self._columns}
        array = {"items": value, "minItems": self._count, "maxItems": self._count}
        if self._count == 1:
            return {"anyOf": [{"type": "array", **array}, {"not": {"type": "array"}, **value}]}
        return {"type": "array", **array}


def _load(artifact: str, trust: str | None, trusted: Sequence[str]) -> Any:  # noqa: ANN401
    path = artifact_file(artifact, {".skops", *PICKLES})
    if path.suffix.lower() == ".skops":
        return load_skops(path, trusted)
    if trust != "pickle":
        raise UnusableEntry(
            "artifact",
            f"{path.name} is a pickle, which can run any code when it is loaded",
            "If you trust the file, add the line `trust: pickle` to the entry. Otherwise save the "
            "model with skops.io.dump.",
        )
    return joblib.load(path)


def load_skops(path: Path, trusted: Sequence[str]) -> Any:  # noqa: ANN401 - an estimator
    """Return the estimator in a file of skops.

    Raises:
        UnusableEntry: It is no such file, or holds types that neither skops nor `trusted` allows.

    """
    try:
        unknown = {*skops.io.get_untrusted_types(file=path)} - {*trusted}
    except BadZipFile as error:
        raise UnusableEntry(
            "artifact",
            f"{path.name} is not a file of skops: {error}",
            "Save the model with skops.io.dump.",
        ) from error
    if unknown:
        line = f"options: {{trusted: [{', '.join(sorted({*unknown, *trusted}))}]}}"
        raise UnusableEntry(
            "artifact",
            f"{path.name} holds types that skops does not trust: {', '.join(sorted(unknown))}",
            f"If you trust them, add the line `{line}` to the entry.",
        )
    return skops.io.load(path, trusted=[*trusted])
