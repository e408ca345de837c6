"""Read the description of what is published: tables, online store, feature spec and endpoint."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeVar

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from deploy.databricks.features.errors import DescriptionWrong

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# Unity Catalog keeps names in lower case. PostgreSQL, behind the online store, allows 63 bytes.
FullName = Annotated[
    str,
    StringConstraints(to_lower=True, pattern=r"(?i)^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63}){2}$"),
]
ColumnName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]
SCALAR = (
    r"(?:tinyint|smallint|int|bigint|float|double|string|boolean|date|timestamp|timestamp_ntz"
    r"|binary|decimal\(\d{1,2},\d{1,2}\))"
)
ColumnType = Annotated[
    str, StringConstraints(to_lower=True, pattern=rf"(?i)^(?:{SCALAR}|array<{SCALAR}>)$")
]
TIMES = ("date", "timestamp", "timestamp_ntz")
Mode = Literal["triggered", "continuous", "snapshot"]


class Part(BaseModel):
    """A part of the description; a field that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Online(Part):
    """The copy of a table in the online store, and how it follows the table."""

    name: FullName
    mode: Mode = "triggered"


class Table(Part):
    """A feature table: a Delta table with a primary key.

    Attributes:
        timeseries: The column with a row's time, which becomes the key's last column: the table
            keeps a row for each time, and look-ups find the newest.

    """

    name: FullName
    columns: dict[ColumnName, ColumnType] = Field(min_length=2)
    primary_key: tuple[ColumnName, ...] = Field(min_length=1)
    timeseries: ColumnName | None = None
    online: Online | None = None

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of the key, with the time."""
        return self.primary_key + ((self.timeseries,) if self.timeseries else ())

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [name.lower() for name in self.columns]
        _refuse(len(set(names)) < len(names), "two columns differ only in case")
        for name in self.key:
            _refuse(name not in self.columns, f"{name!r}, of the key, is not a column")
            _refuse(self.key.count(name) > 1, f"{name!r} is in the key twice")
        for name in self.primary_key:
            kind = self.columns[name]
            # Databricks refuses to publish such a table, or to look it up.
            _refuse(kind in TIMES, f"{name!r} is a {kind}: as part of a key, make it `timeseries`")
            _refuse("<" in kind, f"{name!r} is an array, which cannot be part of a key")
        if self.timeseries:
            kind = self.columns[self.timeseries]
            _refuse(kind not in TIMES, f"`timeseries` is a {kind}, not a timestamp or date")
        taken = self.online is not None and self.online.name == self.name
        _refuse(taken, "`online.name` is the name of the table itself")
        return self


class Store(Part):
    """An Online Feature Store, which is a Lakebase database."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,61}[a-z0-9]$")]
    capacity: Literal["CU_1", "CU_2", "CU_4", "CU_8"] = "CU_1"
    read_replicas: int = Field(default=0, ge=0, le=2)


class Features(Part):
    """Columns to look up in a table; all but the key by default.

    Attributes:
        defaults: What a key without a row, or without a value, gets: columns, and values as text.

    """

    table: FullName
    columns: tuple[ColumnName, ...] = ()
    defaults: dict[ColumnName, str] = {}


class Spec(Part):
    """A FeatureSpec: the columns that are served together."""

    name: FullName
    features: tuple[Features, ...] = Field(min_length=1)


class Endpoint(Part):
    """A Feature Serving endpoint."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$")]
    workload_size: Literal["Small", "Medium", "Large"] = "Small"
    scale_to_zero: bool = False


class Description(Part):
    """All that is published."""

    tables: tuple[Table, ...]
    online_store: Store | None = None
    feature_spec: Spec | None = None
    endpoint: Endpoint | None = None

    @field_validator("tables")
    @classmethod
    def _differ(cls, tables: tuple[Table, ...]) -> tuple[Table, ...]:
        _refuse(not tables, "no table is described")
        names = [table.name for table in tables]
        names += [table.online.name for table in tables if table.online]
        for name in names:
            _refuse(names.count(name) > 1, f"two tables are called {name}")
        return tables

    @model_validator(mode="after")
    def _fit(self) -> Self:
        online = any(table.online for table in self.tables)
        _refuse(online and not self.online_store, "tables have `online`, without `online_store`")
        _refuse(self.endpoint and not self.feature_spec, "an `endpoint` without `feature_spec`")
        for features in self.feature_spec.features if self.feature_spec else ():
            table = self.table(features.table)
            offline = self.endpoint and not table.online
            _refuse(offline, f"{table.name} has no `online`, from which the endpoint reads")
            for name in (*features.columns, *features.defaults):
                _refuse(name not in table.columns, f"{table.name} has no column {name!r}")
                _refuse(name in table.key, f"{name!r} belongs to the key of {table.name}")
            for name in features.defaults if features.columns else ():
                _refuse(name not in features.columns, f"`defaults` has {name!r}, not in `columns`")
        return self

    def table(self, name: str) -> Table:
        """Return the table of a name."""
        found = next((table for table in self.tables if table.name == name), None)
        if found is None:
            raise ValueError(f"`tables` has no {name}")
        return found


def _refuse(wrong: object, problem: str) -> None:
    if wrong:
        raise ValueError(problem)


Read = TypeVar("Read", bound=Part)


def read(path: Path) -> Description:
    """Read a description in YAML or JSON.

    Raises:
        DescriptionWrong: It cannot be read, or is wrong; the message names each problem's place.

    """
    return read_as(path, Description, "docs/deploy/databricks-features.md")


def read_as(path: Path, kind: type[Read], page: str) -> Read:
    """Read a description of some kind, which a page of the documentation explains.

    Raises:
        DescriptionWrong: It cannot be read, or is wrong; the message names each problem's place.

    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        return kind.model_validate(document)
    except ValidationError as error:
        raise DescriptionWrong(path, _problems(error), page) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DescriptionWrong(path, [str(error)], page) from error


def _problems(error: ValidationError) -> Iterable[str]:
    for problem in error.errors(include_url=False, include_input=False):
        place = re.sub(r"\.(\d+)", r"[\1]", ".".join(map(str, problem["loc"])))
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = "there is no such field"
        yield f"{place}: {message}" if place else message
