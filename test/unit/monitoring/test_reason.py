from __future__ import annotations

import pytest
import requests

from tidemill.monitoring.reason import reason


class TestReason:
    """What failed is told without the layers of a library."""

    def test_refused(self) -> None:
        """The system's own words."""
        with pytest.raises(requests.ConnectionError) as caught:
            requests.get("http://127.0.0.1:1/", timeout=1, proxies={"http": ""})
        assert reason(caught.value).endswith("] Connection refused")
        assert reason(caught.value).startswith("ConnectionRefusedError: ")

    def test_without_a_cause(self) -> None:
        """An exception that nothing led to speaks for itself."""
        assert reason(requests.HTTPError("404 Not Found")) == "HTTPError: 404 Not Found"
