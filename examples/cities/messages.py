"""Make up offers of rides, whose probability to be accepted follows a known rule."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CITIES = range(1, 51)
TESTED = (1, 2)  # cities with an A/B test, which get more offers
SERVICES = ("TAXI", "PHV")
TRAFFIC = ("trafficaware", "trafficunaware")

# Unusual messages: the fields that change, and the error class of the dead letter to expect.
ABSENT = object()
UNUSUAL: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown city": ({"city": 99}, "NoModel"),
    "the city as text": ({"city": "3"}, "NoModel"),
    "a feature is missing": ({"offer_throughput_rate": ABSENT}, "InvalidInput"),
    "a feature is null": ({"eventtime": None}, "InvalidInput"),
    "a feature has the wrong type": ({"farevalueinminor": "12 euros"}, "InvalidInput"),
    "a feature is out of range": ({"route_decision_score": 1.5}, "InvalidInput"),
    "no passenger in an A/B test": ({"city": 2, "passenger": ABSENT}, "MissingField"),
    "a variant is forced": ({"city": 1, "tidemill.variant.force": "curve"}, ""),
    "no such variant": ({"city": 1, "tidemill.variant.force": "spiral"}, "UnknownVariant"),
}


@dataclass(frozen=True, slots=True)
class Offer:
    """A message, and what its answer should be.

    Attributes:
        offer: The offer's id.
        passenger: The record's key, and the field that A/B tests split by.
        line: The message, one line of JSON.
        truth: The probability by the rule.
        unusual: Which of UNUSUAL it is; empty for an ordinary message.
        expected: The error class of the dead letter to expect; empty for a result.

    """

    offer: str
    passenger: str
    line: str
    truth: float
    unusual: str
    expected: str


def features(random: np.random.Generator, count: int) -> pd.DataFrame:
    """Return the features of some offers."""
    return pd.DataFrame(
        {
            "route_decision_score": random.uniform(0, 1, count),
            "farevalueinminor": random.gamma(4, 450, count).round(),  # in cents
            "offer_throughput_rate": random.uniform(0, 2, count),
            "eventtime": random.uniform(0, 24, count),  # the hour of the day
            "backtoback": random.integers(0, 2, count).astype(float),
        }
    )


def probability(offer: Any, match: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a float or a Series
    """Return the probability that an offer is accepted: the rule that the models have to learn.

    All of it is linear in the log odds, except for the rush hour. `offer` has the features of one
    offer or of many; `match` has the fields that lead to a model.
    """
    rush_hour = np.exp(-(((offer["eventtime"] - 18) / 3) ** 2))
    steepness = 3 if match["traffic"] == "trafficaware" else 1.5
    log_odds = (
        1.0
        + np.sin(match["city"])  # each city has its own level
        + (0.5 if match["service"] == "TAXI" else -0.5)
        + steepness * (offer["route_decision_score"] - 0.5)
        - offer["farevalueinminor"] / 2000
        + 0.5 * offer["offer_throughput_rate"]
        + 0.7 * offer["backtoback"]
        - 2.5 * rush_hour
    )
    return 1 / (1 + np.exp(-log_odds))


def offers(count: int, *, cities: Sequence[int] = CITIES, seed: int = 0) -> Iterator[Offer]:
    """Yield offers, of which every 40th is unusual; half as many passengers make them."""
    random = np.random.default_rng(seed)
    for number, row in enumerate(features(random, count).to_dict("records")):
        kind = [*UNUSUAL][number // 40 % len(UNUSUAL)] if number % 40 == 39 else ""
        changes, expected = UNUSUAL.get(kind, ({}, ""))
        usual = {
            "offer": f"offer-{number}",
            "passenger": f"passenger-{random.integers(count // 2)}",
            "city": int(random.choice(TESTED if random.random() < 0.4 else cities)),
            "service": str(random.choice(SERVICES)),
            "traffic": str(random.choice(TRAFFIC)),
            **row,
        }
        fields = {name: value for name, value in (usual | changes).items() if value is not ABSENT}
        truth = probability(usual, usual | {"city": int(fields["city"])})
        yield Offer(
            usual["offer"], usual["passenger"], json.dumps(fields), float(truth), kind, expected
        )
