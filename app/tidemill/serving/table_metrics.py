"""Count look-ups, and show the tables' generations, for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import CollectorRegistry

    from tidemill.store.catalogue import Generation
    from tidemill.store.reader import Rows

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1, 5)
HIT, MISS, ERROR = "hit", "miss", "error"


class TableMetrics:
    """The metrics of look-ups. Only tables that exist become labels."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Create them in a registry."""

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"tidemill_table_{name}", text, ("table",), registry=registry)

        self._keys = Counter(
            "tidemill_lookup_keys",
            "Keys that were looked up: hit, miss, or error if the store did not answer.",
            ("table", "outcome"),
            registry=registry,
        )
        self._seconds = Histogram(
            "tidemill_lookup_seconds",
            "From a look-up's keys to its answer.",
            ("table",),
            buckets=SECONDS,
            registry=registry,
        )
        self._generation = gauge("generation", "The number of the live generation.")
        self._rows = gauge("rows", "The rows with which the live generation was loaded.")
        self._swapped = gauge("swapped_timestamp_seconds", "When it became live.")
        self._newest = gauge(
            "newest_row_timestamp_seconds", "The time of the newest row that look-ups found."
        )
        self._newest_times: dict[str, int] = {}
        self._listed: set[str] = set()

    def found(self, table: str, rows: Rows, seconds: float) -> None:
        """Note the rows of a look-up, and how long it took."""
        times = [row.time for row in rows.rows if row is not None]
        if times:
            self._keys.labels(table, HIT).inc(len(times))
            newest = max(times)
            if newest > self._newest_times.get(table, -1):
                self._newest_times[table] = newest
                self._newest.labels(table).set(newest / 1000)
        if missing := len(rows.rows) - len(times):
            self._keys.labels(table, MISS).inc(missing)
        self._seconds.labels(table).observe(seconds)

    def failed(self, table: str, keys: int) -> None:
        """Note a look-up of some keys without an answer."""
        known = table in self._newest_times or table in self._listed
        self._keys.labels(table if known else "", ERROR).inc(keys)

    def listed(self, live: Iterable[Generation]) -> None:
        """Show the live generations of the tables that there are."""
        for each in (self._generation, self._rows, self._swapped):
            each.clear()
        self._listed = set()
        for generation in live:
            name = generation.table.name
            self._listed.add(name)
            self._generation.labels(name).set(generation.number)
            self._rows.labels(name).set(generation.rows)
            self._swapped.labels(name).set((generation.swapped or generation.created) / 1000)
        for gone in self._newest_times.keys() - self._listed:
            del self._newest_times[gone]
            self._newest.remove(gone)
