from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tidemill.errors import InvalidSchema, MissingExtra
from tidemill.inference import schema as schemas
from tidemill.inference.schema import check_schema, compiled, each_violation, violations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = ("a", "b", "lat")
TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
NUMBERS = st.integers(-5, 5) | st.integers() | st.sampled_from([0.5, 1.0, -2.0, 1e300, 2.0**63])
LEAVES = st.none() | st.booleans() | NUMBERS | st.text(max_size=3)
VALUES = st.recursive(
    LEAVES,
    lambda parts: (
        st.lists(parts, max_size=3) | st.dictionaries(st.sampled_from(NAMES), parts, max_size=3)
    ),
    max_leaves=8,
)
SMALL = st.integers(0, 3)
LIMITS = st.integers(-5, 5) | st.sampled_from([0.5, 1.0])
# What JSON texts consist of, in any order.
PIECES = st.lists(
    st.sampled_from([*'{}[],:"\\ \n\0', "1", "-", "e9", "e999", "true", "NaN", '"a"', "\\ud83d"])
    | st.characters(),
    max_size=8,
).map("".join)
TRIP: dict[str, Any] = {
    "type": "object",
    "properties": {
        "km": {"type": "number", "minimum": 0, "exclusiveMaximum": 1000},
        "seats": {"type": ["integer", "null"]},
        "lat": {"type": "number"},
        "kind": {"enum": ["taxi", "bus", 3]},
        "unit": {"const": "km"},
        "id": {"type": "string", "minLength": 2, "maxLength": 4, "pattern": "^[a-z]+$"},
        "hour": {"multipleOf": 6},
        "tags": {"type": "array", "minItems": 1, "maxItems": 2, "uniqueItems": True},
        "stops": {"type": "array", "items": {"$ref": "#/$defs/stop"}},
        "left": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "stop": {"anyOf": [{"$ref": "#/$defs/stop"}, {"type": "null"}]},
        "either": {"anyOf": [{"minimum": 5}, {"multipleOf": 2}]},
        "one": {"oneOf": [{"minimum": 5}, {"multipleOf": 2}]},
        "old": False,
        "no": {"not": {"type": "string"}},
        "few": {"type": "object", "maxProperties": 1, "minProperties": 1},
        "a b": {"type": "string"},
    },
    "additionalProperties": False,
    "$defs": {
        "stop": {
            "type": "object",
            "properties": {"km": {"type": "number"}, "name": {"type": "string"}},
            "required": ["km"],
            "additionalProperties": False,
        }
    },
}
RECURSIVE: tuple[dict[str, Any], ...] = (
    {"type": "object", "properties": {"a": {"$ref": "#"}}},
    {"anyOf": [{"type": "null"}, {"type": "object", "additionalProperties": {"$ref": "#"}}]},
    {
        "$dynamicAnchor": "node",
        "type": "object",
        "properties": {"a": {"$dynamicRef": "#node"}},
        "unevaluatedProperties": False,
    },
)


@st.composite
def schema_documents(draw: st.DrawFn, depth: int = 3) -> dict[str, Any]:
    """Draw a schema: types and limits, and below them fields, items and alternatives."""
    inner = schema_documents(depth - 1) if depth else st.just({})
    keywords: dict[str, st.SearchStrategy[Any]] = {
        "type": st.sampled_from(TYPES) | st.lists(st.sampled_from(TYPES), min_size=1, unique=True),
        "enum": st.lists(LEAVES, min_size=1, max_size=3),
        "const": VALUES,
        "minimum": LIMITS,
        "maximum": LIMITS,
        "exclusiveMinimum": LIMITS,
        "exclusiveMaximum": LIMITS,
        "multipleOf": st.integers(1, 4),
        "minLength": SMALL,
        "maxLength": SMALL,
        "pattern": st.sampled_from(["^a", "b$", "[0-9]"]),
        "minItems": SMALL,
        "maxItems": SMALL,
        "uniqueItems": st.booleans(),
        "minProperties": SMALL,
        "maxProperties": SMALL,
        "properties": st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
        "required": st.lists(st.sampled_from(NAMES), max_size=3, unique=True),
        "additionalProperties": st.booleans() | inner,
        "items": inner,
        "prefixItems": st.lists(inner, min_size=1, max_size=2),
        "anyOf": st.lists(inner, min_size=1, max_size=3),
        "oneOf": st.lists(inner, min_size=1, max_size=3),
        "allOf": st.lists(inner, min_size=1, max_size=2),
        "not": inner,
    }
    chosen = draw(st.lists(st.sampled_from(sorted(keywords)), max_size=4, unique=True))
    return {name: draw(keywords[name]) for name in chosen}


