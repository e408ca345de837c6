"""Run a batch: plan it or continue an earlier run, answer every split, publish."""

from __future__ import annotations

import hashlib
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec
import structlog

from tidemill import __version__
from tidemill.batch.answer import END, Work
from tidemill.batch.meter import Meter, Progress, ignore
from tidemill.batch.output import check_output
from tidemill.batch.plan import SPLIT_BYTES, Plan, Source, in_splits
from tidemill.batch.publication import check_target, publish, sweep
from tidemill.batch.staging import SUMMARY, Staging
from tidemill.batch.summary import Summary, add_up
from tidemill.errors import InputChanged

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tidemill.batch.formats import Format
    from tidemill.batch.plan import Piece
    from tidemill.inference.route import Route

log = structlog.get_logger(__name__)

PART_ROWS = 5000
# About how large a message of a topic is, to choose the engine.
MESSAGE_BYTES = 1024


class Engine(Protocol):
    """Answer the splits of a batch that are not done, and commit their parts."""

    def __call__(self, work: Work, splits: Sequence[int], meter: Meter) -> None:
        """Return when all are done."""


class Place(NamedTuple):
    """The format of an input or output, and where it is."""

    format: str
    location: str


@dataclass(frozen=True, slots=True)
class Order:
    """What to answer, and where the answers go.

    Attributes:
        source: The input.
        target: The output.
        routes: The models.
        part_rows: The fewest rows that are committed together.
        only_matching: Whether to skip the messages that no model matches.
        folder: Where the summary goes, if the output is not a folder.
        id: The run's own, which the summary names; by default a random one.

    """

    source: Place
    target: Place
    routes: Sequence[Route]
    part_rows: int = PART_ROWS
    only_matching: bool = False
    folder: str | None = None
    id: str | None = None


def run(
    order: Order,
    formats: Mapping[str, Format],
    engines: Callable[[int], tuple[str, Engine]],
    *,
    show: Callable[..., None],
    on_progress: Callable[[Progress], None] = ignore,
    clock: Callable[[], float] = time.monotonic,
) -> Summary:
    """Answer every message of an input, and publish results, dead letters and a summary.

    An earlier run of the same batch that did not end is continued. `engines` chooses what runs the
    models, by the size of the input. `show` displays each step; `on_progress` gets numbers.

    Raises:
        InputUnreadable: The input is missing or broken.
        InputChanged: Something wrote to the input while it was read.
        OutputExists, OutputInUse, OutputUnusable: The output cannot be written.
        ModelUnavailable, ModelMisconfigured, ModelLoadFailed: A model is down; a later run
            continues.

    """
    began = clock()
    source, target = formats[order.source.format], formats[order.target.format]
    folder = order.folder or order.target.location
    check_output(None if source.by_offset else order.source.location, folder)
    staging = Staging.beside(folder)
    with staging.locked():
        staging = staging.taken()
        check_target(staging, folder)
        show("reading the input")
        plan, engine_name, engine = _plan(order, source, engines, staging)
        check_target(staging, folder)  # again, as it may be starting over
        receipts = staging.receipts({})
        meter = Meter(plan.size, receipts.values(), show, began, clock, on_progress=on_progress)
        work = Work(plan, staging, source, target, order.only_matching)
        splits = [i for i in range(len(plan.splits)) if f"{i:05}-{END}" not in receipts]
        if splits:
            engine(work, splits, meter)
            meter.show()
        _check_unchanged(plan.source, source)
        show("publishing")
        staging = staging.taken()
        if not staging.is_finished:
            with staging.errors():
                sweep(staging)
                target.finish(staging)
        summary = add_up(
            plan,
            staging.receipts(receipts).values(),
            engine_name,
            continued=meter.continued,
            first_seconds=meter.first_seconds,
            seconds=clock() - began,
        )
        written = msgspec.json.format(msgspec.json.encode(summary))
        staging.write(SUMMARY, written + b"\n")
        publish(staging, folder)
    return summary


def digest(routes: Sequence[Route]) -> str:
    """Return what changes if a model's entry does."""
    return hashlib.sha256(repr(tuple(routes)).encode()).hexdigest()


def _plan(
    order: Order,
    source: Format,
    engines: Callable[[int], tuple[str, Engine]],
    staging: Staging,
) -> tuple[Plan, str, Engine]:
    """Return the plan of an earlier run, or else a new one, and the engine."""
    location = order.source.location
    found, whole = source.plan(location, None)
    pieces = list(whole)
    size = sum(piece.size for piece in pieces)
    name, engine = engines(size * MESSAGE_BYTES if source.by_offset else size)
    target = order.target.format, order.target.location
    version = __version__
    run_id = order.id or uuid.uuid4().hex
    new = Plan(found, [], target, digest(order.routes), order.part_rows, run_id, version)
    earlier = staging.plan()
    if earlier and (
        change := _difference(earlier, new, is_answered=_is_answered(earlier, staging))
    ):
        log.warning("an earlier run did not end, but this one differs: starting over", by=change)
    elif earlier:
        return earlier, name, engine
    if source.by_offset:
        splits = [[piece] for piece in pieces]
        return _started(staging, new, splits), name, engine
    split_bytes = SPLIT_BYTES
    if name == "spark":
        split_bytes = max(1024 * 1024, min(SPLIT_BYTES, size // 16))
        _, cut = source.plan(location, split_bytes)
        pieces = list(cut)
    return _started(staging, new, list(in_splits(pieces, split_bytes))), name, engine


def _started(staging: Staging, new: Plan, splits: list[list[Piece]]) -> Plan:
    plan = msgspec.structs.replace(new, splits=splits)
    staging.start(plan)
    return plan


def _is_answered(plan: Plan, staging: Staging) -> bool:
    """Tell whether only the end of a run is missing; it may have sent its results already."""
    receipts = staging.receipts({})
    return all(f"{split:05}-{END}" in receipts for split in range(len(plan.splits)))


def _difference(earlier: Plan, new: Plan, *, is_answered: bool) -> str | None:
    """Return what differs between the batches of two plans."""
    compared: dict[str, tuple[object, object]] = {
        "input": (identity(earlier.source), identity(new.source)),
        "output": (earlier.target, new.target),
        "models": (earlier.models, new.models),
    }
    if not is_answered:  # these decide which rows are in a part
        compared["part size"] = earlier.part_rows, new.part_rows
        compared["version of Tidemill"] = earlier.version, new.version
    return ", ".join(name for name, (old, now) in compared.items() if old != now) or None


def identity(source: Source) -> tuple[str, str, str]:
    """Return what an input must keep; a table may get another version meanwhile."""
    return source.format, source.location, source.fingerprint


def _check_unchanged(read: Source, source: Format) -> None:
    now, _ = source.plan(read.location, None)
    if identity(now) != identity(read):
        raise InputChanged(read.location)
