"""Compare the answers with the rule, with the weights of the A/B tests, and with each other."""

from __future__ import annotations

import json
from collections import defaultdict
from math import isclose, nan, sqrt
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from examples.cities.messages import Offer
    from tidemill.inference.route import Route

CLOSE = 1e-6  # In a batch of another size, the last digits may differ.
FORMATS = {"keys": "{:.0f}", "share": "{:.1%}", "weight": "{:.0%}", "error": "{:.3f}"}
DEVIATIONS = 4  # By chance, a share differs more from its weight once in 16,000 times.


class Answer(NamedTuple):
    """A result, or a dead letter with its error class; what it lacks is empty."""

    offer: str
    model: str
    variant: str
    probability: float = nan
    error: str = ""


def read_result(value: str | bytes) -> Answer:
    """Return the answer in a result."""
    fields = json.loads(value)
    forced = ", forced" if fields.get("variant_forced") else ""
    _, probability = fields["probabilities"]
    return Answer(fields["offer"], fields["model"], fields.get("variant", "") + forced, probability)


def read_dead_letter(value: str | bytes, headers: Mapping[str, str]) -> Answer:
    """Return the answer in a dead letter, whose value is the message."""
    names = ("tidemill.model", "tidemill.variant", "tidemill.error.class")
    model, variant, error = (headers.get(name, "") for name in names)
    return Answer(json.loads(value)["offer"], model, variant, error=error)


def who_answered(
    routes: Sequence[Route], offers: Sequence[Offer], answers: Sequence[Answer]
) -> pd.DataFrame:
    """Return a row for each variant of a test, and for each adapter of the other models.

    `keys` are the passengers of a variant, `share` is their share in the test, and `error` is the
    mean absolute error against the rule.
    """
    models = [
        (variant.spec.id, route.salt, variant.spec.adapter, variant.weight / 100)
        if route.is_split
        else (variant.spec.id, "", variant.spec.adapter, nan)
        for route in routes
        for variant in route.variants
    ]
    known = pd.DataFrame(models, columns=["model", "test", "adapter", "weight"])
    frame = pd.DataFrame(answers).merge(pd.DataFrame(offers), on="offer")
    frame = frame.merge(known, on="model", how="left").fillna({"test": "(no model)", "adapter": ""})
    frame["error"] = (frame["probability"] - frame["truth"]).abs()
    rows = frame.groupby(["test", "variant", "adapter"]).agg(
        models=("model", lambda models: models[models != ""].nunique()),
        results=("probability", "count"),
        dead_letters=("probability", lambda probabilities: probabilities.isna().sum()),
        keys=("passenger", "nunique"),
        weight=("weight", "first"),
        error=("error", "mean"),
    )
    rows = rows.reset_index()
    rows["weight"] = rows["weight"].mask(rows["variant"].str.endswith("forced"))
    rows["keys"] = rows["keys"].where(rows["weight"].notna())
    rows.insert(7, "share", rows["keys"] / rows["keys"].groupby(rows["test"]).transform("sum"))
    return rows


def unusual_messages(
    offers: Sequence[Offer], batch: Sequence[Answer], stream: Sequence[Answer]
) -> pd.DataFrame:
    """Return what became of the unusual messages."""
    frame = pd.DataFrame(offers).query("unusual != ''").assign(sent=1)
    for name, answers in ("batch", batch), ("stream", stream):
        given = {each.offer: each.error or f"result ({each.variant})" for each in answers}
        frame[name] = frame["offer"].map(given)
    return frame.groupby(["unusual", "batch", "stream"], sort=False)["sent"].sum().reset_index()


def problems(
    table: pd.DataFrame, offers: Sequence[Offer], batch: Sequence[Answer], stream: Sequence[Answer]
) -> Iterator[str]:
    """Yield a line for everything that is not as it should be; `table` is from `who_answered`."""
    expected = {offer.offer: offer for offer in offers}
    for name, answers in ("batch", batch), ("stream", stream):
        if sorted(answer.offer for answer in answers) != sorted(expected):
            yield f"the {name} did not answer each offer once"
        elif wrong := [a.offer for a in answers if a.error != expected[a.offer].expected]:
            yield f"the {name} gave {len(wrong)} unexpected errors or results, as for {wrong[0]}"
    pairs = zip(sorted(batch), sorted(stream), strict=False)
    if different := [one.offer for one, other in pairs if not agree(one, other)]:
        yield f"batch and stream differ for {len(different)} offers, such as {different[0]}"
    variants = defaultdict(set)
    for answer in stream:
        if answer.variant and not answer.variant.endswith("forced"):
            offer = expected[answer.offer]
            variants[json.loads(offer.line)["city"], offer.passenger].add(answer.variant)
    if several := [key for key, names in variants.items() if len(names) > 1]:
        yield f"{len(several)} passengers got several variants of one test"
    for row in table.dropna(subset="share").itertuples():
        if abs(row.share - row.weight) > DEVIATIONS * sqrt(
            row.weight * (1 - row.weight) / row.keys
        ):
            yield f"{row.variant} has {row.share:.1%} of the passengers instead of {row.weight:.0%}"


def agree(one: Answer, other: Answer) -> bool:
    """Tell whether the same model gave the same answer."""
    same = one._replace(probability=0) == other._replace(probability=0)
    both_fail = bool(one.error and other.error)
    return same and (both_fail or isclose(one.probability, other.probability, abs_tol=CLOSE))


def show(title: str, table: pd.DataFrame) -> Table:
    """Return a table for the terminal."""
    shown = Table(title=title, title_justify="left")
    for name, kind in table.dtypes.items():
        is_number = pd.api.types.is_numeric_dtype(kind)
        shown.add_column(str(name).replace("_", " "), justify="right" if is_number else "left")
    for row in table.to_dict("records"):
        cells = (
            "" if pd.isna(value) else FORMATS.get(str(name), "{}").format(value)
            for name, value in row.items()
        )
        shown.add_row(*cells)
    return shown
