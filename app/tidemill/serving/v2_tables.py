"""Answer V2 requests for tables of the store: keys are inputs, and columns are outputs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tidemill.errors import InvalidRequest, ModelNotFound
from tidemill.serving import rows, tensors
from tidemill.serving.catalogue import TABLES
from tidemill.serving.models import READY
from tidemill.serving.rows import Kind
from tidemill.serving.tensors import BYTES, Tensor
from tidemill.serving.v2_messages import InferRequest, InferResponse
from tidemill.serving.v2_response import requested

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.serving.catalogue import TableTarget
    from tidemill.serving.tables import Tables
    from tidemill.store.catalogue import Generation
    from tidemill.store.reader import Rows, StoreRow
    from tidemill.store.table import Key, Table

# The kind of each type of column; columns of any JSON have JSON texts.
KINDS: Final = {
    "text": Kind(BYTES),
    "integer": Kind("INT64"),
    "number": Kind("FP64"),
    "boolean": Kind("BOOL"),
}
# The outputs besides the columns: whether there is a row, its time in ms since 1970, its version.
FOUND, TIME, VERSION = "tidemill.found", "tidemill.time", "tidemill.version"
OTHERS: Final = {FOUND: Kind("BOOL"), TIME: Kind("INT64"), VERSION: Kind(BYTES)}
ROW: Final = "row"  # the only output of a request with the parameter `json`


async def infer(tables: Tables, target: TableTarget, request: InferRequest) -> InferResponse:
    """Answer a request.

    Raises:
        TidemillError: It cannot be answered.

    """
    keys_of = _json_keys if request.is_json else _keys
    return await tables.look_up(
        target.name,
        partial(keys_of, request),
        partial(_respond, request, target),
        count=max((each.shape[0] for each in request.inputs if each.shape), default=0),
    )


async def metadata(tables: Tables, target: TableTarget) -> dict[str, Any]:
    """Return the metadata of a table.

    Raises:
        TidemillError: It cannot be looked up.

    """

    def answer(table: Table, found: Rows) -> dict[str, Any]:
        _check_generation(target, found)
        return {
            "name": TABLES + table.name,
            "versions": [str(found.generation)],
            "platform": "tidemill_store",
            "inputs": [
                _described(name, KINDS[kind])
                for name, kind in zip(table.key, table.key_types, strict=True)
            ],
            "outputs": [_described(name, kind) for name, kind in _outputs(table).items()],
        }

    return await tables.look_up(target.name, lambda _: (), answer, count=0)


def index(generation: Generation) -> dict[str, str]:
    """Return a table's entry in V2's repository."""
    name, version = TABLES + generation.table.name, str(generation.number)
    return {"name": name, "version": version, "state": READY, "reason": ""}


def _keys(request: InferRequest, table: Table) -> Sequence[Key]:
    """Return the keys in a tensor for each key column.

    Raises:
        InvalidRequest: There are no such tensors.

    """
    some = [tensors.check(each) for each in request.inputs]
    if len(table.key) == len(some) == 1:  # its name does not matter
        columns = some
    else:
        named = {each.name: each for each in some}
        if len(some) != len(table.key) or named.keys() != {*table.key}:
            raise InvalidRequest(f"send a tensor for each of {', '.join(table.key)}")
        columns = [named[name] for name in table.key]
    for column in columns:
        if len(column.data) != column.shape[0]:
            raise InvalidRequest(f"tensor {column.name[:100]!r} has more than one key in a row")
    if len({len(column.data) for column in columns}) > 1:
        raise InvalidRequest("the tensors must have as many rows as one another")
    if len(columns) == 1:
        return columns[0].data
    return [*zip(*(column.data for column in columns), strict=True)]


def _json_keys(request: InferRequest, _: Table) -> Sequence[Key]:
    """Return the keys in one tensor of JSON texts.

    Raises:
        InvalidRequest: There is no such tensor.

    """
    some = [tensors.check(each) for each in request.inputs]
    if [(each.datatype, each.shape[1:]) for each in some] not in ([(BYTES, [])], [(BYTES, [1])]):
        raise InvalidRequest("with `json`, send one tensor of BYTES with a JSON text for each key")
    try:
        return [msgspec.json.decode(text or "") for text in some[0].data]
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidRequest(f"a key must be a JSON text: {error}") from None


def _respond(
    request: InferRequest, target: TableTarget, table: Table, found: Rows
) -> InferResponse:
    """Return the response, whose version is the number of the generation."""
    _check_generation(target, found)
    missing = found.rows.count(None)
    outputs = _whole(found) if request.is_json else _columns(table, found)
    return InferResponse(
        model_name=TABLES + table.name,
        model_version=str(found.generation),
        id=request.id,
        parameters={"missing": missing} if missing else {},
        outputs=requested(request, outputs),
    )


def _columns(table: Table, found: Rows) -> list[Tensor]:
    """Return a tensor for each output.

    A missing row has null in each but `tidemill.found`. As with models, a tensor with a null has
    JSON texts.
    """
    values = [row.values if row else {} for row in found.rows]
    data: dict[str, list[Any]] = {
        FOUND: [row is not None for row in found.rows],
        TIME: [row and row.time for row in found.rows],
        VERSION: [row and row.version for row in found.rows],
    }
    return [
        rows.column(name, kind, data.get(name) or [each.get(name) for each in values])
        for name, kind in _outputs(table).items()
    ]


def _whole(found: Rows) -> list[Tensor]:
    texts = [_text(row) for row in found.rows]
    return [Tensor(name=ROW, datatype=BYTES, shape=[len(texts)], data=texts)]


def _text(row: StoreRow | None) -> str:
    whole = row and {
        "values": msgspec.Raw(row.data),
        "time": row.time,
        "version": row.version,
    }
    return msgspec.json.encode(whole).decode()


def _outputs(table: Table) -> dict[str, Kind | None]:
    kinds = {name: KINDS.get(kind.split()[0]) for name, kind in table.value_columns.items()}
    return kinds | OTHERS


def _described(name: str, kind: Kind | None) -> dict[str, Any]:
    return {"name": name, "datatype": kind.datatype if kind else BYTES, "shape": [-1]}


def _check_generation(target: TableTarget, found: Rows) -> None:
    """Check that the live generation is the one that a request names.

    Raises:
        ModelNotFound: It is another one.

    """
    if target.generation not in {None, str(found.generation)}:
        name = TABLES + target.name
        raise ModelNotFound("model", f"{name}:{target.generation}", [f"{name}:{found.generation}"])
