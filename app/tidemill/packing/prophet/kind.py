"""Pack models of Prophet as rows of numbers, and predict with many of them at once."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from tidemill.errors import InvalidInput
from tidemill.packing.prophet.evaluate import forecast
from tidemill.packing.prophet.intervals import Sampling
from tidemill.packing.prophet.template import Template, join_ns
from tidemill.packing.queries import MAX_NAMED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.packing.arrays import Floats
    from tidemill.packing.kinds import Forecast
    from tidemill.packing.queries import Options, Query


# The longest time that an int64 of nanoseconds holds.
MAX_NS = 2**63 - 1


class ProphetRows:
    """Models as rows of numbers, which need neither Prophet nor Stan to predict."""

    def pack(self, key: str, model: Any) -> tuple[bytes, bytes]:  # noqa: ANN401 - Prophet's
        """Return the template and the row of a fitted model.

        Raises:
            Unpackable: The model is not supported.

        """
        from tidemill.packing.prophet.split import split  # noqa: PLC0415 - it needs pandas

        template, row = split(key, model)
        return msgspec.json.encode(template, order="sorted"), row.tobytes()

    def check(self) -> None:
        """Do nothing: numpy is enough."""

    def columns(self, template: bytes) -> tuple[str, ...]:
        """Return the regressors, and `cap` and `floor` if they are needed."""
        return _template(template).columns

    def predict(
        self, template: bytes, items: Sequence[bytes], queries: Sequence[Query], options: Options
    ) -> list[Forecast | InvalidInput]:
        """Return the forecast of each query; queries for the same dates are evaluated together."""
        own = _template(template)
        results: dict[int, Forecast | InvalidInput] = {}
        groups: dict[bytes, list[int]] = {}
        columns: dict[int, dict[str, Floats]] = {}
        orders: dict[int, Any] = {}
        for index, query in enumerate(queries):
            try:
                columns[index] = _columns(own, np.frombuffer(items[index]), query)
            except InvalidInput as error:
                results[index] = error
                continue
            orders[index] = np.argsort(query.dates, kind="stable")
            groups.setdefault(query.dates[orders[index]].tobytes(), []).append(index)
        sampling = Sampling(options.samples, options.seed) if options.samples else None
        for dates, indexes in groups.items():
            try:
                found = forecast(
                    own,
                    np.array([np.frombuffer(items[index]) for index in indexes]),
                    np.frombuffer(dates, np.int64),
                    {
                        name: np.array([columns[index][name][orders[index]] for index in indexes])
                        for name in own.columns
                    },
                    sampling=sampling,
                    components=options.components,
                )
            except InvalidInput as error:
                results |= dict.fromkeys(indexes, error)
                continue
            for number, index in enumerate(indexes):
                back = np.argsort(orders[index], kind="stable")
                results[index] = {name: values[number][back] for name, values in found.items()}
        return [results[index] for index in range(len(queries))]


@lru_cache(maxsize=4096)
def _template(content: bytes) -> Template:
    return msgspec.json.decode(content, type=Template)


def _columns(template: Template, row: Floats, query: Query) -> dict[str, Floats]:
    """Return the columns that a template needs.

    Raises:
        InvalidInput: One is missing, or has a value that the models cannot take.

    """
    start = int(join_ns(row[template.layout.start]))
    for date in (query.dates.min(), query.dates.max()):
        if abs(int(date) - start) > MAX_NS:
            near = f"more than 292 years from the history of {query.key[:MAX_NAMED]!r}"
            raise InvalidInput(
                f"the date {date.astype('datetime64[ns]').astype('M8[D]')} is {near}"
            )
    columns = {name: query.column(name) for name in template.columns}
    if "cap" in columns:
        default = row[template.layout.y_min] if template.minmax else 0.0
        floor = columns.get("floor", np.full(1, default))
        if (columns["cap"] <= floor).any():
            raise InvalidInput(f"the field 'cap' must exceed the floor, which is {floor[0]:g}")
    return columns
