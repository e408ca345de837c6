"""Tests of samples and of the schemas that apply."""

from __future__ import annotations

import pytest
from specs import make_spec

from tidemill.errors import SampleMissing, UnusableEntry
from tidemill.inference.checks import refusals, sample_of


class Quiet:
    """A model that has what a test gives it."""

    def __init__(self, **attributes: object) -> None:
        """Take the attributes."""
        vars(self).update(attributes)

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Return the inputs."""
        return inputs


class TestSample:
    """An entry's sample wins over the model's own."""

    def test_own(self) -> None:
        """A model's own sample is JSON, as are the inputs of an entry without a sample."""
        spec = make_spec(sample=None, is_text=False)
        assert sample_of(spec, Quiet(sample='{"a": 1}')) == '{"a":1}'

    def test_text(self) -> None:
        """A text is refused: the model would get its other inputs in quotes."""
        with pytest.raises(UnusableEntry, match="not JSON"):
            sample_of(make_spec(sample=None, is_text=False), Quiet(sample="A good day"))

    def test_missing(self) -> None:
        """Without any sample, an outage could not be told from a bad input."""
        with pytest.raises(SampleMissing):
            sample_of(make_spec(sample=None), Quiet(sample={"a": 1}))


class TestSchema:
    """An entry's schema wins over the model's own, even if it allows everything."""

    def test_empty(self) -> None:
        """An empty schema refuses nothing."""
        model = Quiet(input_schema={"type": "integer"})
        assert refusals(make_spec(is_text=False), model, ["null"]).keys() == {0}
        assert refusals(make_spec(is_text=False, schema={}), model, ["null"]) == {}
