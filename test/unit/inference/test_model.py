from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import msgspec
import pytest

from tidemill.inference.model import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Callable


class TestModelSpec:
    """An entry is a small value that travels to the workers."""

    def test_id(self, make_spec: Callable[..., ModelSpec]) -> None:
        """Its id is its name and version."""
        assert make_spec(name="ner-en", version="3.8.0").id == "ner-en:3.8.0"

    def test_pickle(self, make_spec: Callable[..., ModelSpec]) -> None:
        """Pickling keeps it equal."""
        spec = make_spec(options={"a": [1, {"b": None}]}, match={"lang": "en"})
        assert pickle.loads(pickle.dumps(spec)) == spec  # noqa: S301 - made here

    def test_frozen(self, make_spec: Callable[..., ModelSpec]) -> None:
        """It is frozen."""
        with pytest.raises(AttributeError):
            make_spec().name = "other"  # type: ignore[misc]

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("name", "a:b"),
            ("name", ""),
            ("name", "-a"),
            ("version", 3.8),
            ("version", "1 2"),
            ("adapter", "module.Class"),
            ("max_chars", 0),
            ("max_batch_size", 0),
            ("match", {"lang": False}),
            ("surplus", 1),
        ],
    )
    def test_wrong_values(
        self, make_spec: Callable[..., ModelSpec], field: str, value: object
    ) -> None:
        """A wrong or unknown field is refused, and named."""
        entry = {**msgspec.to_builtins(make_spec()), field: value}
        with pytest.raises(msgspec.ValidationError, match=field):
            msgspec.convert(entry, ModelSpec)
