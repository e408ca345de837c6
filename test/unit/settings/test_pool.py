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

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ("all", "all"),
            ("none", "none"),
            ([], ()),
            (["ner-en", "ner-fr:1"], ("ner-en", "ner-fr:1")),
        ],
    )
    def test_preload(self, load: Load, given: object, expected: object) -> None:
        """The models to preload are all, none, or those of a list."""
        assert load().pool.preload == "all"
        assert load(pool={"preload": given}).pool.preload == expected

    @pytest.mark.parametrize(
        ("given", "expected"),
        [("none", "none"), ('["a", "b"]', ("a", "b")), ("all", "all")],
    )
    def test_preload_variable(
        self, load: Load, monkeypatch: pytest.MonkeyPatch, given: str, expected: object
    ) -> None:
        """A variable holds a word, or a list in JSON."""
        monkeypatch.setenv("TIDEMILL__POOL__PRELOAD", given)
        assert load().pool.preload == expected

    @pytest.mark.parametrize("given", ["some", 3, None, [1], {"a": 1}])
    def test_wrong_preload(self, load: Load, given: object) -> None:
        """Anything else is one error, which says what is possible."""
        with pytest.raises(InvalidSettings) as caught:
            load(pool={"preload": given})
        assert str(caught.value) == (
            "settings: pool.preload: must be all, none, or a list of models, such as [a, b]"
        )

    @pytest.mark.parametrize(
        ("given", "expected"),
        [(None, None), (1000, 1000), ("1000", 1000), ("2GiB", 2 << 30), ("1.5 MB", 1_500_000)],
    )
    def test_model_memory(self, load: Load, given: object, expected: int | None) -> None:
        """The memory is a number of bytes, or text with a unit."""
        assert load(pool={"model_memory": given}).pool.model_memory == expected

    @pytest.mark.parametrize("given", ["much", "2 bananas", -1, 0, [1]])
    def test_wrong_memory(self, load: Load, given: object) -> None:
        """Anything else is an error that names the setting."""
        with pytest.raises(InvalidSettings, match=r"pool\.model_memory"):
            load(pool={"model_memory": given})