@contextmanager
def listening() -> Iterator[tuple[HTTPServer, list[str]]]:
    """Run a web server that notes the paths that are requested."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self.send_error(404)

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server, requests
        finally:
            server.shutdown()
            thread.join()


def violation(schema: dict[str, Any], value: object) -> str | None:
    """Return what violates a schema in a value."""
    (line,) = violations(schema, [json.dumps(value)])
    return line


class TestOracle:
    """Another implementation accepts the same values."""

    @given(schema_documents(), VALUES)
    @example({"type": "integer"}, 1.0)
    @example({"type": "integer"}, 2**63)
    @example({"type": "integer"}, 10**30)
    @example({"type": "integer"}, 1e300)
    @example({"maximum": 2**64}, 2**64 + 1)
    @example({"const": [2.0**63]}, [2.0**63])
    @example({"const": 1}, True)
    @example({"enum": [0]}, False)
    @example({"uniqueItems": True}, [1, True, 1.0])
    def test_agree(self, schema: dict[str, Any], value: object) -> None:
        """A value is valid for both or for neither."""
        expected = jsonschema.Draft202012Validator(schema).is_valid(value)
        assert (violation(schema, value) is None) == expected

    @given(schema_documents(), VALUES)
    def test_words(self, schema: dict[str, Any], value: object) -> None:
        """Whatever is wrong is told in one short line."""
        line = violation(schema, value)
        assume(line is not None)
        assert line is not None
        assert len(line) <= 160
        assert line == " ".join(line.split())

    @given(schema_documents())
    def test_schema(self, schema: dict[str, Any]) -> None:
        """A schema that the other accepts is right here too."""
        jsonschema.Draft202012Validator.check_schema(schema)
        assert check_schema(schema) is None


class TestWords:
    """A violation names the field, what was expected, and the value."""

    @pytest.mark.parametrize(
        ("value", "line"),
        [
            ({"km": "far"}, "the field 'km' must be a number, not \"far\""),
            ({"km": None}, "the field 'km' must be a number, not null"),
            ({"km": True}, "the field 'km' must be a number, not true"),
            ({"km": {}}, "the field 'km' must be a number, not an object"),
            ({"km": -1}, "the field 'km' must be at least 0, not -1"),
            ({"km": 1000.5}, "the field 'km' must be less than 1000, not 1000.5"),
            ({"seats": 1.5}, "the field 'seats' must be an integer or null, not 1.5"),
            ({"left": "x"}, "the field 'left' must be an integer or null, not \"x\""),
            ({"hat": 1}, "the field 'hat' is not expected (did you mean 'lat'?)"),
            ({"zzz": 1}, "the field 'zzz' is not expected"),
            ({"zz": 1, "yy": 1}, "the field 'zz' is not expected, and 1 more"),
            ({"kind": "x"}, 'the field \'kind\' must be "taxi", "bus" or 3, not "x"'),
            ({"unit": "m"}, 'the field \'unit\' must be "km", not "m"'),
            ({"id": "a"}, "the field 'id' must have at least 2 characters, not 1"),
            ({"id": "abcde"}, "the field 'id' must have at most 4 characters, not 5"),
            ({"id": "AB"}, 'the field \'id\' must match the pattern "^[a-z]+$", not "AB"'),
            ({"hour": 7}, "the field 'hour' must be a multiple of 6, not 7"),
            ({"tags": []}, "the field 'tags' must have at least 1 item, not 0"),
            ({"tags": [1, 2, 3]}, "the field 'tags' must have at most 2 items, not 3"),
            ({"tags": [1, 1.0]}, "the field 'tags' has equal items"),
            ({"few": {"a": 1, "b": 2}}, "the field 'few' must have at most 1 field, not 2"),
            ({"few": {}}, "the field 'few' must have at least 1 field, not 0"),
            ({"stops": [{"km": 1}, {}]}, "the field 'stops[1].km' is missing"),
            ({"stops": [3]}, "the item 'stops[0]' must be an object, not 3"),
            (
                {"stops": [{"km": 1, "nam": "x"}]},
                "the field 'stops[0].nam' is not expected (did you mean 'name'?)",
            ),
            ({"stop": {"km": "x"}}, "the field 'stop.km' must be a number, not \"x\""),
            ({"either": 3}, "the field 'either' fits none of the schema's 2 alternatives"),
            (
                {"one": 6},
                "the field 'one' fits several alternatives of the schema, and must fit only one",
            ),
            ({"old": 1}, "the field 'old' is not allowed"),
            ({"no": "x"}, "the field 'no' violates the schema's keyword 'not'"),
            ({"a b": 1}, "the field '[\"a b\"]' must be a string, not 1"),
            ([], "the input must be an object, not an array"),
            (
                {"km": "x" * 100},
                f"the field 'km' must be a number, not \"{'x' * 39}…\"",
            ),
            (
                {"km": 10**100},
                f"the field 'km' must be less than 1000, not 1{'0' * 38}…",
            ),
            ({"x" * 100: 1}, f"the field '…{'x' * 59}' is not expected"),
        ],
    )
    def test_forms(self, value: object, line: str) -> None:
        """Each kind of violation has its words."""
        assert violation(TRIP, value) == line

    def test_missing(self) -> None:
        """A required field is missing."""
        assert violation({"required": ["km"]}, {}) == "the field 'km' is missing"

    def test_several(self) -> None:
        """The first violation is named, the others are counted."""
        schema = {"required": ["a", "b", "c"]}
        assert violation(schema, {"c": 1}) == "the field 'a' is missing (and 1 more problem)"
        assert violation(schema, {}) == "the field 'a' is missing (and 2 more problems)"

    def test_long(self) -> None:
        """In a long input only the first violation is looked for."""
        text = json.dumps({"x": "x" * schemas.MAX_COUNTED})
        assert violations({"required": ["a", "b"]}, [text]) == ["the field 'a' is missing"]

    def test_longest(self) -> None:
        """Names and values of any length leave a line of at most 160 characters."""
        properties = {"x" * 500: {"pattern": "^" + "y" * 500}, "a": {"type": "null"}}
        line = violation({"properties": properties}, {"x" * 500: "z" * 500, "a": "\u2028"})
        assert line is not None
        assert len(line) == 160
        assert line.endswith("… (and 1 more problem)")

    def test_white_space(self) -> None:
        """What could break the line in two does not."""
        assert violation({"type": "null"}, "a\n\u2028\x85  b") == (
            'the input must be null, not "a\\n b"'
        )

    def test_constant(self) -> None:
        """A constant is shown even if it is an array."""
        assert violation({"const": [1, {"a": "é"}]}, [2]) == (
            'the input must be [1, {"a": "é"}], not an array'
        )

    def test_many_choices(self) -> None:
        """A long list of allowed values is cut."""
        line = violation({"enum": list(range(1000, 1100))}, 5)
        assert line == "the input must be one of 1000, 1001, 1002, 1003, 1004, 1005, 100…, not 5"

    def test_no_guess(self) -> None:
        """If very many fields are missing, no slip of the pen is guessed."""
        schema = {
            "properties": {f"field_{number}": {} for number in range(100)},
            "additionalProperties": False,
        }
        assert violation(schema, {"field_x": 1}) == "the field 'field_x' is not expected"

    def test_output(self) -> None:
        """An output is called one."""
        (line,) = violations({"type": "object"}, ["[]"], "output")
        assert line == "the output must be an object, not an array"


class TestText:
    """Any text has one outcome, whatever the schema; none raises."""

    @pytest.mark.parametrize(
        "text",
        [
            "1",
            "1.0",
            str(2**63),
            str(2**64),
            f"-{2**64}",
            "1e3",
            '{"a": 1, "a": "x"}',
            '"\\u0000"',
            '"\\ud83d\\ude00"',
            "[" * 100 + "]" * 100,
        ],
    )
    def test_valid(self, text: str) -> None:
        """Unusual JSON is JSON."""
        assert violations({}, [text]) == [None]

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "it is empty"),
            ("far", "expected a value, found 'far' at line 1, column 1"),
            ("{'a': 1}", "there are single quotes instead of double quotes at line 1, column 2"),
            ("NaN", "NaN is not JSON"),
            ('"\0"', "the control character U+0000 is not escaped at line 1, column 2"),
            ('"\\ud800"', "it contains an unpaired surrogate (such as \\ud83d alone)"),
            ('"\ud800"', "it contains an unpaired surrogate (such as \\ud83d alone)"),
            ("1e999", "a number is too large"),
            ("9" * 5000, "a number is too large"),
        ],
    )
    def test_not_json(self, text: str, reason: str) -> None:
        """Text that is not JSON, or that no parser can hold, violates every schema."""
        assert violations({}, [text]) == [f"the input is not JSON: {reason}"]
        assert violations(TRIP, [text]) == [f"the input is not JSON: {reason}"]

    def test_last_value_wins(self) -> None:
        """If a name occurs twice, its last value counts, as everywhere else."""
        schema = {"properties": {"a": {"type": "string"}}}
        first, second = violations(schema, ['{"a": 1, "a": "x"}', '{"a": "x", "a": 1}'])
        assert first is None
        assert second == "the field 'a' must be a string, not 1"

    @pytest.mark.parametrize("depth", [schemas.MAX_DEPTH + 1, 500, 900, 100_000])
    @pytest.mark.parametrize(("begin", "end"), ["[]", ('{"a":', "}")])
    @pytest.mark.parametrize("schema", [{}, *RECURSIVE])
    def test_too_deep(self, schema: dict[str, Any], begin: str, end: str, depth: int) -> None:
        """What is nested too deeply is refused, even by a schema that refers to itself."""
        text = begin * depth + "1" + end * depth
        assert violations(schema, [text]) == ["the input is nested too deeply"]

    @pytest.mark.parametrize("schema", RECURSIVE)
    def test_deep(self, schema: dict[str, Any]) -> None:
        """At the greatest depth, each level is still checked."""
        good, bad = ('{"a":' * 249 + value + "}" * 249 for value in ("{}", "3"))
        first, second = violations(schema, [good, bad])
        assert first is None
        assert second is not None

    def test_wide(self) -> None:
        """Many objects beside each other are not deep."""
        schema = {"items": {"properties": {"a": {"type": "integer"}}}}
        assert violations(schema, ["[" + '{"a": 1}, ' * 999 + "{}]"]) == [None]

    @given(PIECES, schema_documents())
    def test_any_text(self, text: str, schema: dict[str, Any]) -> None:
        """Nothing raises."""
        (line,) = violations(schema, [text])
        assert line is None or line.startswith("the ")

    def test_batch(self) -> None:
        """Each text of a batch has its own outcome, in order."""
        texts = ['{"km": 1}', "}", '{"km": "far"}', '{"km": 2}']
        first, second, third, fourth = violations(TRIP, texts)
        assert (first, fourth) == (None, None)
        assert "not JSON" in (second or "")
        assert "must be a number" in (third or "")
        assert violations(TRIP, []) == []

    def test_slow_pattern(self) -> None:
        """A pattern that takes exponential time elsewhere ends here."""
        line = violation({"pattern": "^(a+)+$"}, "a" * 5000 + "b")
        assert (line or "").startswith("the input must match the pattern")

    def test_format(self) -> None:
        """`format` describes a value and asserts nothing, in any draft."""
        for draft in ("draft/2020-12/schema", "draft-07/schema#"):
            scheme = "https" if "2020" in draft else "http"
            schema = {"$schema": f"{scheme}://json-schema.org/{draft}", "format": "date"}
            assert violation(schema, "never") is None


class TestSchema:
    """A schema that is wrong is refused before it checks anything."""

    @pytest.mark.parametrize(
        ("schema", "reason"),
        [
            ({"type": "strng"}, "the field 'type' must be one of "),
            ({"properties": {"a": {"minimum": "1"}}}, "the field 'properties.a.minimum' must be a"),
            ({"required": "a"}, "the field 'required' must be an array, not \"a\""),
            ({"pattern": "("}, 'the field \'pattern\' must have the format "regex", not "("'),
            ([], "it is of type array"),
            ("a", "it is of type string"),
            ('{"minimum": 1}', "it is of type string"),
            (None, "it is of type null"),
            ({"$ref": "#/$defs/none"}, "/$defs/none"),
            ({"$ref": "other.json"}, "other.json"),
            ({"$schema": "https://example.com/mine", "type": "object"}, "example.com/mine"),
            ({"enum": [object()]}, "it is not JSON: "),
        ],
    )
    def test_wrong(self, schema: object, reason: str) -> None:
        """The reason names what is wrong, and both functions give it."""
        text = check_schema(schema)
        assert text is not None
        assert text.startswith("the schema is not a JSON Schema: ")
        assert reason in text
        with pytest.raises(InvalidSchema) as caught:
            violations(schema, [], "input")  # type: ignore[arg-type] # what a file may hold
        assert str(caught.value) == text

    def test_endless(self) -> None:
        """A mapping that holds itself, as YAML's anchors can make it, is no schema."""
        schema: dict[str, Any] = {}
        schema["properties"] = {"a": schema}
        assert "it is not JSON" in (check_schema(schema) or "")

    @pytest.mark.parametrize("schema", [{}, True, False, TRIP])
    def test_right(self, schema: object) -> None:
        """A right schema has no reason."""
        assert check_schema(schema) is None

    def test_nothing_is_fetched(self, tmp_path: Path) -> None:
        """A reference to another document is refused without reading it."""
        file = tmp_path / "other.json"
        file.write_text("{}")
        for uri in (f"{file.as_uri()}", f"{file.as_uri()}#/a"):
            assert uri.partition("#")[0] in (check_schema({"$ref": uri}) or "")
        with listening() as (server, requests):
            uri = f"http://127.0.0.1:{server.server_port}/other.json"
            for schema in (
                {"$ref": uri},
                {"properties": {"a": {"$ref": f"{uri}#/a"}}},
                {"$schema": uri},
                {"$id": uri, "$ref": "third.json"},
                {"$dynamicRef": uri},
            ):
                assert check_schema(schema) is not None, schema
            assert requests == []


