from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tidemill.errors import InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tidemill.settings import Settings

    Load = Callable[..., Settings]

CANARY = "canary-9c2e"


class TestDefaults:
    """By default, only the job's own machine can monitor it."""

    def test_loopback(self, load: Load) -> None:
        """Metrics and probes listen on loopback; nothing is pushed."""
        monitoring = load().monitoring
        assert (monitoring.metrics_host, monitoring.metrics_port) == ("127.0.0.1", 9095)
        assert monitoring.pushgateway_url is None
        assert monitoring.instance

    def test_off(self, load: Load) -> None:
        """Null disables the port."""
        assert load(monitoring={"metrics_port": None}).monitoring.metrics_port is None


class TestPushgateway:
    """The settings of a gateway are validated."""

    @pytest.mark.parametrize(
        "url", ["pushgateway:9091", "ftp://host", "http://", "http:///metrics", ""]
    )
    def test_no_url(self, load: Load, url: str) -> None:
        """An invalid URL is refused, with an example."""
        with pytest.raises(InvalidSettings, match=r"such as http://pushgateway:9091"):
            load(monitoring={"pushgateway_url": url})

    def test_password_in_the_url(self, load: Load) -> None:
        """A URL is public, so a password in it is refused, and not repeated."""
        with pytest.raises(InvalidSettings, match="pushgateway_username") as caught:
            load(monitoring={"pushgateway_url": f"http://user:{CANARY}@host:9091"})
        assert CANARY not in str(caught.value)

    def test_password(self, load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The password comes from the environment or a file, not from YAML."""
        user = {"pushgateway_username": "u"}
        with pytest.raises(InvalidSettings, match="pushgateway_password is a secret") as caught:
            load(monitoring={**user, "pushgateway_password": CANARY})
        assert CANARY not in str(caught.value)
        (tmp_path / "secret").write_text(f"{CANARY}\n")
        file = {"pushgateway_password_file": str(tmp_path / "secret")}
        loaded = load(monitoring={**user, **file}).monitoring
        assert CANARY not in repr(loaded)
        assert loaded.pushgateway_password is not None
        assert loaded.pushgateway_password.get_secret_value() == CANARY
        monkeypatch.setenv("TIDEMILL__MONITORING__PUSHGATEWAY_PASSWORD", CANARY)
        assert load(monitoring=user).monitoring.pushgateway_password

    def test_half(self, load: Load) -> None:
        """A user without a password is refused."""
        with pytest.raises(InvalidSettings, match="go together"):
            load(monitoring={"pushgateway_username": "u"})

    @pytest.mark.parametrize("name", ["pushgateway_ca_file", "pushgateway_keystore_file"])
    def test_missing_file(self, load: Load, name: str) -> None:
        """A missing file is an error that names it."""
        with pytest.raises(InvalidSettings, match=rf"{name}: there is no file nowhere\.pem"):
            load(monitoring={name: "nowhere.pem"})
