"""Describe each step of a message as a document, from what was watched."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tidemill.errors import InputTooLong, InvalidInput, InvalidOutput, TidemillError, json_type
from tidemill.inference.checks import input_schema, input_violations
from tidemill.inference.closest import closest, matching
from tidemill.inference.headers import FORCE_VARIANT, encode_headers
from tidemill.inference.message import Failure, Prediction
from tidemill.inference.readable import readable
from tidemill.inference.records import split_key
from tidemill.inference.schema import each_violation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidemill.explain.origin import Origin
    from tidemill.explain.watched_codec import WatchedCodec
    from tidemill.explain.watched_models import Call, WatchedModels
    from tidemill.inference.message import Header, Message, Outcome
    from tidemill.inference.model import ModelSpec
    from tidemill.inference.route import Route

Document: TypeAlias = "dict[str, Any]"
Status: TypeAlias = Literal["ok", "failed", "not reached"]
NAMES = ("record", "decode", "route", "variant", "input", "model", "encode")


@dataclass(frozen=True, slots=True)
class Step:
    """A step, and what there is to say about it, as JSON has it."""

    name: str
    status: Status
    facts: Document = field(default_factory=dict)


def steps(
    routes: Sequence[Route],
    message: Message,
    origin: Origin,
    codec: WatchedCodec,
    models: WatchedModels,
    outcome: Outcome | TidemillError,
) -> list[Step]:
    """Return all steps. After the one that failed, only a dead letter is still to be encoded."""
    describers: dict[str, Callable[[], Document]] = {
        "record": lambda: record(message, origin),
        "decode": lambda: decode(codec),
        "route": lambda: route(routes, codec),
        "variant": lambda: variant(message, codec),
        "input": lambda: model_input(codec),
        "model": lambda: model(codec, models),
        "encode": lambda: encode(message, outcome),
    }
    failed = _failed(codec, models, outcome)
    described = []
    for name, describer in describers.items():
        if failed is None or NAMES.index(name) < NAMES.index(failed):
            described.append(Step(name, "ok", describer()))
        elif name == failed:
            described.append(Step(name, "failed", describer() | {"error": _error(outcome)}))
        elif name == "encode" and isinstance(outcome, Failure):
            described.append(Step(name, "ok", describer()))
        else:
            described.append(Step(name, "not reached"))
    return described


def _failed(
    codec: WatchedCodec, models: WatchedModels, outcome: Outcome | TidemillError
) -> str | None:
    """Return the step that failed."""
    if isinstance(outcome, Prediction):
        return None
    error = outcome.error if isinstance(outcome, Failure) else outcome
    reached = {
        "decode": codec.is_parsed,
        "route": codec.matched is not None,
        "variant": codec.variant is not None,
        "input": codec.copied is not None
        # The engine refuses long inputs before it loads the model, which may raise the same error.
        and not (isinstance(error, InputTooLong) and models.spec is None),
    }
    return next((name for name, passed in reached.items() if not passed), "model")


def _error(outcome: Outcome | TidemillError) -> Document:
    error = outcome.error if isinstance(outcome, Failure) else outcome
    if not isinstance(error, TidemillError):
        return {}
    return {
        "class": type(error).__name__,
        "message": str(error),
        "hint": error.hint or None,
        "problems": error.problems,
    }


def record(message: Message, origin: Origin) -> Document:
    """Describe where the message comes from, and its parts."""
    letter = origin.letter
    return {
        "source": origin.text,
        **origin.place,
        "dead_letter": letter and {"error": letter.error, "message": letter.message},
        "timestamp": message.timestamp,
        "bytes": None if message.value is None else len(message.value),
        **readable("key", message.key),
        "headers": _headers(message.headers),
        **readable("value", message.value),
    }


def decode(codec: WatchedCodec) -> Document:
    """Describe the value as text and as JSON."""
    return {
        "characters": None if codec.value is None else len(codec.value),
        "is_parsed": codec.parses,
        "fields": codec.fields
        and [
            {"name": name, "type": json_type(bytes(value).decode())}
            for name, value in codec.fields.items()
        ],
    }


def route(routes: Sequence[Route], codec: WatchedCodec) -> Document:
    """Describe the entry that matched, or the entries that nearly did."""
    fields = codec.fields or {}
    if (matched := codec.matched) is None:
        return {
            "entry": None,
            "closest": [
                {
                    "entry": miss.route.name,
                    "differences": [each._asdict() for each in miss.differences],
                }
                for miss in closest(routes, fields)
            ],
        }
    others = [each.name for each in matching(routes, fields) if each is not matched]
    return {"entry": matched.name, "match": matched.match, "less_specific": others}


def variant(message: Message, codec: WatchedCodec) -> Document:
    """Describe the models of the entry, and the key by which one was chosen."""
    if (matched := codec.matched) is None or not matched.is_split:
        return {"chosen": codec.variant and codec.variant.name, "variants": None}
    total = sum(each.weight for each in matched.variants)
    in_header = any(name == FORCE_VARIANT and text is not None for name, text in message.headers)
    described: Document = {
        "chosen": codec.variant and codec.variant.name,
        "forced": codec.assignment is not None and codec.assignment.forced,
        "variants": [
            {"name": each.name, "model": each.spec.id, "share": each.weight / total}
            for each in matched.variants
        ],
    }
    if codec.variant is None:
        return described
    if described["forced"]:
        place = "the header" if in_header else "the field"
        return described | {"by": f"{place} {FORCE_VARIANT}"}
    key = split_key(matched, message, codec.fields or {}, codec.value or "")
    return described | {
        "by": _key_place(matched, message),
        **readable("key", key if isinstance(key, bytes) else key.encode(errors="surrogatepass")),
    }


def _key_place(matched: Route, message: Message) -> str:
    if matched.split_by:
        return f"the field {matched.split_by}"
    return "the record's key" if message.key else "the value, since the record has no key"


def model_input(codec: WatchedCodec) -> Document:
    """Describe what the model gets."""
    if codec.variant is None:
        return {}
    spec = codec.variant.spec
    return {
        "from": spec.payload,
        "is_text": spec.is_text,
        "characters": None if codec.input is None else len(codec.input),
        "limit": spec.limits.chars,
        "copied": None if codec.copied is None else list(codec.copied),
        "input": codec.input,
    }


def model(codec: WatchedCodec, models: WatchedModels) -> Document:
    """Describe the model and its calls."""
    spec = models.spec
    if spec is None:
        return {}
    return {
        "model": spec.id,
        "adapter": spec.adapter,
        "load": _call(models.loaded),
        "call": _call(models.called),
        "sample": _call(models.sampled),
        "sample_error": models.sample_error and str(models.sample_error),
        "schema": _schema(spec, models),
        "violations": _violations(spec, codec, models),
        "output": models.called and models.called.output,
    }


def _schema(spec: ModelSpec, models: WatchedModels) -> str | None:
    """Return where the schema of the input comes from."""
    if models.model is None or not input_schema(spec, models.model):
        return None
    return "the model's own" if spec.schema is None else "the entry's"


def _violations(spec: ModelSpec, codec: WatchedCodec, models: WatchedModels) -> list[str]:
    """Return how the input or the output violates its schema."""
    error = codec.output and codec.output.result
    if models.model is None:
        return []
    if isinstance(error, InvalidInput) and models.called is None:
        return input_violations(spec, models.model, codec.input or "")
    schema = getattr(models.model, "output_schema", None)
    output = models.called and models.called.output
    if isinstance(error, InvalidOutput) and schema and output:
        return each_violation(schema, output, "output")
    return []


def _call(call: Call | None) -> Document | None:
    if call is None:
        return None
    return {
        "seconds": call.seconds,
        "failed": call.failed,
        "traceback": call.traceback or None,
    }


def encode(message: Message, outcome: Outcome | TidemillError) -> Document:
    """Describe the record that is written: its value, its key and its headers."""
    if isinstance(outcome, TidemillError):
        return {}
    is_result = isinstance(outcome, Prediction)
    value = outcome.value if isinstance(outcome, Prediction) else message.value
    return {
        "record": "result" if is_result else "dead letter",
        "bytes": None if value is None else len(value),
        **readable("key", message.key),
        "headers": _headers(encode_headers(message, outcome)),
        **readable("value", value),
    }


def _headers(headers: Sequence[Header]) -> list[Document]:
    return [{"name": name, **readable("value", content)} for name, content in headers]
