"""Define the options of clients and of their requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from pathlib import Path


class ClientOptions(TypedDict, total=False):
    """Options of a client.

    Attributes:
        token: The bearer token. It is sent only encrypted, or within this machine.
        insecure_token: Whether to send it unencrypted to other machines too.
        ca_file: A PEM file with the authorities to trust, in place of those that the system (gRPC:
            its library) trusts.
        timeout: The seconds for a request with all its retries. By default 30.
        connect_timeout: The seconds for a connection to a server. By default 3.
        hedge_after: The seconds after which a request without an answer is sent to a second server
            too. By default it is not.
        refresh: The seconds after which the names of `dns+` URLs are resolved again. By default 5.

    """

    token: str | None
    insecure_token: bool
    ca_file: str | Path | None
    timeout: float
    connect_timeout: float
    hedge_after: float | None
    refresh: float


class RequestOptions(TypedDict, total=False):
    """Options of a request.

    Attributes:
        version: The version of a model that is named.
        key: What decides the variant of an A/B test for all inputs, such as a user's id.
        variant: The variant to force.
        timeout: As the client's, for this request.
        hedge_after: As the client's, for this request.

    """

    version: str | None
    key: str | None
    variant: str | None
    timeout: float
    hedge_after: float | None


class BatchOptions(RequestOptions, total=False):
    """Options of many requests.

    Attributes:
        batch_size: The inputs in a request. By default 32.
        concurrency: The most requests at once. By default 4.
        delay: The fewest seconds between the starts of two requests. By default 0.

    """

    batch_size: int
    concurrency: int
    delay: float
