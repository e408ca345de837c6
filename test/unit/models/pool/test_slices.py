from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import ModelUnavailable, PredictionFailed
from tidemill.inference.model import Limits
from tidemill.inference.request import Output
from tidemill.models.pool.slices import FIRST_SIZE, TARGET_S, Slicer
from tidemill.settings import PoolSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.inference.model import ModelSpec

    MakeSpec = Callable[..., ModelSpec]


def slicer_at(spec: ModelSpec, seconds: float, processes: int = 2, **bounds: int) -> Slicer:
    """Return a slicer that knows how long the model takes for an input."""
    slicer = Slicer(PoolSettings(**bounds), processes)
    slicer.record(spec, [Output("1", (0.0, seconds))])
    return slicer


class TestCut:
    @given(
        count=st.integers(0, 600),
        seconds=st.floats(0, 100),
        processes=st.integers(1, 9),
        bounds=st.tuples(st.integers(1, 300), st.integers(1, 300)).map(sorted),
        batch=st.integers(1, 300),
    )
    def test_bounds(
        self,
        make_spec: MakeSpec,
        count: int,
        seconds: float,
        processes: int,
        bounds: list[int],
        batch: int,
    ) -> None:
        """Slices are the inputs, in order, even, and within all bounds."""
        smallest, largest = bounds
        spec = make_spec(limits=Limits(batch=batch))
        slicer = slicer_at(spec, seconds, processes, min_slice=smallest, max_slice=largest)
        inputs = [str(number) for number in range(count)]
        slices = slicer.cut(spec, inputs)
        assert list(chain.from_iterable(slices)) == inputs
        sizes = [len(each) for each in slices]
        if count:
            assert max(sizes) - min(sizes) <= 1
            assert min(sizes) >= 1
            assert max(sizes) <= min(largest, batch)
            # A smaller slice is the even share of inputs that one slice more cannot hold.
            assert min(sizes) >= min(smallest, batch, count) // 2

    @pytest.mark.parametrize(
        ("seconds", "sizes"), [(1.0, [1] * 64), (0.01, [9, 9, 9, 9, 9, 9, 10]), (1e-6, [64])]
    )
    def test_speed(self, make_spec: MakeSpec, seconds: float, sizes: list[int]) -> None:
        """A slow model gets single inputs, a fast one all of them."""
        spec = make_spec()
        cut = slicer_at(spec, seconds).cut(spec, ["a"] * 64)
        assert sorted(map(len, cut)) == sizes

    def test_every_process(self, make_spec: MakeSpec) -> None:
        """A few inputs that take time are shared by all processes."""
        spec = make_spec()
        assert len(slicer_at(spec, 0.02, processes=4).cut(spec, ["a"] * 5)) == 2
        assert len(slicer_at(spec, 0.1, processes=4).cut(spec, ["a"] * 4)) == 4
        assert len(slicer_at(spec, 0.001, processes=4).cut(spec, ["a"] * 5)) == 1

    def test_unknown_speed(self, make_spec: MakeSpec) -> None:
        """A new model gets small slices: a slow one would exceed its time limit with large ones."""
        slices = Slicer(PoolSettings(), 2).cut(make_spec(), ["a"] * 100)
        assert max(map(len, slices)) == FIRST_SIZE


class TestRecord:
    def test_adapts(self, make_spec: MakeSpec) -> None:
        """The size follows a model that becomes slower, and one that becomes faster."""
        spec, slicer = make_spec(), Slicer(PoolSettings(), 1)
        for seconds in (0.001, 0.05, 0.002):
            for _ in range(20):
                slicer.record(spec, [Output("1", (0.0, 10 * seconds))] * 10)
            size = max(map(len, slicer.cut(spec, ["a"] * 1000)))
            assert size == pytest.approx(TARGET_S / seconds, rel=0.1)

    def test_calls(self, make_spec: MakeSpec) -> None:
        """The inputs of a call share its time; failures and outages tell nothing."""
        spec = make_spec()
        slicer = slicer_at(spec, 0.008)
        before = [len(each) for each in slicer.cut(spec, ["a"] * 99)]
        call = [Output("1", (1.0, 1.016))] * 2
        slicer.record(spec, [*call, Output(PredictionFailed(ValueError()), (5.0, 9.0))])
        slicer.record(spec, [Output(ModelUnavailable("m:1", "down"), (7.0, 7.0))] * 9)
        assert [len(each) for each in slicer.cut(spec, ["a"] * 99)] == before

    def test_models_apart(self, make_spec: MakeSpec) -> None:
        """Each model has a speed of its own."""
        slow, fast = make_spec(name="slow"), make_spec(name="fast")
        slicer = slicer_at(slow, 1.0)
        slicer.record(fast, [Output("1", (0.0, 1e-6))])
        assert len(slicer.cut(slow, ["a"] * 10)) == 10
        assert len(slicer.cut(fast, ["a"] * 10)) == 1
