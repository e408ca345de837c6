from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tidemill.batch.differences import (
    SAMPLE,
    Answer,
    Difference,
    LiveOutcomes,
    Located,
    compare,
)

PLACES = st.tuples(st.integers(0, 2), st.integers(0, 6))
ANSWERS = st.builds(
    lambda n, failed, noise: (
        Answer(error=f"E{n}", message=str(noise)) if failed else result(n, noise)
    ),
    st.integers(0, 2),
    st.booleans(),
    st.integers(0, 3),
)


def result(output: object, noise: object = 0, **fields: Any) -> Answer:  # noqa: ANN401 - JSON values
    """Return a result; `noise` is in what a comparison ignores."""
    ignored = {"ts_start": noise, "ts_end": noise, "process_time": noise, "variant": noise}
    return Answer({"out": output, "model": f"m:{noise}", **ignored, **fields}, model=f"m:{noise}")


def compared(
    here: dict[tuple[int, int], Answer], live: list[tuple[Located, int]]
) -> tuple[Counter[str], list[Difference], list[Difference]]:
    """Compare; return the numbers, the sample and all differences."""
    written: list[Difference] = []
    with LiveOutcomes() as outcomes:
        for located, time in live:
            outcomes.add(located, time)
        ours = [Located(*place, answer) for place, answer in sorted(here.items())]
        counts, sample = compare(ours, outcomes, written.append)
    return counts, sample, written


class TestIsSame:
    """Two outcomes are the same if the message got the same answer."""

    def test_ignored(self) -> None:
        """Times, models and variants do not count."""
        assert result("a", 1).is_same(result("a", 2))

    def test_fields(self) -> None:
        """An output or a copied field that differs does count, and so does an error's class."""
        assert not result("a").is_same(result("b"))
        assert not result("a", id=1).is_same(result("a", id=2))
        assert not result("a").is_same(Answer(error="E"))
        assert not Answer(error="E").is_same(Answer(error="F"))
        assert Answer(error="E", message="1").is_same(Answer(error="E", message="2"))


class TestCompare:
    """Every message on either side is counted once."""

    @given(
        st.dictionaries(PLACES, ANSWERS),
        st.lists(st.tuples(PLACES, ANSWERS, st.integers(0, 3))),
    )
    def test_model(
        self,
        here: dict[tuple[int, int], Answer],
        written: list[tuple[tuple[int, int], Answer, int]],
    ) -> None:
        """The counts are those of two dictionaries; of repeats, the one written last counts."""
        in_time = sorted(written, key=lambda each: each[2])
        live = {place: answer for place, answer, _ in in_time}
        counts, sample, found = compared(here, [(Located(*p, a), t) for p, a, t in written])
        kinds = {
            place: "missing"
            if place not in here
            else "new"
            if place not in live
            else "same"
            if here[place].is_same(live[place])
            else "changed"
            for place in here.keys() | live.keys()
        }
        assert counts == Counter(kinds.values())
        assert {(each.partition, each.offset): each.kind for each in found} == {
            place: kind for place, kind in kinds.items() if kind != "same"
        }
        assert all(
            each.backfill == here.get((each.partition, each.offset))
            and each.live == live.get((each.partition, each.offset))
            for each in found
        )
        assert Counter(each.kind for each in sample) == Counter(
            {kind: min(n, SAMPLE) for kind, n in counts.items() if kind != "same"}
        )

    def test_not_expected(self) -> None:
        """A live outcome that the backfill would not have answered is not missing."""
        with LiveOutcomes() as live:
            live.add(Located(0, 1, result("a")), 0)
            counts, _ = compare([], live, lambda _: None, is_expected=lambda _: False)
        assert not counts
