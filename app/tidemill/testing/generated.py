"""Let Hypothesis make up hostile texts, the same in each run, for a limited time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tidemill.testing.checks import harmless
from tidemill.testing.texts import batches

if TYPE_CHECKING:
    from tidemill.testing.subject import Subject

MAX_EXAMPLES = 50
MAX_S = 10.0


def check(subject: Subject) -> None:
    """Fail with the smallest batch that harms, if there is one."""
    from hypothesis import HealthCheck, given, settings  # noqa: PLC0415 - importing it takes long

    deadline = time.monotonic() + MAX_S
    failures: dict[tuple[str, ...], str] = {}

    @settings(
        max_examples=MAX_EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(batches(subject.spec.limits.chars, subject.spec.limits.batch))
    def check_batch(batch: list[str]) -> None:
        # Hypothesis calls again what failed, and must see the same failure.
        if tuple(batch) not in failures and time.monotonic() < deadline:
            try:
                harmless(subject, batch)
            except pytest.fail.Exception as failure:
                failures[tuple(batch)] = str(failure)
        if tuple(batch) in failures:
            pytest.fail(failures[tuple(batch)], pytrace=False)

    check_batch()
