"""Describe the parameters of the task, and refuse those that clearly allow no layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

# The form on the server's page offers these.
EXAMPLES = [
    json.loads(Path(__file__).with_name(name).read_text("utf-8"))
    for name in ("small.json", "bay.json")
]

Millimetres = Annotated[int, Field(ge=1, le=20_000)]


def printable(text: str) -> str:
    """Return a name that can be drawn.

    Raises:
        ValueError: It is blank, or has control characters.

    """
    if not text.strip() or not text.isprintable():
        raise ValueError("a name needs letters, and no control characters such as line breaks")
    return text


Name = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(printable)]


class Shelf(BaseModel):
    """A shelf of the bay."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    length: Millimetres = Field(description="its length, in mm")
    height: Millimetres = Field(description="the clear height above the board, in mm")
    weight: float = Field(
        1.0, ge=0, le=10, description="how much a product is worth on this shelf; most at eye level"
    )


class Product(BaseModel):
    """A product. It stands on one shelf, with its facings side by side, or is left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    group: Name = Field(description="products of a group want to stand together")
    length: Millimetres = Field(description="the length of one facing, in mm")
    height: Millimetres = Field(description="its height, in mm")
    value: int = Field(ge=0, le=10_000, description="what one facing is worth, in points")
    facings_min: int = Field(
        0, ge=0, le=50, description="the fewest; 0 allows leaving the product out"
    )
    facings_max: int = Field(4, ge=1, le=50, description="the most")

    @model_validator(mode="after")
    def _facings(self) -> Self:
        if self.facings_min > self.facings_max:
            raise ValueError(
                f"{self.name!r} has facings_min {self.facings_min} above facings_max "
                f"{self.facings_max}; lower the one or raise the other"
            )
        return self


class Parameters(BaseModel):
    """A bay of shelves, the products for it, and the time to think."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": EXAMPLES})

    shelves: list[Shelf] = Field(min_length=1, max_length=12, description="from top to bottom")
    products: list[Product] = Field(min_length=1, max_length=200)
    together: int = Field(
        50, ge=0, le=10_000, description="points lost for each metre around a scattered group"
    )
    seconds: float = Field(60, gt=0, le=86_400, description="the time to search, in seconds")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        for kind, names in (
            ("shelves", [shelf.name for shelf in self.shelves]),
            ("products", [product.name for product in self.products]),
        ):
            if twice := next((name for name in names if names.count(name) > 1), None):
                raise ValueError(f"two {kind} have the name {twice!r}; rename one")
        for product in self.products:
            if product.facings_min and not any(self.room(product, s) for s in self.shelves):
                raise ValueError(
                    f"{product.name!r} fits on no shelf with facings_min {product.facings_min}; "
                    "lower it to 0, or add a higher or longer shelf"
                )
        needed = sum(each.length * each.facings_min for each in self.products)
        length = sum(shelf.length for shelf in self.shelves)
        if needed > length:
            raise ValueError(
                f"the fewest facings need {needed:,} mm, and the shelves have {length:,} mm; "
                "lower facings_min of some products, or lengthen the shelves"
            )
        return self

    @staticmethod
    def room(product: Product, shelf: Shelf) -> range:
        """Return the numbers of facings that a product can have on a shelf, without 0."""
        if product.height > shelf.height:
            return range(0)
        most = min(product.facings_max, shelf.length // product.length)
        return range(max(1, product.facings_min), most + 1)

    @property
    def groups(self) -> list[str]:
        """The groups, in the order in which the products mention them."""
        return list(dict.fromkeys(product.group for product in self.products))
