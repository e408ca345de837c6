"""Read the look-ups of an entry of models.yaml."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from tidemill.inference.model import Lookup
from tidemill.models.entry import EntryError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidemill.models.entry import LookupEntry

SECONDS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
AGE: Final = re.compile(r"(\d+(?:\.\d+)?) ?(s|min|h|d)")


def read_lookups(
    entries: Sequence[LookupEntry], given: Mapping[str, Any], path: tuple[str, ...]
) -> tuple[Lookup, ...]:
    """Return the look-ups of a model; `given` has the other fields of its entry.

    Raises:
        EntryError: They contradict each other or the entry.

    """
    if not entries:
        return ()
    if isinstance(given.get("payload"), str) or given["is_text"]:
        problem = "needs a payload that is an object: no `payload`, or a list of fields"
        raise EntryError(path, f"{problem}, and a `sample` that is one")
    lookups = tuple(_lookup(each, (*path, n)) for n, each in enumerate(entries))
    fields = Counter(field for each in lookups for field in (each.columns or {}).values())
    if repeated := [field for field, count in fields.items() if count > 1]:
        raise EntryError(path, f"several columns become the field {repeated[0]}: rename one")
    if len(lookups) > 1 and not all(each.columns for each in lookups):
        raise EntryError(path, "several tables need `columns`, so that none hides another's")
    return lookups


def _lookup(entry: LookupEntry, path: tuple[str | int, ...]) -> Lookup:
    columns = entry.columns
    if columns is not None and not isinstance(columns, dict):
        columns = {name: name for name in columns}
    if columns and entry.default and (unknown := entry.default.keys() - columns.values()):
        raise EntryError(
            (*path, "default"), f"{min(unknown)} is none of the fields that `columns` adds"
        )
    return Lookup(
        table=entry.table,
        key=(entry.key,) if isinstance(entry.key, str) else entry.key,
        columns=columns,
        default=entry.default,
        max_age=_seconds(entry.max_age, (*path, "max_age")),
        time=entry.time,
    )


def _seconds(age: str | float | None, path: tuple[str | int, ...]) -> float | None:
    if not isinstance(age, str):
        return age
    written = AGE.fullmatch(age)
    if written is None or not float(written[1]):
        units = ", ".join(SECONDS)
        raise EntryError(path, f"{age!r} is no age: a number and one of {units}, such as 1 d")
    return float(written[1]) * SECONDS[written[2]]
