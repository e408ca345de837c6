"""What `tidemill pack report` measures."""

from __future__ import annotations

import pickle

from prophet_models import fit

from tidemill.packing.report import measure


class TestMeasure:
    def test_kinds(self) -> None:
        """Each kind keeps the forecasts, is measured by its bytes, and leaves the models alone."""
        models = {str(number): fit(number).model for number in (0, 77, 150)}
        plain = sum(len(pickle.dumps(model)) for model in models.values()) / len(models)
        before = [model.uncertainty_samples for model in models.values()]
        measured = {each.kind: each for each in measure(models)}
        assert {"prophet", "prophet-json", "pickle-none", "pickle-lzma"} <= measured.keys()
        assert all(each.equal for each in measured.values())
        assert measured["pickle-none"].size == plain
        assert measured["prophet"].size < 1000
        assert measured["prophet"].saved == 1 - measured["prophet"].size / plain
        assert [model.uncertainty_samples for model in models.values()] == before

    def test_chosen(self) -> None:
        """Only the kinds that are asked for are measured; one that cannot hold a model is not."""
        model = fit(0).model
        model.mcmc_samples = 10
        assert [each.kind for each in measure({"a": model}, ["prophet", "prophet-json"])] == [
            "prophet-json"
        ]
