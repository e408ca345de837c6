from __future__ import annotations

import pytest
import requests

from tidemill.monitoring.reason import reason


class TestReason:
    """A failure is described without the layers of a library."""

    def test_refused(self) -> None:
        """The description is the operating system's message."""
        with pytest.raises(requests.ConnectionError) as caught:
            requests.get("http://127.0.0.1:1/", timeout=1, proxies={"http": ""})
        assert reason(caught.value).endswith("] Connection refused")
        assert reason(caught.value).startswith("ConnectionRefusedError: ")

    def test_without_a_cause(self) -> None:
        """An exception without a cause is described by its own message."""
        assert reason(requests.HTTPError("404 Not Found")) == "HTTPError: 404 Not Found"
