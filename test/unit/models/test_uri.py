"""URIs and their secrets."""

from __future__ import annotations

import pytest

from tidemill.models.uri import URI, redact


@pytest.mark.parametrize(
    ("uri", "safe"),
    [
        ("http://user:s3cret@host/x", "http://***@host/x"),
        ("http://user:p@s3cret@host:80", "http://***@host:80"),
        ("https://s3cret@host/x", "https://***@host/x"),
        ("https://host/x?sig=s3cret", "https://host/x?sig=***"),
        ("https://h/x?v=1&X-Amz-Signature=s3cret&w=2", "https://h/x?v=1&X-Amz-Signature=***&w=2"),
        ("https://host/x?access_token=s3cret", "https://host/x?access_token=***"),
        ("postgresql://host/db?password=s3cret", "postgresql://host/db?password=***"),
        ("no http://a:s3cret@b or s3://c:s3cret@d", "no http://***@b or s3://***@d"),
        ("https://host:8080/path?a@b", "https://host:8080/path?a@b"),
        ("models:/iris@champion", "models:/iris@champion"),
    ],
)
def test_redact(uri: str, safe: str) -> None:
    """Users, passwords and keys are hidden, and nothing else."""
    assert redact(uri) == safe


@pytest.mark.parametrize("text", ["S3://bucket/x", "models:/iris/1", "file:/x"])
def test_uri(text: str) -> None:
    """A scheme makes a URI."""
    assert URI.match(text)


@pytest.mark.parametrize("text", ["model", "folder/model", "/x/models:/y", "1:/x"])
def test_path(text: str) -> None:
    """Everything else is a path."""
    assert not URI.match(text)
