from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from app.errors import InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.settings import Settings

    Load = Callable[..., Settings]


class TestSecurity:
    """What a protocol needs must be there, and nothing that contradicts it."""

    @pytest.mark.parametrize(
        ("kafka", "needed"),
        [
            ({"security_protocol": "SASL_SSL"}, "sasl_mechanism"),
            ({"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN"}, "sasl_username"),
            (
                {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "SCRAM-SHA-512",
                 "sasl_username": "u"},
                "sasl_password",
            ),
            ({"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER"}, "oauth_token_url"),
        ],
    )  # fmt: skip
    def test_needed(self, load: Load, kafka: dict[str, str], needed: str) -> None:
        """What is missing is named."""
        with pytest.raises(InvalidSettings, match=f"needs .*{needed}"):
            load(kafka=kafka)

    @pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL"])
    def test_contradiction(self, load: Load, protocol: str) -> None:
        """A mechanism that would silently not be used is refused."""
        with pytest.raises(InvalidSettings, match=f"security_protocol is {protocol}"):
            load(kafka={"security_protocol": protocol, "sasl_mechanism": "PLAIN"})