class TestCompiled:
    """A schema is compiled once in a process, without threads or open files."""

    def test_once(self) -> None:
        """The same text gives the same validator, which is forgotten when there are too many."""
        compiled.cache_clear()
        for _ in range(3):
            violations({"type": "object"}, ["{}"])
        assert compiled.cache_info()[:2] == (2, 1)
        assert compiled.cache_info().maxsize == schemas.MAX_COMPILED

    def test_fork_safe(self) -> None:
        """After a check, the process has one thread and no more files than before."""
        program = """
import os
from tidemill.inference.schema import violations
count = lambda: [len(os.listdir(f"/proc/self/{name}")) for name in ("task", "fd")]
before = count()
assert violations({"type": "object", "properties": {"a": {"pattern": "^a"}}}, ["{}", "[]"])[1]
print(before == count())
"""
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        assert done.stdout == "True\n"

    def test_without_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """If the validator is not installed, the error names the extra."""
        compiled.cache_clear()
        monkeypatch.setitem(sys.modules, "jsonschema_rs", None)
        with pytest.raises(MissingExtra, match="jsonschema_rs is not installed"):
            check_schema({})


class TestEach:
    """All violations of one text, each in a line of its own."""

    @given(st.dictionaries(st.sampled_from(NAMES), LEAVES))
    def test_agrees(self, value: dict[str, Any]) -> None:
        """There are as many as the line of a batch counts, and its first is the first."""
        schema = {"required": ["a"], "properties": {name: {"type": "string"} for name in NAMES}}
        text = json.dumps(value)
        (line,) = violations(schema, [text])
        each = each_violation(schema, text)
        assert len(each) == sum(not isinstance(v, str) for v in value.values()) + ("a" not in value)
        if line:
            count = f" (and {len(each) - 1} more problem{'s' if len(each) > 2 else ''})"
            assert line == each[0] + (count if len(each) > 1 else "")

    @pytest.mark.parametrize("text", ["no JSON", "1e999", "[" * 300 + "]" * 300])
    def test_unchecked(self, text: str) -> None:
        """A text that cannot be checked has the one line that a batch gets."""
        assert each_violation({"type": "string"}, text) == violations({"type": "string"}, [text])
