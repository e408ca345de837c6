"""The section `store`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from tidemill.settings.base import Section

# A column that is missing is null.
ColumnType: TypeAlias = Literal[
    "text",
    "text or null",
    "integer",
    "integer or null",
    "number",
    "number or null",
    "boolean",
    "boolean or null",
    "json",
    "json or null",
]
OR_NULL: Final = " or null"


def _listed(key: Any) -> Any:  # noqa: ANN401 - what a document may hold
    return (key,) if isinstance(key, str) else key


def _url(url: str) -> str:
    # Not parsed as a URL, so that no message contains a password that makes it unparsable.
    user, at, _ = url.partition("://")[2].rpartition("@")
    if (at and ":" in user) or "password=" in url:
        raise ValueError("contains a password: set store.password or store.password_file")
    return url


class TableSettings(Section):
    """A table of the store.

    Attributes:
        key: The column of the key, or a list of several.
        columns: The columns and their types. Other columns of a file are ignored.
        time: The column with the time of a row's event: ISO 8601, or milliseconds since 1970. By
            default the time is that of the load, or of a stream's message.
        version: The column with the version of the model that made a row.
        ttl: How many seconds after its time a row is found.
        keep: How many earlier generations stay for a rollback.
        history: Whether a key keeps a row for each time, to be read as of that time.

    """

    key: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(min_length=1)
    columns: dict[str, ColumnType] = Field(min_length=1)
    time: str | None = None
    version: str | None = None
    ttl: float | None = Field(None, gt=0)
    keep: int = Field(2, ge=0)
    history: bool = False


class StoreSettings(Section):
    """Tables of features and predictions, to be looked up by key.

    Attributes:
        url: The database: `sqlite:///FOLDER/FILE`, with a fourth slash if the path is absolute, or
            `postgresql://USER@HOST/DATABASE`.
        password: The password of PostgreSQL's user.
        password_file: A file that holds this password.
        timeout: How long a connection, a look-up or a lock may take, in seconds.
        tables: The [tables](store.md#tables) by name.

    """

    url: Annotated[str, AfterValidator(_url)] = "sqlite:///.tidemill/store.db"
    password: SecretStr | None = None
    password_file: Path | None = None
    timeout: float = Field(5, gt=0)
    tables: dict[str, TableSettings] = Field({})
