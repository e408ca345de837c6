"""A job's class and type hints are checked, and give the schema of its parameters."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict  # pydantic's, before Python 3.12

from tidemill.errors import InvalidJob, InvalidParameters
from tidemill.tasks.job import Job

if TYPE_CHECKING:
    from collections.abc import Callable


class Shelf(BaseModel):
    """A model of pydantic, with a limit."""

    length: float = Field(gt=0)
    since: date | None = None


class Named(TypedDict):
    """A dictionary with known keys."""

    name: str


class ByModel:
    """Takes a model."""

    def run(self, parameters: Shelf, report: Callable[..., None]) -> object:
        """Return nothing."""


class ByDict:
    """Takes a dictionary."""

    def run(self, parameters: Named, report: object) -> object:
        """Return nothing."""


class Anything:
    """Takes any object."""

    def run(self, parameters, report):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        """Return nothing."""


class ByNumbers:
    """Takes numbers by name."""

    def run(self, parameters: dict[str, int], report: object) -> object:
        """Return nothing."""


class NoRun:
    """Cannot run."""


class OneArgument:
    """Forgets to take `report`."""

    def run(self, parameters: dict[str, Any]) -> object:
        """Return nothing."""


class NoSchema:
    """Takes what JSON cannot spell."""

    def run(self, parameters: object, report: object) -> object:
        """Return nothing."""

    run.__annotations__["parameters"] = "Job"


def job(name: str) -> Job:
    """Return a job of a class of this file."""
    return Job("mine", f"{__name__}:{name}")


def test_model() -> None:
    """Limits and formats of a model hold, and its types are read."""
    assert job("ByModel").parse('{"length": 2, "since": "2026-01-02"}').since.month == 1
    with pytest.raises(InvalidParameters, match="length: Input should be greater than 0"):
        job("ByModel").parse('{"length": 0}')
    assert job("ByModel").schema["properties"]["length"]["exclusiveMinimum"] == 0


def test_dictionaries() -> None:
    """A TypedDict has known keys; without a type hint, any object will do."""
    assert job("ByDict").parse('{"name": "a"}') == {"name": "a"}
    with pytest.raises(InvalidParameters):
        job("ByDict").parse('{"name": "a", "more": 1}')
    assert job("Anything").parse('{"any": [1]}') == {"any": [1]}
    with pytest.raises(InvalidParameters):
        job("Anything").parse("3")


@pytest.mark.parametrize("name", ["NoRun", "OneArgument", "NoSchema", "Missing"])
def test_invalid(name: str) -> None:
    """A class that is no job is an error that names it."""
    with pytest.raises(InvalidJob, match="mine"):
        job(name).schema  # noqa: B018


def test_no_module() -> None:
    """So is a module that cannot be imported."""
    with pytest.raises(InvalidJob, match="nowhere"):
        Job("mine", "nowhere:Job").parse("{}")


@pytest.mark.parametrize(
    "value", ["NaN", "-Infinity", "1e999", "1" * 5000, '"\\ud800"', "[" * 5000 + "]" * 5000]
)
@pytest.mark.parametrize("name", ["ByModel", "Anything"])
def test_no_json(name: str, value: str) -> None:
    """What is no JSON, or what other programs could not read, is refused."""
    with pytest.raises(InvalidParameters) as caught:
        job(name).parse(f'{{"length": {value}}}')
    assert len(str(caught.value)) < 200


def test_long_name() -> None:
    """An error shows only the beginning of a long name that a client has sent."""
    with pytest.raises(InvalidParameters) as caught:
        job("ByNumbers").parse(f'{{"{"x" * 10_000}": "many"}}')
    assert "xxx: Input should be a valid integer" in str(caught.value)
    assert len(caught.value.hint) < 300


class Product(BaseModel):
    """Is a part of other parameters."""

    name: str
    width: float = 1


class Open(BaseModel):
    """Takes any other name."""

    model_config = ConfigDict(extra="allow")
    name: str


class Order(BaseModel):
    """Has products wherever a type may have them."""

    listed: list[Product] = []
    named: dict[str, Product] = {}
    either: Product | list[Product] | float | None = None
    pair: tuple[Product, int] | None = None
    free: dict[str, Any] = {}


class ByOpen:
    """Takes a model with any other names."""

    def run(self, parameters: Open, report: object) -> object:
        """Return nothing."""


class ByOrder:
    """Takes nested models."""

    def run(self, parameters: Order, report: object) -> object:
        """Return nothing."""


class Mixed(BaseModel):
    """Has a model that takes any names, and one that does not."""

    more: Open
    product: Product


class ByMixed:
    """Takes both."""

    def run(self, parameters: Mixed, report: object) -> object:
        """Return nothing."""


MISSPELT = {"name": "a", "widht": 2}


@pytest.mark.parametrize(
    ("order", "place"),
    [
        ({"listed": [{"name": "b"}, MISSPELT]}, "listed.1.widht"),
        ({"named": {"b": MISSPELT}}, "named.b.widht"),
        ({"either": MISSPELT}, "either.Product.widht"),
        ({"either": [MISSPELT]}, r"either.list\[Product\].0.widht"),
        ({"pair": [MISSPELT, 1]}, "pair.0.widht"),
        ({"lsited": []}, "lsited"),
    ],
)
def test_misspelt_names(order: dict[str, Any], place: str) -> None:
    """A name that no model has is refused wherever it is, and the error has its place."""
    with pytest.raises(InvalidParameters, match=f": {place}: is not one of its parameters"):
        job("ByOrder").parse(msgspec.json.encode(order))


def test_other_names() -> None:
    """A dictionary takes any names, and so does a model that says so."""
    order = {
        "listed": [{"name": "a"}],
        "free": {"a": MISSPELT},
        "either": {"name": "a", "width": 2},
    }
    assert job("ByOrder").parse(msgspec.json.encode(order)).free == {"a": MISSPELT}
    assert job("ByOpen").parse(msgspec.json.encode(MISSPELT)).widht == 2
    assert job("ByOpen").schema["additionalProperties"] is True


def test_one_open_model() -> None:
    """If a nested model takes other names, all models do, and the schema says so of each."""
    parameters = {"more": MISSPELT, "product": MISSPELT}
    assert job("ByMixed").parse(msgspec.json.encode(parameters)).more.widht == 2
    models = job("ByMixed").schema["$defs"]
    assert [models[name].get("additionalProperties", True) for name in models] == [True, True]
