from __future__ import annotations

import dataclasses
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from examples.cities import messages, report, train
from tidemill.inference.engine import local_engine
from tidemill.inference.headers import encode_headers
from tidemill.inference.message import Failure, Message
from tidemill.inference.predictor import Predictor
from tidemill.models import catalogue, host

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from examples.cities.messages import Offer
    from examples.cities.report import Answer
    from tidemill.inference.route import Route

    Problems = Callable[..., str]

CITIES = (1, 2, 3)


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Route]:
    """The example's routes, with the trained models of three cities."""
    folder = tmp_path_factory.mktemp("cities")
    for name in ("models.yaml", "offer.schema.json"):
        shutil.copy(train.MODELS.with_name(name), folder)
    assert train.train(folder / "models.yaml", CITIES) == 20
    assert train.train(folder / "models.yaml", CITIES) == 0
    return catalogue.load_models(folder / "models.yaml")


@pytest.fixture(scope="module")
def offers() -> list[Offer]:
    """Offers of three cities, with each kind of unusual message four times."""
    return list(messages.offers(1440, cities=CITIES))


@pytest.fixture(scope="module")
def answers(routes: Sequence[Route], offers: list[Offer]) -> list[Answer]:
    """The answers to the offers, as a stream gives them."""
    predictor = Predictor(routes, local_engine(host.load, clock=time.time))
    sent = [Message(offer.line.encode(), key=offer.passenger.encode()) for offer in offers]
    answers = []
    for message, outcome in zip(sent, predictor.predict(sent), strict=True):
        if isinstance(outcome, Failure):
            headers = {n: (v or b"").decode() for n, v in encode_headers(message, outcome)}
            answers.append(report.read_dead_letter(message.value or b"", headers))
        else:
            answers.append(report.read_result(outcome.value))
    return answers


class TestModels:
    """Twenty lines of models.yaml describe 200 routes."""

    def test_routes(self, routes: Sequence[Route]) -> None:
        """Each combination of city, service and traffic has one, in the form of the seed."""
        assert len(routes) == 200
        assert sum(len(route.variants) for route in routes) == 208
        assert {"/probability/2/TAXI/trafficunaware", "/probability/50/PHV/trafficaware"} < {
            route.path for route in routes
        }
        assert routes[0].name == "match_probability_3_TAXI_trafficaware"
        assert sum(route.is_split for route in routes) == 8


class TestAnswers:
    """The models have learnt the rule, and the tests split the passengers."""

    def test_as_expected(
        self, routes: Sequence[Route], offers: list[Offer], answers: list[Answer]
    ) -> None:
        """Every offer has the result or dead letter that it should have."""
        table = report.who_answered(routes, offers, answers)
        assert list(report.problems(table, offers, answers, answers)) == []
        assert set(table["test"]) == {"", "(no model)", "rush hour", "export"}
        assert table["error"].dropna().between(0, 0.12).all()

    def test_tests(
        self, routes: Sequence[Route], offers: list[Offer], answers: list[Answer]
    ) -> None:
        """A curve predicts better, and the export as well as the original."""
        table = report.who_answered(routes, offers, answers).set_index("variant")
        assert table["error"]["curve"] < table["error"]["line"] * 0.8
        assert table["error"]["onnx"] == pytest.approx(table["error"]["skops"], rel=0.2)

    def test_unusual(self, offers: list[Offer], answers: list[Answer]) -> None:
        """Each unusual message is listed with its outcome."""
        table = report.unusual_messages(offers, answers, answers).set_index("unusual")
        assert (table["sent"] == 4).all()
        assert table["stream"].to_dict() == {
            kind: error or "result (curve, forced)" for kind, (_, error) in messages.UNUSUAL.items()
        }


class TestProblems:
    """The comparison can fail."""

    @pytest.fixture
    def problems(
        self, routes: Sequence[Route], offers: list[Offer], answers: list[Answer]
    ) -> Problems:
        """What finds the problems of some answers."""

        def find(batch: Sequence[Answer] = answers, stream: Sequence[Answer] = answers) -> str:
            table = report.who_answered(routes, offers, stream)
            return "; ".join(report.problems(table, offers, batch, stream))

        return find

    def test_lost(self, problems: Problems, answers: list[Answer]) -> None:
        """An offer without an answer."""
        assert "the batch did not answer each offer once" in problems(batch=answers[1:])
        assert "the stream did not answer each offer once" in problems(stream=answers + answers[:1])

    def test_wrong(self, problems: Problems, answers: list[Answer]) -> None:
        """A dead letter instead of a result, and another probability."""
        dead = [answers[0]._replace(probability=float("nan"), error="NoModel"), *answers[1:]]
        assert "the stream gave 1 unexpected errors or results, as for offer-0" in problems(
            stream=dead
        )
        other = [answers[0]._replace(probability=answers[0].probability + 0.01), *answers[1:]]
        assert problems(batch=other) == "batch and stream differ for 1 offers, such as offer-0"

    def test_variants(self, problems: Problems, answers: list[Answer]) -> None:
        """A passenger with two variants, and a share that is not the weight."""
        swap = {"skops": "onnx", "onnx": "skops"}
        by_offer = [
            each._replace(variant=swap.get(each.variant, each.variant)) if n % 2 else each
            for n, each in enumerate(answers)
        ]
        assert "passengers got several variants of one test" in problems(by_offer, by_offer)
        alike = [
            each._replace(model=each.model.replace(":1-onnx", ":1"), variant="skops")
            if each.variant == "onnx"
            else each
            for each in answers
        ]
        assert "skops has 100.0% of the passengers instead of 50%" in problems(alike, alike)


def test_same_offers() -> None:
    """The generator gives the same offers at each call, and others with another seed."""
    first, again = (list(messages.offers(80)) for _ in range(2))
    assert [*map(dataclasses.astuple, first)] == [*map(dataclasses.astuple, again)]
    assert first != list(messages.offers(80, seed=1))
