"""The JSON Schema accepts what the program accepts, and refuses what it refuses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dev import ROOT
from dev.docs import models_schema
from tidemill import scaffold
from tidemill.models import catalogue, validation
from tidemill.models.adapters import UnknownAdapter, class_path
from tidemill.models.entry import Entry, Loading, VariantEntry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA = models_schema.schema()
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
SHIPPED = sorted(
    path
    for pattern in ("models.yaml", "deploy/**/models.yaml", "examples/**/models.yaml")
    for path in ROOT.glob(pattern)
)
FIRST_LINE = re.compile(r"# yaml-language-server: \$schema=(\S+)\n")

SCALARS = st.sampled_from(["text", "", 1, 0, True, None, 1.5])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(st.sampled_from(["a", "n", "chars", "name"]), inner, max_size=2),
    ),
    max_leaves=4,
)
# What each field may be, so that a good part of the generated entries is valid.
LIKELY: dict[str, st.SearchStrategy[Any]] = {
    "name": st.just("m"),
    "version": st.sampled_from(["1", 1]),
    "adapter": st.sampled_from(["spacy-ner", "a.b:C"]),
    "options": st.just({"a": [1]}),
    "device": st.sampled_from(["cpu", "cuda", "gpu"]),
    "trust": st.sampled_from(["pickle", "all"]),
    "payload": st.sampled_from(["text", ["a", "b"], None, []]),
    "limits": st.sampled_from([{}, {"chars": 1}, {"seconds": 0.5, "memory": "2MiB"}, {"batch": 0}]),
    "match": st.sampled_from([{}, {"lang": "en", "n": 1}, {"n": None}]),
    "endpoint": st.sampled_from(["eta", "eta/v2", "/eta", "a b"]),
    "parameters": st.sampled_from([[1, "a"], [[1, "a"], [2, "b"]], {"a": [1], "b": "x"}]),
    "echo": st.sampled_from(["all", ["a"], "some"]),
    "variants": st.sampled_from(
        [{"a": None, "b": {"weight": 5}}, {"a": {"weight": 101}}, {"a": {"match": {}}}, {"a": 1}]
    ),
    "schema": st.sampled_from([{"type": "object"}, "file.json", True]),
}
FIELDS = st.sampled_from([*Entry.__struct_fields__, "weight", "max_chars"])


@st.composite
def entries(draw: st.DrawFn) -> dict[str, Any]:
    """Draw an entry, of which most parts are right."""
    entry: dict[str, Any] = {"name": "m", "version": 1}
    for field in draw(st.lists(FIELDS, max_size=4)):
        likely = LIKELY.get(field, st.just("text"))
        entry[field] = draw(likely if draw(st.integers(0, 3)) else VALUES)
    for field in draw(st.sampled_from([(), (), ("name",), ("version",)])):
        del entry[field]
    return entry


def mistakes(document: object) -> Iterator[str]:
    """Yield what the program finds wrong with a document, as it is written."""
    yield from (problem for _, problem in validation.file_problems(document))
    if isinstance(document, dict) and isinstance(document.get("models"), list):
        for entry in document["models"]:
            yield from (problem for _, problem in validation.entry_problems(entry))
            yield from unknown_adapter(entry)


def unknown_adapter(entry: object) -> Iterator[str]:
    """Yield the adapter of an entry if it is text that names none."""
    adapter = entry.get("adapter") if isinstance(entry, dict) else None
    if isinstance(adapter, str):
        try:
            class_path(adapter)
        except UnknownAdapter as error:
            yield str(error)


class TestAccepts:
    """Every valid file is valid in an editor."""

    @pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(ROOT)))
    def test_shipped(self, path: Path) -> None:
        """The files of the repository are valid, and their first line leads to the schema."""
        VALIDATOR.validate(yaml.safe_load(path.read_text("utf-8")))
        first = FIRST_LINE.match(path.read_text("utf-8"))
        assert first is not None
        named = path.parent / first[1]
        assert named.read_text("utf-8") == models_schema.page()

    def test_found(self) -> None:
        """The parameters of the test above are not empty."""
        assert len(SHIPPED) >= 2

    def test_scaffold(self, tmp_path: Path) -> None:
        """A new folder has the schema that its models.yaml names."""
        scaffold.create(tmp_path / "mine")
        file = tmp_path / "mine" / "models.yaml"
        VALIDATOR.validate(yaml.safe_load(file.read_text("utf-8")))
        first = FIRST_LINE.match(file.read_text("utf-8"))
        assert first is not None
        assert (file.parent / first[1]).read_text("utf-8") == models_schema.page()
        catalogue.load_models(file)

    @given(entries())
    def test_as_the_program(self, entry: dict[str, Any]) -> None:
        """An editor and the program agree on any entry."""
        document = {"models": [entry]}
        found = list(mistakes(document))
        assert VALIDATOR.is_valid(document) is (not found), found

    @given(st.dictionaries(st.sampled_from(["models", "endpoints", "model"]), VALUES, max_size=3))
    def test_any_file(self, document: dict[str, Any]) -> None:
        """An editor and the program agree on whatever else a file has."""
        found = list(mistakes(document))
        assert VALIDATOR.is_valid(document) is (not found), found


class TestRefuses:
    """Typical mistakes are visible in an editor."""

    @pytest.mark.parametrize(
        "entry",
        [
            "{name: m}",
            "{version: 1}",
            "{name: m, version: 1.5}",
            "{name: m, version: 1, adaptor: x}",
            "{name: m, version: 1, adapter: x.Y}",
            "{name: m, version: 1, adapter: spacy_ner}",
            "{name: m, version: 1, match: {lang: no}}",
            "{name: m, version: 1, match: [lang]}",
            "{name: m, version: 1, limits: {batch: 0}}",
            "{name: m, version: 1, limits: {max_seconds: 1}}",
            "{name: m, version: 1, payload: []}",
            "{name: m, version: 1, device: gpu}",
            "{name: m, version: 1, variants: [a, b]}",
            "{name: m, version: 1, variants: {a: {weight: 120}}}",
            "{name: m, version: 1, variants: {a: {match: {}}}}",
            "{name: m, version: 1, endpoint: /eta}",
            "text",
        ],
    )
    def test_entry(self, entry: str) -> None:
        """An entry with a mistake is not valid, and without it would be."""
        assert not VALIDATOR.is_valid(yaml.safe_load(f"models: [{entry}]"))

    @pytest.mark.parametrize(
        "document", ["models: []", "model: []", "[]", "models: {}", "endpoints: {}"]
    )
    def test_file(self, document: str) -> None:
        """A file needs a list of entries."""
        assert not VALIDATOR.is_valid(yaml.safe_load(document))


class TestHelps:
    """An editor shows what each field means."""

    def test_descriptions(self) -> None:
        """Every field has a description, and is spelt as in the file."""
        for struct in (Entry, VariantEntry):
            fields = SCHEMA["$defs"][struct.__name__]["properties"]
            assert set(Loading.__struct_fields__) < set(fields)
            assert all(field["description"] for field in fields.values())

    def test_adapters(self) -> None:
        """The short names of adapters are offered."""
        offered, _ = SCHEMA["$defs"]["Entry"]["properties"]["adapter"]["anyOf"]
        assert "spacy-ner" in offered["enum"]

    def test_draft(self) -> None:
        """The schema itself is valid in its draft."""
        jsonschema.Draft7Validator.check_schema(SCHEMA)
