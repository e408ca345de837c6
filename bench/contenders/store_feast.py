"""Load a Feast store, and look keys up in it, in Feast's own environment.

`store_feast load|vectors FOLDER ROWS` writes rows, or their vectors, and prints what that took.
`store_feast plain|precomputed FOLDER ROWS` looks up; see `timed_calls`.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.protos.feast.core.PrecomputedFeatureVector_pb2 import PrecomputedFeatureVector
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import Bytes, Float64

from bench.contenders import stored_rows, timed_calls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VIEW, CHUNK = "features", 5000
TIME = "event_timestamp"


def load(folder: str, rows: int) -> dict[str, float]:
    """Create the views and services, and write rows; return what writing took."""
    store = FeatureStore(folder)
    customer = Entity(name=stored_rows.KEY, join_keys=[stored_rows.KEY], value_type=ValueType.INT64)
    view = FeatureView(
        name=VIEW,
        entities=[customer],
        schema=[Field(name=name, dtype=Float64) for name in stored_rows.names()],
        source=FileSource(path=source(folder), timestamp_field=TIME),
    )
    services = [
        FeatureService(name=name, features=[view], precompute_online=name == "precomputed")
        for name in ("plain", "precomputed")
    ]
    store.apply([customer, view, *services])
    return timed(rows, lambda keys: store.write_to_online_store(VIEW, frame(keys)))


def timed(rows: int, write: Callable[[range], object]) -> dict[str, float]:
    """Write rows in chunks; return how many, and the seconds that took."""
    begin, used = time.perf_counter(), time.process_time()
    for first in range(0, rows, CHUNK):
        write(range(first, min(first + CHUNK, rows)))
    cpu, seconds = time.process_time() - used, time.perf_counter() - begin
    return {"rows": rows, "s": seconds, "CPU s": cpu}


def source(folder: str) -> str:
    """Write a file whose columns Feast reads; return its path."""
    path = f"{folder}/source.parquet"
    frame(range(1)).to_parquet(path)
    return path


def frame(keys: range) -> pd.DataFrame:
    """Return the rows of keys."""
    made = pd.DataFrame([stored_rows.values(key) for key in keys], columns=stored_rows.names())
    return made.assign(**{stored_rows.KEY: keys, TIME: datetime.now(UTC)})


def vectors(folder: str, rows: int) -> dict[str, float]:
    """Write the vectors that `feast precompute` makes, which finds keys only in Redis."""
    store = FeatureStore(folder)
    online, config = store._get_provider().online_store, store.config  # noqa: SLF001
    view = FeatureView(
        name="__precomputed__precomputed",
        entities=[],
        schema=[Field(name="vector", dtype=Bytes)],
        source=None,
    )
    online.update(config, [], [view], [], [], partial=True)
    return timed(rows, lambda keys: online.online_write_batch(config, view, [*blobs(keys)], None))


def blobs(keys: range) -> Iterator[tuple[EntityKey, dict[str, Value], datetime, None]]:
    """Yield the vector of each key."""
    names, now = [f"{VIEW}__{name}" for name in stored_rows.names()], datetime.now(UTC)
    for key in keys:
        values = [Value(double_val=value) for value in stored_rows.values(key)]
        vector = PrecomputedFeatureVector(feature_names=names, values=values)
        vector.precomputed_at.FromDatetime(now)
        vector.fv_timestamps.add(feature_view_name=VIEW).event_timestamp.FromDatetime(now)
        entity = EntityKey(join_keys=[stored_rows.KEY], entity_values=[Value(int64_val=key)])
        blob = Value(bytes_val=vector.SerializeToString())
        yield entity, {"vector": blob}, now, None


def look_up(folder: str, service: str) -> Callable[[list[int]], list[Any]]:
    """Return the look-up of a service, with a list for each feature."""
    store = FeatureStore(folder)
    features = store.get_feature_service(service)

    def values(keys: list[int]) -> list[Any]:
        entities = {stored_rows.KEY: keys}
        found = store.get_online_features(features, entities, full_feature_names=True).to_dict()
        return found[f"{VIEW}__{stored_rows.names()[-1]}"]  # type: ignore[no-any-return]

    return values


if __name__ == "__main__":
    what, where, many = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if what in {"load", "vectors"}:
        print(json.dumps({"load": load, "vectors": vectors}[what](where, many)))
    else:
        timed_calls.answer(look_up(where, what), many)
