"""Turn JSON values into the input tensors of an ONNX graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidemill import extras
from tidemill.errors import UnusableEntry
from tidemill.models import tables, typed_arrays

with extras.required():
    import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

# The types of a tensor's elements: numpy's and JSON's.
_ELEMENTS = {
    "float16": ("float16", "number"),
    "float": ("float32", "number"),
    "double": ("float64", "number"),
    "int8": ("int8", "integer"),
    "int16": ("int16", "integer"),
    "int32": ("int32", "integer"),
    "int64": ("int64", "integer"),
    "uint8": ("uint8", "integer"),
    "uint16": ("uint16", "integer"),
    "uint32": ("uint32", "integer"),
    "uint64": ("uint64", "integer"),
    "bool": ("bool", "boolean"),
    "string": ("object", "string"),
}
_ZEROS = {"number": 0, "integer": 0, "boolean": False, "string": ""}


@dataclass(frozen=True, slots=True)
class Input:
    """An input of a graph, without its batch dimension.

    Attributes:
        dtype: The type of its elements in numpy.
        json_type: The same in JSON.
        shape: The shape of one row; None for a size that may vary.
        batch: The number of rows that the graph takes; None for any.

    """

    name: str
    dtype: str
    json_type: str
    shape: tuple[int | None, ...]
    batch: int | None

    @classmethod
    def of(cls, node: Any) -> Input:  # noqa: ANN401 - onnxruntime has no types
        """Return the input that onnxruntime describes.

        Raises:
            UnusableEntry: It is no tensor with a batch dimension of one or any size.

        """
        element = node.type.removeprefix("tensor(").removesuffix(")")
        sizes = [size if isinstance(size, int) else None for size in node.shape]
        if element not in _ELEMENTS or not sizes or sizes[0] not in {None, 1}:
            raise UnusableEntry(
                "artifact",
                f"its input {node.name} is {node.type} of shape {node.shape}",
                "Export the model with tensors as inputs, whose first dimension is a batch of any "
                "size.",
            )
        return cls(node.name, *_ELEMENTS[element], tuple(sizes[1:]), sizes[0])

    @property
    def is_column(self) -> bool:
        """Whether one row is one value."""
        return self.shape in {(), (1,)}

    @property
    def types(self) -> list[str]:
        """The JSON types of one element."""
        return [self.json_type, "null"] if self.json_type == "number" else [self.json_type]

    @property
    def element(self) -> dict[str, Any]:
        """The JSON Schema of one element."""
        if self.json_type != "integer":
            return {"type": self.types}
        limits = np.iinfo(self.dtype)
        return {"type": self.types, "minimum": int(limits.min), "maximum": int(limits.max)}

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of one row."""
        schema = self.element
        for size in reversed(self.shape):
            limits = {} if size is None else {"minItems": size, "maxItems": size}
            schema = {"type": ["array"], "items": schema, **limits}
        return {**schema, "type": ["array", *self.types]} if self.shape == (1,) else schema

    @property
    def zeros(self) -> Any:  # noqa: ANN401 - a JSON value
        """One row of zeros or empty texts, as JSON."""
        value: Any = _ZEROS[self.json_type]
        for size in () if self.is_column else reversed(self.shape):
            value = [value] * (size or 1)
        return value

    def tensor(self, cells: Sequence[Any]) -> Any:  # noqa: ANN401 - an array
        """Return the tensor of some rows.

        Raises:
            InvalidInput: The rows have different shapes, or a value is not of the type.

        """
        if self.json_type == "string":
            # Only a check: an array of this type loses null characters at the end of a text.
            typed_arrays.typed(cells, "str", self.name)
        tensor = typed_arrays.typed(cells, self.dtype, self.name)
        return tensor.reshape(len(cells), *self.shape) if self.is_column else tensor


def tensors(inputs: Sequence[Input], rows: Sequence[Any], columns: Sequence[str]) -> dict[str, Any]:
    """Return the tensors that a graph gets for some rows, by the names of its inputs.

    A graph with one input gets the rows, or their fields that `columns` names. Otherwise each input
    gets a field of its own.
    """
    if len(inputs) > 1:
        table = tables.by_column(rows, columns or [each.name for each in inputs])
        return {
            each.name: each.tensor(cells)
            for each, cells in zip(inputs, table.values(), strict=True)
        }
    if columns:
        rows = [*zip(*tables.by_column(rows, columns).values(), strict=True)]
    return {inputs[0].name: inputs[0].tensor(rows)}


def features(inputs: Sequence[Input]) -> int | None:
    """Return the number of features that a model takes; None if any, 0 if it takes tensors."""
    if len(inputs) > 1:
        return len(inputs)
    match inputs[0].shape:
        case ():
            return 1
        case (size,):
            return size
    return 0


def schema(inputs: Sequence[Input], columns: Sequence[str]) -> dict[str, Any]:
    """Return the JSON Schema of one of the model's inputs."""
    if len(inputs) > 1:
        names = columns or [each.name for each in inputs]
        fields = {name: each.schema for name, each in zip(names, inputs, strict=True)}
    elif columns:
        fields = dict.fromkeys(columns, inputs[0].element)
    else:
        return inputs[0].schema
    return {"type": "object", "properties": fields, "required": [*fields]}


def zeros(inputs: Sequence[Input], columns: Sequence[str]) -> Any:  # noqa: ANN401 - a JSON value
    """Return an input of zeros."""
    if len(inputs) > 1:
        names = columns or [each.name for each in inputs]
        return {name: each.zeros for name, each in zip(names, inputs, strict=True)}
    return dict.fromkeys(columns, _ZEROS[inputs[0].json_type]) if columns else inputs[0].zeros
