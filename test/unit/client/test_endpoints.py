from __future__ import annotations

from typing import Any

import pytest

from tidemill.client import AsyncClient, Client
from tidemill.client.endpoints import Endpoint, parse
from tidemill.errors import ConfigurationError, InvalidEndpoint, InvalidToken, TokenExposed


class TestParse:
    """URLs name servers."""

    @pytest.mark.parametrize(
        ("url", "normal"),
        [
            ("http://localhost", "http://localhost:8080"),
            ("https://models.example.com/", "https://models.example.com:443"),
            ("grpc://10.0.0.1", "grpc://10.0.0.1:8081"),
            ("grpcs://models:9000", "grpcs://models:9000"),
            ("HTTP://[::1]:1", "http://[::1]:1"),
            ("http://localhost:0", "http://localhost:0"),
        ],
    )
    def test_one(self, url: str, normal: str) -> None:
        """A URL without a port means that of `tidemill serve`, or of HTTPS."""
        (endpoint,) = parse(url)
        assert endpoint.url == normal
        assert not endpoint.is_group

    def test_several(self) -> None:
        """Servers may be listed; each counts once."""
        assert [each.url for each in parse(["http://a:1", "http://b:1", "http://a:1/"])] == [
            "http://a:1",
            "http://b:1",
        ]

    def test_group(self) -> None:
        """With `dns+` each address of the name is a server, which keeps the name."""
        (group,) = parse("dns+grpcs://models:8081")
        assert group.is_group
        assert group.at("::1") == Endpoint("grpcs", "::1", 8081, "models")
        assert group.at("::1").address == "[::1]:8081"

    @pytest.mark.parametrize(
        ("url", "problem"),
        [
            ("localhost:8080", "the scheme must be one of http, https, grpc, grpcs"),
            ("ftp://a", "the scheme must be"),
            ("http://", "it must have a host"),
            ("http://user:secret@a", "and no user"),
            ("http://a:port", "Port could not be cast"),
            ("http://a:99999", "Port out of range"),
            ("http://a/ner-en", "it has a path"),
            ("http://a?b=c", "it has a path"),
            ("", "the scheme must be"),
        ],
    )
    def test_wrong(self, url: str, problem: str) -> None:
        """Anything else is a wrong configuration."""
        with pytest.raises(InvalidEndpoint, match=problem) as caught:
            AsyncClient(url)
        assert isinstance(caught.value, ConfigurationError)

    def test_none(self) -> None:
        """An empty list is one too."""
        with pytest.raises(InvalidEndpoint, match="the list is empty"):
            parse([])

    @pytest.mark.parametrize("servers", [8380, None, b"http://a", [8380], [None]])
    def test_no_text(self, servers: Any) -> None:  # noqa: ANN401
        """What is not text is a mistake of the caller."""
        with pytest.raises(TypeError, match="URL"):
            Client(servers)


class TestToken:
    """A token stays on this machine, or is encrypted."""

    @pytest.mark.parametrize(
        "url",
        [
            "https://models.example.com",
            "dns+grpcs://models",
            "http://localhost",
            "http://127.0.0.2",
            "grpc://[::1]",
        ],
    )
    def test_safe(self, url: str) -> None:
        """These servers may get it."""
        Client(url, token="secret").close()

    @pytest.mark.parametrize(
        "url", ["http://models", "dns+grpc://localhost.example", "grpc://8.8.8.8"]
    )
    def test_exposed(self, url: str) -> None:
        """Others may not, unless the caller allows it; no error contains it."""
        with pytest.raises(TokenExposed) as caught:
            Client(["https://models.example.com", url], token="secret")
        assert "secret" not in f"{caught.value} {caught.value.hint}"
        Client(url, token="secret", insecure_token=True).close()

    @pytest.mark.parametrize(
        "token", ["secret\n", " secret", "sec\x00ret", "sec ret", "secrét", ""]
    )
    def test_invalid(self, token: str) -> None:
        """A token that no header can carry is refused, and not shown."""
        with pytest.raises(InvalidToken) as caught:
            Client("http://localhost", token=token)
        assert "sec" not in f"{caught.value} {caught.value.hint}"

    def test_no_text(self) -> None:
        """Neither is one that is not text."""
        with pytest.raises(TypeError, match="`token` must be text or None, not bytes") as caught:
            Client("http://localhost", token=b"secret")  # type: ignore[arg-type]
        assert "secret" not in str(caught.value)
