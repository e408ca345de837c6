from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tidemill.errors import InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill import settings

    Load = Callable[..., settings.Settings]


class TestPool:
    """The section sizes the pool of model processes and the slices that they take."""

    def test_defaults(self, load: Load) -> None:
        """There is one process for each core, and slices follow the model's speed."""
        pool = load().pool
        assert (pool.processes, pool.min_slice, pool.max_slice) == (None, 1, 256)

    def test_taken(self, load: Load) -> None:
        """Every setting can be set, and the two bounds of a slice may be equal."""
        pool = load(pool={"processes": 3, "min_slice": 8, "max_slice": 8}).pool
        assert (pool.processes, pool.min_slice, pool.max_slice) == (3, 8, 8)

    def test_environment(self, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
        """The environment wins over the file."""
        monkeypatch.setenv("TIDEMILL__POOL__PROCESSES", "2")
        assert load(pool={"processes": 3}).pool.processes == 2

    @pytest.mark.parametrize("name", ["processes", "min_slice", "max_slice"])
    @pytest.mark.parametrize("value", [0, -1, 1.5, "many"])
    def test_refused(self, load: Load, name: str, value: object) -> None:
        """A value that is not a positive whole number is an error that names the setting."""
        with pytest.raises(InvalidSettings, match=rf"pool\.{name}"):
            load(pool={name: value})

    @pytest.mark.parametrize(
        "pool", [{"min_slice": 9, "max_slice": 8}, {"min_slice": 257}, {"max_slice": 0}]
    )
    def test_bounds(self, load: Load, pool: dict[str, int]) -> None:
        """The smallest slice may not exceed the largest."""
        with pytest.raises(InvalidSettings, match="pool"):
            load(pool=pool)

    def test_bounds_in_words(self, load: Load) -> None:
        """The error names both values."""
        with pytest.raises(InvalidSettings, match=r"min_slice 9 exceeds max_slice 8"):
            load(pool={"min_slice": 9, "max_slice": 8})
