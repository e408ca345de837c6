"""Measure what each way to keep a model costs, and whether its predictions stay the same."""

from __future__ import annotations

import pickle
import time
import tracemalloc
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tidemill.errors import MissingExtra, Unpackable
from tidemill.packing import pickled
from tidemill.packing.kinds import KINDS, kind
from tidemill.packing.pickled import LOADED
from tidemill.packing.prophet import fallback
from tidemill.packing.queries import Options, Query

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tidemill.packing.arrays import Floats

DATES = 52
DAY_NS = 86_400_000_000_000


class Measured(NamedTuple):
    """What one way costs, for each model on average.

    Attributes:
        kind: The name of the kind.
        size: Bytes, without templates, which models share.
        shared: Bytes of all templates together.
        saved: The share of the bytes of a plain pickle that this way saves.
        pack_ms: Milliseconds to pack a model.
        load_ms: Milliseconds to read a model and to predict once, for all models together.
        memory: Bytes that a loaded model takes.
        equal: Whether the predictions are those of the models themselves.

    """

    kind: str
    size: float
    shared: int
    saved: float
    pack_ms: float
    load_ms: float
    memory: float
    equal: bool


def measure(models: Mapping[str, Any], kinds: Sequence[str] = ()) -> Iterator[Measured]:
    """Yield the costs of each kind that can hold all models and is installed.

    Raises:
        Unpackable: A model is no fitted model of Prophet, so it is unknown what to ask it.

    """
    for key, model in models.items():
        if reason := fallback.unfit(model):
            raise Unpackable(key, reason)
    plain = sum(len(pickle.dumps(model)) for model in models.values()) / len(models)
    queries = {key: _query(key, model) for key, model in models.items()}
    wanted = {key: _forecast(model, queries[key]) for key, model in models.items()}
    for name in kinds or KINDS:
        start = time.perf_counter()
        try:
            packed = {key: kind(name).pack(key, model) for key, model in models.items()}
        except (MissingExtra, Unpackable):
            continue
        packing = time.perf_counter() - start
        start = time.perf_counter()
        found = _predict(name, packed, queries)
        loading = time.perf_counter() - start
        size = sum(len(item) for _, item in packed.values()) / len(models)
        yield Measured(
            kind=name,
            size=size,
            shared=sum(map(len, {template for template, _ in packed.values()})),
            saved=1 - size / plain,
            pack_ms=1000 * packing / len(models),
            load_ms=1000 * loading / len(models),
            memory=_memory(name, packed, queries),
            equal=all(
                isinstance(found[key], dict) and np.array_equal(found[key]["yhat"], own)
                for key, own in wanted.items()
            ),
        )


def _predict(
    name: str, packed: Mapping[str, tuple[bytes, bytes]], queries: Mapping[str, Query]
) -> dict[str, Any]:
    """Return forecasts; models of one template are asked together."""
    groups: dict[bytes, list[str]] = {}
    for key, (template, _) in packed.items():
        groups.setdefault(template, []).append(key)
    found: dict[str, Any] = {}
    for template, keys in groups.items():
        items, asked = [packed[key][1] for key in keys], [queries[key] for key in keys]
        found |= zip(keys, kind(name).predict(template, items, asked, Options()), strict=True)
    return found


def _memory(
    name: str, packed: Mapping[str, tuple[bytes, bytes]], queries: Mapping[str, Query]
) -> float:
    """Return the bytes that a loaded model takes: what stays after it has predicted."""
    some = dict(list(packed.items())[:LOADED])
    for cached in (pickled.load, fallback.load):
        cached.cache_clear()
    tracemalloc.start()
    _predict(name, some, queries)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A row of numbers stays in the mapped file.
    return max(kept, sum(len(item) for _, item in some.values())) / len(some)


def _query(key: str, model: Any) -> Query:  # noqa: ANN401 - any model
    """Return a question that a model can answer, about the dates after its history."""
    history = model.history
    last, step = history["ds"].max(), history["ds"].diff().max()
    start, width = (int(each.as_unit("ns").value) for each in (last, step))
    conditions = {each["condition_name"] for each in model.seasonalities.values()} - {None}
    own = {*history.columns} & {"cap", "floor", *conditions}
    names = [*model.extra_regressors, *own]
    columns = {name: np.full(DATES, float(history[name].iloc[-1])) for name in names}
    for name, each in model.extra_regressors.items():
        columns[name] = columns[name] * each["std"] + each["mu"]
    return Query(key, start + width * np.arange(1, DATES + 1), columns)


def _forecast(model: Any, query: Query) -> Floats:  # noqa: ANN401 - Prophet's
    """Return the forecast of a model itself."""
    samples, model.uncertainty_samples = model.uncertainty_samples, 0
    try:
        found: Floats = model.predict(fallback.to_frame(query, model))["yhat"].to_numpy()
    finally:
        model.uncertainty_samples = samples
    return found
