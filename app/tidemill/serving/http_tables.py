"""Handle HTTP requests for rows of the store's tables."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from tidemill.errors import InvalidRequest, KeyNotFound, ModelNotFound
from tidemill.serving import http_body, offload, table_json
from tidemill.serving.http_responses import json_response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.requests import Request

    from tidemill.serving.catalogue import Catalogue
    from tidemill.serving.parts import Parts
    from tidemill.serving.tables import Tables
    from tidemill.store.reader import Rows
    from tidemill.store.table import Key, Table

PATH: Final = "/v1/features"
COLUMNS: Final = "columns"  # the only parameter of a URL


class TableHandlers:
    """Handle each kind of request; they raise TidemillError if they cannot."""

    def __init__(self, parts: Parts, tables: Tables) -> None:
        """Take what the handlers share."""
        self._parts = parts
        self._tables = tables

    def find(
        self, catalogue: Catalogue, path: str
    ) -> tuple[str, Callable[[Request], Awaitable[Response]]]:
        """Return the method and the handler of a path, as it was sent.

        Raises:
            ModelNotFound, TableNotFound: There are none.

        """
        match path.removeprefix(PATH).split("/"):
            case [""]:
                return "GET", partial(self.list, catalogue)
            case ["", table]:
                return "POST", partial(self.many, catalogue.table(table))
            case ["", table, *key]:
                return "GET", partial(self.one, catalogue.table(table), key)
        raise ModelNotFound("path", path, [PATH])

    async def one(self, table: str, parts: Sequence[str], request: Request) -> Response:
        """Answer with the row of one key."""
        columns = _columns(request)

        def key_of(described: Table) -> list[Key]:
            return [table_json.key_of(described, parts)]

        def answer(described: Table, rows: Rows) -> bytes | KeyNotFound:
            (key,) = key_of(described)
            return table_json.encode_one(described, rows, key, columns)

        with self._parts.one_more():
            found = self._tables.look_up(table, key_of, answer, count=1)
            content = await self._parts.service.within(http_body.seconds(request), found)
        if isinstance(content, KeyNotFound):
            raise content
        return Response(content, media_type="application/json")

    async def many(self, table: str, request: Request) -> Response:
        """Answer with the rows of several keys."""
        body = await http_body.read(request, self._parts.settings)
        is_large = len(body) >= offload.LARGE_BYTES
        wanted = await offload.call(is_large, table_json.decode, body)

        def answer(described: Table, rows: Rows) -> bytes:
            return table_json.encode(described, rows, wanted.columns)

        keys = wanted.keys
        found = self._tables.look_up(table, lambda _: keys, answer, count=len(keys))
        content = await self._parts.service.within(http_body.seconds(request), found)
        return Response(content, media_type="application/json")

    async def list(self, catalogue: Catalogue, _: Request) -> Response:
        """List the tables with their keys, columns and live generations."""
        live = self._tables.live.items()
        listed = [table_json.describe(each) for name, each in live if catalogue.has_table(name)]
        return json_response({"tables": listed})


def logged(path: str) -> str:
    """Return a path as logs may have it: without a key, which may be a person's."""
    parts = path.split("/")
    has_key = len(parts) > PATH.count("/") + 2 and path.startswith(f"{PATH}/")
    return "/".join([*parts[: PATH.count("/") + 2], "*"]) if has_key else path


def _columns(request: Request) -> list[str] | None:
    """Return the columns that a URL asks for; None for all.

    Raises:
        InvalidRequest: It has other parameters.

    """
    if not request.scope["query_string"]:
        return None
    parameters = request.query_params
    if parameters.keys() != {COLUMNS}:
        raise InvalidRequest(f"the only parameter is `{COLUMNS}`, such as ?{COLUMNS}=a,b")
    return parameters[COLUMNS].split(",")
