"""The checks of a model's answers. Each fails with the input, the outputs and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from tidemill.testing.answers import Answer, distance
from tidemill.testing.failure import from_difference, quoted, shown
from tidemill.testing.subject import ONE_OUTPUT_EACH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.testing.subject import Subject

# An answer, and the words for where it comes from.
Named: TypeAlias = "tuple[str, Answer]"
# The largest difference of numbers that may be due to rounding.
NOISE = 1e-3


def answered(subject: Subject, text: str) -> None:
    """Fail if the model raises on an input that it must answer."""
    answer = subject.alone[text]
    if not answer.is_output:
        name = "sample" if text == subject.required[0] else "input"
        subject.refuse(
            f"the model does not answer its {name}",
            [(name, quoted(text)), ("instead", answer.text)],
            "Correct the model, or choose an input that it must answer.",
        )


def counted(subject: Subject, text: str, answer: Answer) -> None:
    """Fail if one input does not have one output."""
    if answer.kind == "miscounted":
        subject.refuse(answer.text, [("input", quoted(text))], ONE_OUTPUT_EACH)


def is_json(subject: Subject, text: str, answer: Answer) -> None:
    """Fail if an output is not one JSON value."""
    if answer.kind == "invalid":
        subject.refuse(
            "an output is not one JSON value as text",
            [("input", quoted(text)), ("output", answer.text)],
            "Return json.dumps(value, allow_nan=False) for each input.",
        )


def same(
    subject: Subject, text: str, one: Named, other: Named, *, problem: str, remedy: str
) -> None:
    """Fail if two answers to an input are not the same."""
    if subject.is_near(one[1], other[1]):
        return
    apart = distance(one[1], other[1])
    if not apart:
        remedy += "\nOnly the order of keys or the notation of numbers differs: sort, and round."
    elif apart < NOISE:
        remedy += f"\nOnly numbers differ, by at most {apart:.1e}: a `tolerance` can allow that."
    outputs = from_difference(one[1].text, other[1].text)
    facts = [("input", quoted(text)), (one[0], outputs[0]), (other[0], outputs[1])]
    subject.refuse(problem, facts, remedy)


def in_order(subject: Subject, batch: Sequence[str]) -> None:
    """Fail if the outputs of a batch are the right ones in the wrong order."""
    outputs = subject.predict(batch)
    if not _is_reordered(subject, batch, outputs):
        return
    place, output = next(
        (place, output)
        for place, output in enumerate(outputs)
        if not subject.is_near(output, subject.alone[batch[place]])
    )
    owner = next(text for text in batch if subject.is_near(output, subject.alone[text]))
    subject.refuse(
        "the outputs are not in the order of their inputs",
        [
            (f"input {place}", quoted(batch[place])),
            ("answer alone", subject.alone[batch[place]].text),
            (f"output {place}", output.text),
            ("belongs to", quoted(owner)),
        ],
        "If predict_all sorts its inputs, put the outputs back into the order of the inputs.",
    )


def as_alone(subject: Subject, batch: Sequence[str]) -> None:
    """Fail if an input has another output in a batch than alone."""
    outputs = subject.predict(batch)
    if _is_reordered(subject, batch, outputs):
        return  # `in_order` reports it
    size = min(len(batch), subject.spec.limits.batch)
    for text, output in zip(batch, outputs, strict=True):
        same(
            subject,
            text,
            ("alone", subject.alone[text]),
            (f"in a batch of {size}", output),
            problem="a batch changes an output",
            remedy="An output must depend on its own input only: not on padding, on averages over "
            "the batch, or on the position.",
        )


def harmless(subject: Subject, batch: Sequence[str]) -> None:
    """Fail if texts get an output that is not JSON, or change the answers to other inputs.

    The model may raise on them: Tidemill halves a failing batch until such a text is alone.
    """
    answers = {text: subject.ask(text) for text in batch}
    for text, answer in answers.items():
        counted(subject, text, answer)
        is_json(subject, text, answer)
    beside = subject.texts[:1]
    mixed = [*beside, *(t for t, answer in answers.items() if answer.is_output), *beside]
    for text, output in zip(mixed, subject.predict(mixed), strict=True):
        same(
            subject,
            text,
            ("before", answers.get(text) or subject.alone[text]),
            ("afterwards", output),
            problem=f"{shown(quoted(batch[-1]))} changes an output",
            remedy="An output must depend on its own input only, even if the model has just raised "
            "on another.",
        )


def _is_reordered(subject: Subject, batch: Sequence[str], outputs: Sequence[Answer]) -> bool:
    """Tell whether the outputs are those of the inputs alone, but in another order."""
    expected = [subject.alone[text] for text in batch]
    if all(map(subject.is_near, outputs, expected)):
        return False
    for output in outputs:
        near = [answer for answer in expected if subject.is_near(output, answer)]
        if not near:
            return False
        expected.remove(near[0])
    return True
