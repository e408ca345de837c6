"""A few fitted models of Prophet, which many tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prophet_models import fit

if TYPE_CHECKING:
    from prophet_models import Fitted


@pytest.fixture(scope="session")
def fitted() -> dict[str, Fitted]:
    """Three weekly models: two of one template, and one with regressors."""
    return {
        "store-1": fit(0, freq="W", holidays="none", regressors=0),
        "store-2": fit(12, growth="linear", freq="W", holidays="none", regressors=0),
        "priced": fit(4, growth="linear", freq="W", holidays="country", regressors=3),
    }
