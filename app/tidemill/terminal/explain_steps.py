"""The rows and blocks that show what one step did with a message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from rich.text import Text

from tidemill.errors import json_type
from tidemill.terminal.dead_letters import time_of
from tidemill.terminal.escape import pretty, visible
from tidemill.terminal.explain_text import (
    conditions,
    count,
    cut_lines,
    milliseconds,
    short,
    text_of,
)
from tidemill.terminal.models import percent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tidemill.explain.explanation import Step

    Facts: TypeAlias = "Mapping[str, Any]"
    Rows: TypeAlias = "Iterator[tuple[str, Text]]"

MAX_FIELDS = 30


def record(facts: Facts) -> Rows:
    """Show where the message comes from, and its parts."""
    yield "source", Text(visible(facts["source"]))
    if letter := facts["dead_letter"]:
        yield "", Text(f"a dead letter: {letter['error']}: {visible(letter['message'])}")
        yield "", Text("Explained is the message that it holds.")
    if (time := time_of(facts["timestamp"])) is not None:
        yield "time", Text(time)
    yield "key", short(text_of(facts, "key"))
    if facts["headers"]:
        yield "headers", _headers(facts["headers"])
    size = facts["bytes"]
    yield "value", Text("null", "dim") if size is None else Text(count(size, "byte"))
    if size:
        yield "", short(text_of(facts, "value"))


def decode(facts: Facts) -> Rows:
    """Show the fields with their types."""
    if facts["characters"] is not None:
        yield "text", Text(count(facts["characters"], "character"))
    if not facts["is_parsed"]:
        yield "JSON", Text("not read, because no entry needs a field")
    elif facts["fields"] is not None:
        fields = facts["fields"]
        yield "JSON", Text(f"object with {count(len(fields), 'field')}")
        listed = [f"{visible(each['name'])} {each['type']}" for each in fields[:MAX_FIELDS]]
        more = [f"and {len(fields) - MAX_FIELDS:,} more"] if len(fields) > MAX_FIELDS else []
        if listed:
            yield "fields", Text(", ".join(listed + more))
    elif "error" not in facts:
        yield "JSON", Text("not an object, and the entry takes any value")


def route(facts: Facts) -> Rows:
    """Show the entry that matched, or what keeps the closest entries from it."""
    if facts["entry"] is not None:
        yield "entry", Text(visible(facts["entry"]), "bold")
        yield "because", Text(conditions(facts["match"]) or "it matches every message")
        if others := facts["less_specific"]:
            names = ", ".join(map(visible, others))
            yield "", short(f"also match, but on fewer fields: {names}")
        return
    yield "entry", Text("none")
    labels = _once("closest")
    for miss in facts["closest"]:
        for each in miss["differences"]:
            needs = f"{miss['entry']} needs {each['field']} = {each['wanted']}"
            yield next(labels), short(f"{needs}, which {_found(each)}")


def _found(difference: Mapping[str, Any]) -> str:
    wanted, found = difference["wanted"], difference["found"]
    if found is None:
        return "is missing"
    types = json_type(found), json_type(wanted)
    return (
        f"is {found}" if types[0] == types[1] else f"is {found}, {types[0]} instead of {types[1]}"
    )


def variant(facts: Facts) -> Rows:
    """Show which of the entry's models was chosen, and why."""
    if facts["variants"] is None:
        yield "", Text("only one model answers this entry", "dim")
        return
    if facts["chosen"] is not None:
        how = "forced by" if facts["forced"] else "by the hash of"
        yield (
            "chosen",
            Text.assemble((visible(facts["chosen"]), "bold"), f", {how} {visible(facts['by'])}"),
        )
        if not facts["forced"]:
            yield "key", short(text_of(facts, "key"))
    shares = (
        f"{visible(each['name'])} {percent(100 * each['share'])} {each['model']}"
        for each in facts["variants"]
    )
    yield "shares", Text(", ".join(shares))


def model_input(facts: Facts) -> Rows:
    """Show what the model gets."""
    payload = facts["from"]
    if payload is None:
        place = "the whole value"
    elif isinstance(payload, str):
        place = f"the field {visible(payload)}, as {'text' if facts['is_text'] else 'JSON'}"
    else:
        place = f"the fields {visible(', '.join(payload))}, as one JSON object"
    yield "from", Text(place)
    if facts["characters"] is not None:
        length = count(facts["characters"], "character")
        yield "length", Text(f"{length}, of at most {facts['limit']:,}")
        yield "input", short(facts["input"])
    if facts.get("features"):
        generations = (f"{name}, generation {n}" for name, n in facts["features"].items())
        yield "features", Text("; ".join(generations))
    if facts["copied"]:
        yield "copied", short(", ".join(facts["copied"]))


def model(facts: Facts) -> Rows:
    """Show the model, and how its calls went."""
    yield "model", Text.assemble((facts["model"], "bold"), f", adapter {visible(facts['adapter'])}")
    yield "load", _call(facts["load"])
    if facts["schema"]:
        yield "schema", Text(f"of inputs: {facts['schema']}")
    for label, violation in zip(_once("violates"), facts["violations"], strict=False):
        yield label, Text(visible(violation), "red")
    if facts["call"]:
        yield "call", _call(facts["call"])
    if facts["output"] is not None:
        yield "output", short(facts["output"])
    if facts["sample"]:
        yield "sample", _call(facts["sample"])
    if facts["sample_error"] and facts["sample_error"] != facts.get("error", {}).get("message"):
        yield "", Text(visible(facts["sample_error"]), "red")


def encode(facts: Facts) -> Rows:
    """Show the record that is written."""
    yield "record", Text(f"{facts['record']}, {count(facts['bytes'] or 0, 'byte')}", "bold")
    if facts["headers"]:
        yield "headers", _headers(facts["headers"])
    if facts["is_omitted"]:
        yield "value", Text("left out, like the key: the topic has no room for them", "dim")
    elif facts["record"] == "result":
        yield "value", cut_lines(pretty(facts["value"].encode()))
    else:
        yield "value", Text("that of the record, like the key", "dim")


ROWS: dict[str, Callable[[Facts], Rows]] = {
    "record": record,
    "decode": decode,
    "route": route,
    "variant": variant,
    "input": model_input,
    "model": model,
    "encode": encode,
}


def blocks(step: Step) -> Iterator[Text]:
    """Yield what needs the terminal's whole width: the model's tracebacks, each once."""
    calls = [step.facts.get(name) for name in ("load", "call", "sample")]
    traces = [call["traceback"] for call in calls if call and call["traceback"]]
    for trace in dict.fromkeys(traces):
        yield Text("\n".join(map(visible, trace.rstrip().split("\n"))))


def _headers(headers: list[dict[str, Any]]) -> Text:
    return Text("\n").join(
        Text.assemble(f"{visible(each['name'])} = ", short(text_of(each, "value")))
        for each in headers
    )


def _call(call: Mapping[str, Any]) -> Text:
    took = milliseconds(call["seconds"])
    return Text(f"✗ failed after {took}", "red") if call["failed"] else Text(f"✓ {took}")


def _once(label: str) -> Iterator[str]:
    yield label
    while True:
        yield ""
