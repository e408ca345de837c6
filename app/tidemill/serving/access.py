"""Say which models, tables and jobs a client may use: it shows a token, which a file lists."""

from __future__ import annotations

import hmac
import time
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import structlog
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from tidemill import yaml_file
from tidemill.errors import (
    ConfigurationError,
    InvalidTokens,
    RateExceeded,
    Unauthenticated,
    log_fields,
)
from tidemill.serving.watched import Watched

if TYPE_CHECKING:
    from pathlib import Path

    from limits import RateLimitItem

    from tidemill.serving.catalogue import Catalogue

log = structlog.get_logger(__name__)

SCHEME = "bearer"
MISSING = "The setting `serving.tokens` names this file: create or correct it."


class TokenEntry(msgspec.Struct, forbid_unknown_fields=True):
    """A token, what its bearer may use, and how often.

    Without `models`, `tables` and `jobs`, it may use everything; else only what they list.
    """

    token: Annotated[str, msgspec.Meta(min_length=16)]
    models: list[str] | None = None
    tables: list[str] | None = None
    jobs: list[str] | None = None
    rate: str | None = None


class Bearer:
    """Whoever has a token; the token itself is not kept."""

    def __init__(self, name: str, entry: TokenEntry, everything: Catalogue) -> None:
        """Take an entry under its name, and all models, tables and jobs.

        Raises:
            ValueError: The rate is none.

        """
        self.name = name
        self.digest = _digest(entry.token)
        self.rate: RateLimitItem | None = parse(entry.rate) if entry.rate else None
        self._entry = entry
        self._everything = everything

    @cached_property
    def models(self) -> Catalogue:
        """Return the models, the tables and the jobs that it may use."""
        listed = self._entry.models, self._entry.tables, self._entry.jobs
        if listed == (None, None, None):
            return self._everything
        return self._everything.only(*(each or () for each in listed))


class Access:
    """Find the models that a client may use."""

    def __init__(self, everything: Catalogue, path: Path | None = None) -> None:
        """Take all models, tables and jobs, and the file of tokens; without it, all may use all.

        Raises:
            SettingsFileUnreadable: The file does not exist or is not YAML.
            InvalidTokens: It lists no tokens, or wrong ones.

        """
        self._everything = everything
        self._path = path
        self._bearers: list[Bearer] = []
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        if path is not None:
            self._watched = Watched(path)
            self._bearers = _read(path, everything)

    def models(self, authorization: str | None) -> Catalogue:
        """Return the models for the value of a request's header `Authorization`.

        Raises:
            Unauthenticated: It has no token that the file lists.
            RateExceeded: Its bearer has sent too many requests.

        """
        if self._path is None:
            return self._everything
        if self._watched.have_changed():
            self._read_again(self._path)
        scheme, _, token = (authorization or "").partition(" ")
        shown, found = _digest(token.strip()), None
        for bearer in self._bearers:  # all of them, so that the time tells nothing
            if hmac.compare_digest(bearer.digest, shown):
                found = bearer
        if found is None or scheme.lower() != SCHEME:
            raise Unauthenticated
        if found.rate is not None and not self._limiter.hit(found.rate, found.name):
            reset = self._limiter.get_window_stats(found.rate, found.name).reset_time
            raise RateExceeded(found.name, _words(found.rate), max(0.0, reset - time.time()))
        return found.models

    def _read_again(self, path: Path) -> None:
        """Read the file; if something is wrong with it, keep the previous tokens."""
        try:
            self._bearers = _read(path, self._everything)
        except ConfigurationError as error:
            log.error("keeping the previous tokens: %s", error.message, **log_fields(error))  # noqa: TRY400
        else:
            log.info("read the tokens again", count=len(self._bearers))


def _read(path: Path, everything: Catalogue) -> list[Bearer]:
    """Return the bearers in a file; no error quotes a token."""
    document = yaml_file.load(path, MISSING)
    problems = [
        f"line {line}: a key occurs twice, or a number needs quotes"
        for line, _ in document.problems
    ]
    if problems:
        raise InvalidTokens(path, *problems)
    try:
        entries = msgspec.convert(document.value, dict[str, Any])
    except msgspec.ValidationError as error:
        raise InvalidTokens(path, error) from None
    if not entries:
        raise InvalidTokens(path, "it lists no token, so nobody could ask")
    bearers = []
    for name, value in entries.items():
        try:
            entry = msgspec.convert(value, TokenEntry)
        except msgspec.ValidationError as error:
            raise InvalidTokens(path, f"{name}: {error}") from None
        try:
            bearers.append(Bearer(name, entry, everything))
        except ValueError:
            problem = f"{name}: {entry.rate!r} is not a rate, such as 100/minute"
            raise InvalidTokens(path, problem) from None
        _warn_of_unknown(name, entry, everything)
    if len({bearer.digest for bearer in bearers}) < len(bearers):
        raise InvalidTokens(path, "two names have the same token")
    return bearers


def _warn_of_unknown(name: str, entry: TokenEntry, everything: Catalogue) -> None:
    """Warn of patterns that match nothing; a table may come later."""
    if models := [e for e in entry.models or () if not everything.only([e], ()).routes]:
        log.warning("a token's `models` match no model", client=name, models=models)
    if jobs := [e for e in entry.jobs or () if not everything.only((), (), [e]).jobs]:
        log.warning("a token's `jobs` match no job", client=name, jobs=jobs)


def _words(rate: RateLimitItem) -> str:
    """Return a rate as people say it, such as `20 requests per minute`."""
    unit = rate.GRANULARITY.name
    period = unit if rate.multiples == 1 else f"{rate.multiples} {unit}s"
    return f"{rate.amount} request{'s' * (rate.amount != 1)} per {period}"


def _digest(token: str) -> bytes:
    return sha256(token.encode(errors="surrogateescape")).digest()
