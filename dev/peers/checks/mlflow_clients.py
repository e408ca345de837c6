"""MLflow's client for scoring servers, and requests as its documentation shows them."""

from __future__ import annotations

from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pytest
import requests
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

from dev.peers.server import addresses

TIMEOUT_S = 60
ROWS = pd.DataFrame({"x": [4, 6], "name": ["a", "b"]})
PREDICTIONS = [{"p": 0.5, "label": "a"}, {"p": 0.75, "label": "b"}]


def client() -> ScoringServerClient:
    """Return MLflow's client."""
    at = urlsplit(addresses().http)
    return ScoringServerClient(at.hostname, at.port)


def test_ready() -> None:
    """The server answers MLflow's ping."""
    client().wait_server_ready(timeout=5)


def test_frame() -> None:
    """A DataFrame gets a prediction for each row."""
    frame = client().invoke(ROWS).get_predictions()
    assert frame.to_dict(orient="records") == PREDICTIONS


def test_error() -> None:
    """An error has its status and reason."""
    with pytest.raises(Exception, match=r"error code 400, response: .*InvalidInput"):
        client().invoke(ROWS[["x"]])


def test_unknown_params() -> None:
    """Parameters that models cannot take are refused, not ignored."""
    with pytest.raises(Exception, match=r"error code 400, response: .*temperature"):
        client().invoke(ROWS, params={"temperature": 0.5})


def test_version() -> None:
    """There is no MLflow server whose version could be told."""
    with pytest.raises(Exception, match="error code 404"):
        client().get_version()


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": ROWS.to_dict(orient="split")},
        {"dataframe_records": ROWS.to_dict(orient="records")},
        {"instances": ROWS.to_dict(orient="records")},
        {"inputs": ROWS.to_dict(orient="list")},
    ],
    ids=lambda body: next(iter(body)),
)
@pytest.mark.parametrize("path", ["/invocations", "/score/invocations"])
def test_requests(body: dict[str, object], path: str) -> None:
    """Each form of a request gets the same predictions, under both paths."""
    response = requests.post(addresses().http + path, json=body, timeout=TIMEOUT_S)
    assert response.status_code == 200
    assert response.json()["predictions"] == PREDICTIONS


def test_numpy() -> None:
    """An array has rows without names, which a model of objects refuses."""
    with pytest.raises(Exception, match="error code 400"):
        client().invoke(np.array([[1, 2]]))
