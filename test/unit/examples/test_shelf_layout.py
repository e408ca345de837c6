from __future__ import annotations

import itertools
import json
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from examples.shelf_layout import run
from examples.shelf_layout.drawing import render
from examples.shelf_layout.greedy import greedy
from examples.shelf_layout.job import Drawn, ShelfLayout
from examples.shelf_layout.layout import SCALE, Layout, Placement, faults, most_worth, score, tidy
from examples.shelf_layout.parameters import Parameters, Product, Shelf
from examples.shelf_layout.search import NoLayout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SMALL = run.BAY.with_name("small.json")


def small(seconds: float = 60) -> Parameters:
    """The small example, with time to find the best layout on a busy machine, too."""
    return run.read(SMALL).model_copy(update={"seconds": seconds})


def search(parameters: Parameters) -> Layout:
    """The best layout, found by one thread."""
    return ShelfLayout(workers=1).run(parameters, lambda *_: None).layout


@st.composite
def bays(draw: Callable[..., Any], *, products: int, length: int, seconds: float) -> Parameters:
    """Parameters that are valid; some have no layout."""
    numbers = st.integers(1, length)
    high = st.integers(100, 300)
    shelves = [
        Shelf(
            name=f"shelf {n}",
            length=draw(numbers),
            height=draw(high),
            weight=draw(st.sampled_from([0.5, 1, 1.5])),
        )
        for n in range(draw(st.integers(1, 2)))
    ]

    def product(n: int) -> Product:
        size = draw(st.integers(1, max(1, length // 2)))
        most = draw(st.integers(1, 3))
        fits = size * 1 <= max(s.length for s in shelves)
        return Product(
            name=f"product {n}",
            group=draw(st.sampled_from("ab")),
            length=size,
            height=min(draw(high), max(shelf.height for shelf in shelves)),
            value=draw(st.integers(0, 5)),
            facings_min=draw(st.integers(0, 1)) if fits else 0,
            facings_max=most,
        )

    made = [product(n) for n in range(draw(st.integers(1, products)))]
    together = draw(st.integers(0, 500))
    try:
        return Parameters(shelves=shelves, products=made, together=together, seconds=seconds)
    except ValidationError:
        # Too long together, or too high for the shelf that is long enough.
        made = [each.model_copy(update={"facings_min": 0}) for each in made]
        return Parameters(shelves=shelves, products=made, together=together, seconds=seconds)


def every_layout(parameters: Parameters) -> Iterator[list[Placement]]:
    """All layouts that obey the rules."""
    options: list[list[Placement | None]] = [
        [None]
        + [
            Placement(product=n, shelf=row, start=start, facings=facings)
            for row, shelf in enumerate(parameters.shelves)
            for facings in range(1, product.facings_max + 1)
            for start in range(shelf.length)
        ]
        for n, product in enumerate(parameters.products)
    ]
    for chosen in itertools.product(*options):
        placed = [each for each in chosen if each]
        if not any(faults(parameters, placed)):
            yield placed


class TestSearch:
    """The result is the best layout, or at least a good one."""

    @settings(max_examples=25)
    @given(bays(products=2, length=5, seconds=60))
    def test_best(self, parameters: Parameters) -> None:
        """A small problem has the points that trying all layouts finds."""
        points = [score(parameters, each) for each in every_layout(parameters)]
        if not points:
            with pytest.raises(NoLayout, match="do not fit"):
                search(parameters)
            return
        layout = search(parameters)
        assert layout.optimal
        assert layout.points == layout.bound == max(points) / SCALE
        assert score(parameters, layout.placements) == max(points)

    @settings(max_examples=15)
    @given(bays(products=8, length=600, seconds=0.3))
    def test_rules(self, parameters: Parameters) -> None:
        """Every layout obeys the rules, and is at least as good as the greedy one."""
        first = greedy(parameters)
        try:
            layout = search(parameters)
        except NoLayout:
            assert first is None
            return
        assert list(faults(parameters, layout.placements)) == []
        assert score(parameters, layout.placements) == round(layout.points * SCALE)
        assert layout.points <= layout.bound <= most_worth(parameters) / SCALE
        assert first is None or layout.points * SCALE >= score(parameters, first) - 0.5

    @given(bays(products=8, length=600, seconds=1))
    def test_greedy(self, parameters: Parameters) -> None:
        """The greedy layout obeys the rules, too."""
        placements = greedy(parameters)
        assert placements is None or list(faults(parameters, placements)) == []

    def test_same(self) -> None:
        """Two searches with one thread find the same layout and picture."""
        parameters = small()
        first, second = search(parameters), search(parameters)
        assert first == second
        assert first.optimal
        assert render(first) == render(second)

    def test_from_json(self) -> None:
        """The parameters have a schema for forms, and a stored result can be drawn."""
        schema = TypeAdapter(Parameters).json_schema()
        assert schema["$defs"]["Shelf"]["properties"]["length"]["description"]
        layout = search(small())
        assert Layout.model_validate_json(layout.model_dump_json()) == layout


class TestTidy:
    """Useless gaps are closed."""

    @given(st.data())
    def test_moves_left(self, data: st.DataObject) -> None:
        """A tidy layout obeys the rules and has no fewer points."""
        parameters = data.draw(bays(products=8, length=600, seconds=1))
        placements = greedy(parameters) or []
        ends = {
            row: shelf.length
            - sum(
                parameters.products[p.product].length * p.facings
                for p in placements
                if p.shelf == row
            )
            for row, shelf in enumerate(parameters.shelves)
        }
        shift = {row: data.draw(st.integers(0, room)) for row, room in ends.items()}
        moved = [p.model_copy(update={"start": p.start + shift[p.shelf]}) for p in placements]
        assert set(faults(parameters, moved)) == set(faults(parameters, placements))
        done = tidy(parameters, moved)
        assert set(faults(parameters, done)) == set(faults(parameters, placements))
        assert score(parameters, done) >= score(parameters, moved)


def assert_ended() -> None:
    """Wait until the search's thread is gone; `is_alive` may be wrong about it."""
    until = time.monotonic() + 60
    while "shelf layout" in {thread.name for thread in threading.enumerate()}:
        assert time.monotonic() < until, "the search goes on"
        time.sleep(0.05)


class TestReport:
    """The job says how far it is, and ends when it is told to."""

    def test_progress(self) -> None:
        """Progress grows up to 1, and the last phrase has the points."""
        said: list[tuple[Any, ...]] = []
        job = ShelfLayout(workers=1)
        layout = job.run(small(), lambda *each: said.append(each)).layout
        progress = [each[0] for each in said]
        assert progress == sorted(progress)
        assert progress[-1] == 1
        assert said[-1][1] == f"{layout.points:,.0f} points, the best possible"

    def test_better_and_better(self) -> None:
        """Each layout that is reported obeys the rules, is drawn, and is better than the last."""
        best: list[Drawn] = []
        for seconds in (4.0, 60.0):  # the second if the machine is too busy for the first
            parameters = run.read(run.BAY).model_copy(update={"seconds": seconds})
            last = ShelfLayout(workers=1).run(parameters, lambda *each: best.extend(each[2:]))
            if best:
                break
        points = [each.layout.points for each in [*best, last]]
        assert best
        assert points == sorted(points)
        assert not any(list(faults(parameters, each.layout.placements)) for each in best)
        assert best[0].svg == render(best[0].layout)

    def test_cancelled(self) -> None:
        """An exception of `report` ends the search and its thread long before its time."""
        parameters = run.read(run.BAY).model_copy(update={"seconds": 3600.0})

        def cancel(progress: float, phrase: str, best: object = None) -> None:
            if "points" in phrase:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            ShelfLayout(workers=1).run(parameters, cancel)
        assert_ended()

    def test_ended_by_signal(self) -> None:
        """A signal handler that raises an exception, as on SIGTERM, ends the search, too."""
        began = threading.Event()

        def send() -> None:
            began.wait()
            # By then, the main thread most likely waits for the search.
            time.sleep(0.1)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

        def end(*_: object) -> None:
            raise KeyboardInterrupt

        def report(progress: float, phrase: str, best: object = None) -> None:
            if "points" in phrase:
                began.set()

        parameters = run.read(run.BAY).model_copy(update={"seconds": 3600.0})
        before = signal.signal(signal.SIGUSR1, end)
        sender = threading.Thread(target=send)
        sender.start()
        try:
            with pytest.raises(KeyboardInterrupt):
                ShelfLayout(workers=1).run(parameters, report)
        finally:
            signal.signal(signal.SIGUSR1, before)
            sender.join()
        assert_ended()

    def test_time_is_up(self) -> None:
        """A search that is cut off has a layout, and a bound that it may not reach."""
        parameters = run.read(run.BAY).model_copy(update={"seconds": 0.5})
        layout = search(parameters)
        assert list(faults(parameters, layout.placements)) == []
        assert 0 < layout.points < layout.bound
        assert not layout.optimal


class TestWrongParameters:
    """A mistake is named, with what to do."""

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"shelves": []}, "shelves"),
            ({"products.0.length": 0}, "products.0.length"),
            ({"products.0.length": "12"}, "products.0.length"),
            ({"products.0.facings_min": 9}, "'Oat flakes' has facings_min 9 above facings_max 4"),
            ({"products.1.name": "Oat flakes"}, "two products have the name 'Oat flakes'"),
            ({"shelves.1.name": "eye level"}, "two shelves have the name 'eye level'"),
            ({"products.0.height": 301}, "'Oat flakes' fits on no shelf with facings_min 1"),
            ({"products.0.name": "a\nb"}, "no control characters"),
            ({"products.0.colour": "red"}, "products.0.colour"),
            ({"seconds": 0}, "seconds"),
            (
                {
                    "shelves.0.length": 160,
                    "shelves.1.length": 160,
                },
                "the fewest facings need 420 mm, and the shelves have 320 mm",
            ),
        ],
    )
    def test_refused(self, change: dict[str, Any], message: str) -> None:
        """It is refused before the search."""
        document = json.loads(SMALL.read_text())
        for path, value in change.items():
            *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
            place = document
            for part in parents:
                place = place[part]
            place[last] = value
        with pytest.raises(ValidationError) as caught:
            Parameters.model_validate_json(json.dumps(document), strict=True)
        assert message in str(caught.value)

    def test_no_layout(self) -> None:
        """Only the search finds out that three long products do not fit on two shelves."""
        shelves = [Shelf(name=name, length=100, height=10) for name in "ab"]
        products = [
            Product(name=name, group="g", length=60, height=9, value=1, facings_min=1)
            for name in "xyz"
        ]
        parameters = Parameters(
            shelves=[*shelves, shelves[0].model_copy(update={"name": "c"})], products=products
        )
        assert len(search(parameters).placements) == 3
        narrow = parameters.model_copy(
            update={"shelves": [*shelves, Shelf(name="c", length=59, height=10)]}
        )
        with pytest.raises(NoLayout, match="do not fit") as caught:
            search(narrow)
        assert "hint: Lower facings_min" in caught.value.__notes__[0]


class TestCommand:
    """The example runs without a server."""

    def test_picture(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """It prints the points, and writes the picture."""
        patient = tmp_path / "small.json"
        patient.write_text(small().model_dump_json())
        assert run.main(patient, tmp_path / "small.svg") == 0
        assert "the best possible" in capsys.readouterr().out
        assert (tmp_path / "small.svg").read_text().startswith("<svg")

    def test_fails(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """It says why there is no picture."""
        (tmp_path / "wrong.json").write_text("{}")
        assert run.main(tmp_path / "wrong.json", tmp_path / "x.svg") == 1
        assert "products\n  Field required" in capsys.readouterr().out
