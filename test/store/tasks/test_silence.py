"""A run is lost only after silence that the observer has really seen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidemill.tasks.silence import Silence


def test_lost() -> None:
    """A run whose sign stays the same for the whole time is lost, and no other."""
    silence = Silence(10, 4)
    lost = [silence.look({"a": (1, 5), "b": (1, now)}, now) for now in range(0, 14, 2)]
    assert lost == [[], [], [], [], [], ["a"], ["a"]]


def test_pause() -> None:
    """An observer that was itself away for long does not blame the others for it."""
    silence = Silence(10, 4)
    assert silence.look({"a": (1, 5)}, 0) == []
    assert silence.look({"a": (1, 5)}, 1_000_000) == []


def test_new_attempt() -> None:
    """A new attempt begins a new silence."""
    silence = Silence(4, 4)
    silence.look({"a": (1, 5)}, 0)
    assert silence.look({"a": (1, 5)}, 4) == ["a"]
    assert silence.look({"a": (2, 5)}, 8) == []


@given(st.lists(st.floats(0, 100), min_size=1, max_size=50))
def test_alive(pauses: list[float]) -> None:
    """A run that shows a sign between any two looks is never lost, whatever the clock does."""
    silence, now = Silence(1, 100), 0.0
    for beat, pause in enumerate(pauses):
        now += pause
        assert silence.look({"a": (1, beat)}, now) == []
