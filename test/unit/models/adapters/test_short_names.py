"""Shipped adapters have short names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from tidemill.errors import InvalidModels, ModelMisconfigured
from tidemill.models import adapters, catalogue, host
from tidemill.models.adapters.spacy_ner import SpacyNer
from tidemill.models.isolation.child import load_class

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tidemill.inference.model import ModelSpec


class TestClassPath:
    """A short name stands for the class of a shipped adapter."""

    @pytest.mark.parametrize("name", adapters.SHORT_NAMES)
    def test_shipped(self, name: str) -> None:
        """Each short name leads to a model's class."""
        assert callable(load_class(adapters.class_path(name)).predict_all)

    def test_spacy(self) -> None:
        """The short name and the path give the same class."""
        path = "tidemill.models.adapters.spacy_ner:SpacyNer"
        assert adapters.class_path("spacy-ner") == adapters.class_path(path) == path
        assert load_class(path) is SpacyNer

    def test_own_class(self) -> None:
        """A path is returned unchanged."""
        assert adapters.class_path("sentiment:Sentiment") == "sentiment:Sentiment"


class TestUnknown:
    """A name that no shipped adapter has is refused, with the names that exist."""

    @pytest.fixture
    def entry(self) -> dict[str, str]:
        """An entry with a typo in its adapter's name."""
        return {"name": "m", "version": "1", "adapter": "spacy-nr", "sample": "s", "result": "r"}

    def test_in_a_file(self, entry: dict[str, str], tmp_path: Path) -> None:
        """The file's error names the entry, the known names and the nearest."""
        file = tmp_path / "models.yaml"
        file.write_text(yaml.safe_dump({"models": [entry]}), "utf-8")
        with pytest.raises(InvalidModels) as caught:
            catalogue.load_models(file)
        assert str(caught.value).removeprefix(f"{file}: ") == (
            "line 2: m: adapter: there is no adapter 'spacy-nr': did you mean spacy-ner? "
            "shipped: mlflow, onnx, packed, sklearn, spacy-ner; your own: package.module:Class"
        )

    def test_none_is_near(self) -> None:
        """Without a similar name nothing is suggested."""
        with pytest.raises(adapters.UnknownAdapter) as caught:
            adapters.class_path("forecast")
        assert "did you mean" not in str(caught.value)
        assert "shipped: mlflow, onnx, packed, sklearn, spacy-ner" in str(caught.value)

    def test_loaded(self, make_spec: Callable[..., ModelSpec]) -> None:
        """An entry that was made in Python is refused when its model is loaded."""
        with pytest.raises(ModelMisconfigured, match="did you mean spacy-ner"):
            host.load(make_spec(adapter="spacy-nr"))
