"""A trial loads a model and runs it on its sample."""

from __future__ import annotations

import pytest
from specs import example_spec, make_spec
from tried_models import MIB

from tidemill.errors import ModelMisconfigured, ModelUnavailable
from tidemill.models.isolation.procfs import SELF
from tidemill.models.trial import try_model


class TestTrial:
    def test_works(self) -> None:
        """The output is that of the sample; times and memory are not negative."""
        trial = try_model(example_spec("Upper", name="trial"))
        assert trial.output == '"A SAMPLE"'
        assert trial.load_seconds >= 0
        assert trial.sample_seconds >= 0
        assert trial.memory >= 0

    @pytest.mark.skipif(not SELF.exists(), reason="there is no /proc")
    def test_memory(self) -> None:
        """What a model allocates counts."""
        trial = try_model(make_spec(name="trial-large", adapter="tried_models:Large"))
        assert 60 <= trial.memory / MIB < 100

    def test_sample_fails(self) -> None:
        """A model that fails on its sample is down."""
        with pytest.raises(ModelUnavailable):
            try_model(example_spec("Upper", name="trial-down", sample="raise"))

    def test_does_not_load(self) -> None:
        """A class that does not exist is misconfigured."""
        with pytest.raises(ModelMisconfigured):
            try_model(example_spec("Missing", name="trial-missing"))
