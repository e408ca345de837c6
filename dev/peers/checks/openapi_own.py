"""Schemathesis on the document that the server publishes: requests that it allows, and others."""

from __future__ import annotations

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import negative_data_rejection

from dev.peers.server import addresses

schema = schemathesis.openapi.from_url(f"{addresses().http}/openapi.json")


@schema.parametrize()
@settings(max_examples=100, deadline=None, suppress_health_check=[*HealthCheck])
def test_published(case: schemathesis.Case) -> None:
    """No status from 500 on, and every answer is as the document says.

    A request with a wrong input among good ones gets 200, with an error in its place.
    """
    case.call_and_validate(excluded_checks=[negative_data_rejection])
