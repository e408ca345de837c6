"""Let a model that takes features define `predict` on a table, not `predict_all` on JSON texts."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Any, ClassVar, get_args, get_origin, get_type_hints

import msgspec

from tidemill.models import outputs, tables


class FeatureModel(ABC):
    """A model whose inputs are JSON: an object, an array of numbers, or a single number.

    A subclass defines `predict`, which gets a table with one row for each input. The annotation of
    its argument chooses the table, and must be importable at run time:

    - `pandas.DataFrame`, also without an annotation. Whole numbers with nulls are Int64.
    - `numpy.ndarray`, with two dimensions, or more if inputs are nested arrays. The elements are
      float64, and nulls are NaN; `numpy.typing.NDArray[numpy.int64]` and the like choose others.
    - `pyarrow.Table`.
    - `list[Row]`. `Row` is a dataclass, TypedDict or msgspec.Struct; an input that does not fit it
      is refused, and `input_schema` describes it.

    `predict` returns one output for each row, in order: a list, a tuple, an array of numpy, a
    Series or DataFrame of pandas, or Arrow data. A row of a DataFrame or Arrow table becomes an
    object, a row of a two-dimensional array becomes an array. JSON has neither NaN nor infinity:
    they become null. The return annotation `list[X]` gives `output_schema`.

    Attributes:
        columns: The columns' names, in order. Other fields are ignored, and missing ones are null.
            A mapping also gives each column's type, as pandas or Arrow names it. Without `columns`,
            a table has the fields that occur in its batch, with types that depend on the batch.
        sample: An input that must succeed.
        input_schema: The JSON Schema (draft 2020-12) of one input.
        output_schema: The JSON Schema of one output.

    """

    columns: tables.Columns = ()
    sample: str | None = None
    input_schema: dict[str, Any] | None = None
    output_schema: dict[str, Any] | None = None
    _takes: ClassVar[Any]

    def __init_subclass__(cls, **options: Any) -> None:  # noqa: ANN401 - other bases' arguments
        """Read the annotations of `predict`; derive the schemas that the class does not set."""
        super().__init_subclass__(**options)
        if "predict" not in vars(cls):
            return
        cls._takes, returns = _annotations(cls)
        tables.maker(cls._takes)
        if "input_schema" not in vars(cls) and get_origin(cls._takes) is list:
            cls.input_schema = json_schema(*get_args(cls._takes)) or None
        if "output_schema" not in vars(cls) and get_origin(returns) is list:
            with suppress(TypeError):  # a type that only Python has
                cls.output_schema = json_schema(*get_args(returns)) or None

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Return the JSON text of one output for each input.

        Raises:
            ValueError: An input is not JSON, or does not fit the table.

        """
        table = tables.maker(self._takes)(inputs, self.columns)
        return outputs.encode(self.predict(table))

    @abstractmethod
    def predict(self, table: Any) -> Any:  # noqa: ANN401 - subclasses choose
        """Return one output for each row of the table."""


def _annotations(cls: type[FeatureModel]) -> tuple[Any, Any]:
    """Return the annotations of the table and of what `predict` returns; None if there is none."""
    try:
        hints = get_type_hints(cls.predict, include_extras=True)
    except NameError as error:
        wrong = TypeError(f"{cls.__name__}.predict has an unknown annotation: {error}")
        wrong.add_note(
            "hint: Import what the annotations of predict name at the top of the model's module, "
            "not under `if TYPE_CHECKING`."
        )
        raise wrong from error
    _, table, *_ = inspect.signature(cls.predict).parameters
    return hints.get(table), hints.get("return")


def json_schema(row: Any) -> dict[str, Any]:  # noqa: ANN401 - a type
    """Return the JSON Schema (draft 2020-12) of a type, whose root is no reference.

    Raises:
        TypeError: JSON has no such type.

    """
    (schema,), definitions = msgspec.json.schema_components([row], ref_template="#/$defs/{name}")
    name = schema.get("$ref", "").removeprefix("#/$defs/")
    root = {**schema, **definitions.get(name, {})}
    root.pop("$ref", None)
    if f"'#/$defs/{name}'" not in str(definitions):
        definitions.pop(name, None)
    return {**root, "$defs": definitions} if definitions else root
