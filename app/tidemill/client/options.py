"""Define the options of clients and of their requests."""

from __future__ import annotations

import difflib
import math
from numbers import Integral, Real
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from tidemill.errors import InvalidToken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
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


class Rule(NamedTuple):
    """What the value of an option must be, in words, by its types, and by its value."""

    words: str
    types: tuple[type, ...]
    is_valid: Callable[[Any], bool] = lambda _: True


def _is_positive(value: float | None) -> bool:
    return value is None or 0 < value < math.inf


NONE = type(None)
SECONDS = Rule("a positive number of seconds", (Real,), _is_positive)
COUNT = Rule("a whole number of at least 1", (Integral,), lambda value: value >= 1)
TEXT = Rule("text or None", (str, NONE))
RULES = {
    "token": TEXT,
    "insecure_token": Rule("True or False", (bool,)),
    "ca_file": Rule("the path of a file or None", (str, PathLike, NONE)),
    "timeout": SECONDS,
    "connect_timeout": SECONDS,
    "hedge_after": Rule("a positive number of seconds or None", (Real, NONE), _is_positive),
    "refresh": SECONDS,
    "version": TEXT,
    "key": TEXT,
    "variant": TEXT,
    "batch_size": COUNT,
    "concurrency": COUNT,
    "delay": Rule("0 or more seconds", (Real,), lambda value: 0 <= value < math.inf),
}


def check(options: Mapping[str, Any], known: type[ClientOptions | RequestOptions]) -> None:
    """Check that there are such options, and that their values are right.

    Raises:
        TypeError: There is no such option, or its value has a wrong type.
        ValueError: Its value is out of range.
        InvalidToken: No header can carry the token.

    """
    for name, value in options.items():
        if name not in known.__annotations__:
            near = difflib.get_close_matches(name, known.__annotations__, n=1)
            suggestion = f"; did you mean `{near[0]}`?" if near else ""
            raise TypeError(f"there is no option `{name}`{suggestion}")
        rule = RULES[name]
        if not isinstance(value, rule.types) or (
            isinstance(value, bool) and bool not in rule.types
        ):
            raise TypeError(f"`{name}` must be {rule.words}, not {type(value).__name__}")
        if not rule.is_valid(value):
            raise ValueError(f"`{name}` must be {rule.words}, not {value}")
    token = options.get("token")
    if token is not None and not (
        token.isascii() and token.isprintable() and token.split() == [token]
    ):
        raise InvalidToken
