"""Start a run: take over the partitions, and make the checkpoint match them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from tidemill.streaming.checkpoint import offset_log

if TYPE_CHECKING:
    from tidemill.streaming.delivery import Delivery, DeliveryRun
    from tidemill.streaming.start_plan import StartPlan

log = structlog.get_logger(__name__)


def take_over(delivery: Delivery, checkpoint_location: str) -> DeliveryRun:
    """Begin a run, and prepare its checkpoint.

    Raises:
        ConfigurationError, DataLoss, BrokerUnreachable, TransactionFailed: As `Delivery.take_over`.

    """
    run = delivery.take_over()
    _update_checkpoint(run.plan, checkpoint_location)
    return run


def _update_checkpoint(plan: StartPlan, location: str) -> None:
    """Make the checkpoint match the partitions that the job reads now."""
    changes, log_before = plan.changes, plan.state.offset_log
    for partition, offset in changes.removed.items():
        fields = {"partition": f"{partition[0]}/{partition[1]}", "processed_up_to": offset}
        if partition in changes.given_up:
            log.warning("skipping the unprocessed messages of a removed partition", **fields)
        else:
            log.info("no longer reading a partition; all its messages are processed", **fields)
    if log_before.is_used:
        offset_log.rewrite(location, log_before, changes.start, changes.planned)
