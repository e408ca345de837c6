"""Which models the server loads, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from specs import make_spec

from tidemill.errors import InvalidSettings
from tidemill.models.pool.loading import Wishes, preloaded
from tidemill.models.pool.model_table import NO_WISH, REFUSED, ModelTable
from tidemill.settings import PoolSettings

if TYPE_CHECKING:
    from clock import Clock

SPECS = [
    make_spec(name="en", version="1"),
    make_spec(name="en", version="2"),
    make_spec(name="fr", version="1"),
]


class TestPreloaded:
    @pytest.mark.parametrize(
        ("preload", "expected"),
        [
            ("all", ["en:1", "en:2", "fr:1"]),
            ("none", []),
            ([], []),
            (["en"], ["en:1", "en:2"]),
            (["fr", "en:2"], ["en:2", "fr:1"]),
        ],
    )
    def test_names(self, preload: object, expected: list[str]) -> None:
        """A name stands for all its versions; the order is that of the models file."""
        settings = PoolSettings.model_validate({"preload": preload})
        assert [spec.id for spec in preloaded(SPECS, settings)] == expected

    def test_unknown(self) -> None:
        """A name of no model is an error."""
        settings = PoolSettings(preload=("en", "de", "fr:2"))
        with pytest.raises(InvalidSettings) as caught:
            preloaded(SPECS, settings)
        assert [problem.rpartition(" ")[2] for problem in caught.value.problems] == ["de", "fr:2"]


class TestWishes:
    def test_quiet(self, clock: Clock) -> None:
        """Wishes are granted together, once no new one has come for a while."""
        table = ModelTable([spec.id for spec in SPECS], 1)
        wishes = Wishes(table, 2.0, clock=clock)
        clock.now += 9
        assert not wishes.are_due()
        table.wish("en:1")
        assert not wishes.are_due()
        clock.now += 1.5
        table.wish("fr:1")
        assert not wishes.are_due()
        clock.now += 1.5
        assert not wishes.are_due()
        table.answer("en:1", NO_WISH)
        clock.now += 0.6
        assert wishes.are_due()
        table.answer("fr:1", NO_WISH)
        assert not wishes.are_due()
        table.wish("fr:1")
        assert not wishes.are_due()

    def test_postponed(self, clock: Clock) -> None:
        """If nobody grants them, wishes are due again after twice the time, unless refused."""
        table = ModelTable([spec.id for spec in SPECS], 1)
        wishes = Wishes(table, 2.0, clock=clock)
        for spec in SPECS:
            table.wish(spec.id)
        assert not wishes.are_due()
        clock.now += 2.5
        assert wishes.are_due()
        table.answer("en:1", REFUSED)
        table.answer("fr:1", NO_WISH)
        assert wishes.postpone() == {"en:1"}
        assert table.wishes() == {"en:2", "fr:1"}
        clock.now += 3.5
        assert not wishes.are_due()
        clock.now += 1.0
        assert wishes.are_due()
