"""A short campaign against two servers: the client's retries leave no request unanswered."""

from __future__ import annotations

import asyncio
from collections import Counter

from faults.serving import Round, campaign, holds

KINDS = ["model process", "server", "server frozen"]


def test_short_campaign() -> None:
    """No kill costs a request of the client; kills of model processes cost none of anybody."""
    shown: list[Round] = []
    plan = [(KINDS, "http", 3), (["rolling restart"], "grpc", 2), (KINDS[:1], "no retries", 2)]
    rounds = asyncio.run(campaign(plan, shown.append))
    assert rounds == shown
    assert [each.kills for each in rounds] == [3, 2, 2]
    assert all(each.requests for each in rounds)
    assert not [each.failed for each in rounds if each.failed]
    assert holds(rounds)


def test_line() -> None:
    """A round is shown as one line, with the errors by their class."""
    found = Round("server", "http", 3, 1200, Counter({"CannotConnect": 2}), 1.26)
    assert str(found) == (
        "server, asked with http: 3 kills, 1,200 requests, failed: 2 CannotConnect, "
        "slowest answer 1.3 s"
    )
    assert "failed: none" in str(Round("server", "http"))


def test_failures_show() -> None:
    """A request that fails in spite of retries breaks the promise; one without retries may fail."""
    failed = Counter({"CannotConnect": 1})
    assert not holds([Round("server", "http", failed=failed)])
    assert not holds([Round("model process", "no retries", failed=failed)])
    assert holds([Round("server", "no retries", failed=failed)])
