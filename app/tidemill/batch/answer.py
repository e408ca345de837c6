"""Answer the splits of a batch: read, predict, and commit part by part."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING

import msgspec

from tidemill.ahead import map_ahead
from tidemill.batch.block import Block, Part, in_parts
from tidemill.batch.staging import DEAD_LETTERS, RESULTS, Receipt
from tidemill.errors import NoModel
from tidemill.inference.message import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from tidemill.batch.formats import Format
    from tidemill.batch.plan import Plan
    from tidemill.batch.staging import Staging
    from tidemill.inference.message import Outcome
    from tidemill.inference.predictor import Predictor

END = "end"


@dataclass(frozen=True, slots=True)
class Work:
    """What a worker needs to answer splits; it can be pickled.

    Attributes:
        plan: The splits.
        staging: Where to commit.
        source: The format of the input.
        target: The format of the output.
        only_matching: Whether messages that no model matches are skipped.

    """

    plan: Plan
    staging: Staging
    source: Format
    target: Format
    only_matching: bool = False


def answer(
    work: Work,
    splits: Collection[int],
    predictor: Predictor,
    *,
    on_block: Callable[[Block, int], None] = lambda *_: None,
    interval: float | None = None,
) -> Iterator[None]:
    """Answer the parts of some splits that are not committed, and commit them.

    While one block is written, the next ones are predicted, across the ends of parts and splits.
    Yield after each part, and while nothing happens every `interval` seconds. `on_block` gets each
    block that is answered, and the number of its dead letters.

    Raises:
        ModelUnavailable, ModelMisconfigured, ModelLoadFailed: A model is down; what is committed
            stays.
        InputUnreadable, OutputUnusable: A file cannot be read or written.

    """
    known = work.staging.receipts({}, splits)
    parts = chain.from_iterable(_open_parts(work, split, known) for split in splits)
    blocks = ((name, part, block) for name, part in parts for block in part.blocks)

    def predict(item: tuple[str, Part, Block]) -> list[Outcome]:
        block = item[2]
        outcomes = predict_block(predictor, block)
        if (limit := work.target.limit) is None:
            return outcomes
        return [limit(*pair) for pair in zip(block.messages, outcomes, strict=True)]

    for answered in map_ahead(predict, blocks, interval=interval):
        if answered is None:
            yield
            continue
        (name, part, block), outcomes = answered
        part.outcomes.append(outcomes)
        on_block(block, sum(_is_dead(work, outcome) for outcome in outcomes))
        if len(part.outcomes) == len(part.blocks):
            _commit(work, name, part)
            yield


def _open_parts(work: Work, split: int, known: dict[str, Receipt]) -> Iterator[tuple[str, Part]]:
    """Yield the parts of a split that are not committed, and at its end one without rows."""
    if f"{split:05}-{END}" in known:
        return
    earlier = [known[name] for name in known if name.startswith(f"{split:05}-")]
    pieces, done = work.plan.splits[split], len(earlier)
    if work.source.by_offset:  # what was read before may have been removed since
        start = pieces[0].start + sum(receipt.size for receipt in earlier)
        pieces, skipped = [msgspec.structs.replace(pieces[0], start=start)], 0
    else:
        skipped = done
    blocks = chain.from_iterable(work.source.read(work.plan.source, piece) for piece in pieces)
    parts = in_parts(blocks, work.plan.part_rows)
    for number, part in enumerate(islice(parts, skipped, None), done):
        yield f"{split:05}-{number:05}", part
    yield f"{split:05}-{END}", Part([Block([])])


def predict_block(predictor: Predictor, block: Block) -> list[Outcome]:
    """Return an outcome for each row."""
    if not block.unreadable:
        return predictor.predict(block.messages)
    readable = [m for i, m in enumerate(block.messages) if i not in block.unreadable]
    outcomes = iter(predictor.predict(readable))
    return [
        Failure(block.unreadable[i]) if i in block.unreadable else next(outcomes)
        for i in range(len(block.messages))
    ]


def _commit(work: Work, name: str, part: Part) -> None:
    answered = _matched(part) if work.only_matching else part
    models: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for _, outcome in answered.pairs():
        if isinstance(outcome, Failure):
            errors[outcome.error_class] += 1
        else:
            models[outcome.model] += 1
    results, dead_letters = work.target.encode(answered) if answered.rows else (b"", b"")
    files = {
        f"{RESULTS}/part-{name}{work.target.suffix}": results,
        f"{DEAD_LETTERS}/part-{name}.jsonl": dead_letters,
    }
    receipt = Receipt(part.rows, part.size, dict(models), dict(errors), part.missing)
    work.staging.commit(name, files, receipt)


def _matched(part: Part) -> Part:
    """Return a part without the messages that no model matches; only for inputs without columns."""
    matched = Part()
    for block, outcomes in zip(part.blocks, part.outcomes, strict=True):
        pairs = [
            (message, outcome)
            for message, outcome in zip(block.messages, outcomes, strict=True)
            if not _is_unmatched(outcome)
        ]
        matched.blocks.append(Block([message for message, _ in pairs]))
        matched.outcomes.append([outcome for _, outcome in pairs])
    return matched


def _is_dead(work: Work, outcome: Outcome) -> bool:
    """Tell whether an outcome is a dead letter."""
    return isinstance(outcome, Failure) and not (work.only_matching and _is_unmatched(outcome))


def _is_unmatched(outcome: Outcome) -> bool:
    return isinstance(outcome, Failure) and isinstance(outcome.error, NoModel)
