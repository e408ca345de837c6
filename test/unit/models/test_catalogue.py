from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from dev import ROOT
from tidemill.errors import (
    InvalidModels,
    SettingsFileUnreadable,
)
from tidemill.inference.codec import ENVELOPE
from tidemill.inference.model import Limits
from tidemill.inference.route import all_specs
from tidemill.models import catalogue

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tidemill.inference.model import ModelSpec

    MakeSpec = Callable[..., ModelSpec]


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., tuple[ModelSpec, ...]]:
    """Read entries that differ from a small one: `read({"name": "a"}, {"name": "b"})`."""

    def from_entries(*entries: dict[str, Any]) -> tuple[ModelSpec, ...]:
        small = {"name": "m", "version": "1", "adapter": "x:Y", "sample": "s", "result": "out"}
        path = tmp_path / "models.yaml"
        path.write_text(yaml.safe_dump({"models": [{**small, **entry} for entry in entries]}))
        return all_specs(catalogue.load_models(path))

    return from_entries


class TestRead:
    """models.yaml becomes entries."""

    def test_entries(self, read: Callable[..., tuple[ModelSpec, ...]]) -> None:
        """Entries keep their order, and have defaults."""
        one, two = read({"match": {"lang": "en"}, "payload": "text"}, {"name": "n"})
        assert (one.id, one.match, one.payload) == ("m:1", {"lang": "en"}, "text")
        assert (two.id, two.match, two.payload, two.options) == ("n:1", {}, None, {})

    def test_fields_of_a_result(self, read: Callable[..., tuple[ModelSpec, ...]]) -> None:
        """The id field, more fields to copy, and whole numbers to match on are read."""
        one, two = read(
            {"id_field": "id", "match": {"kind": 3}, "echo": ["id", "kind", "at"]},
            {"name": "n", "id_field": None, "echo": "all"},
        )
        assert (one.id_field, one.match, one.echo) == ("id", {"kind": 3}, ("id", "kind", "at"))
        assert (two.id_field, two.echo) == (None, "all")

    def test_limits(self, read: Callable[..., tuple[ModelSpec, ...]]) -> None:
        """Each limit has a default, and a size of memory may have a unit."""
        one, two = read({}, {"name": "n", "match": {"n": 1}, "limits": {"seconds": 0.25}})
        assert (one.limits, two.limits) == (Limits(), Limits(seconds=0.25))
        (entry,) = read({"limits": {"chars": 5, "batch": 6, "seconds": 7, "memory": "2MiB"}})
        assert entry.limits == Limits(chars=5, batch=6, seconds=7, memory=2 * 1024**2)

    def test_shipped(self) -> None:
        """The shipped file is valid."""
        shipped = ROOT / "models.yaml"
        assert [spec.match for spec in all_specs(catalogue.load_models(shipped))] == [
            {"lang": "en"},
            {"lang": "fr"},
        ]

    @pytest.mark.parametrize("enabled", [True, False])
    def test_collector(self, tmp_path: Path, enabled: bool) -> None:
        """The garbage collector, which pauses meanwhile, is afterwards as it was before."""
        (gc.enable if enabled else gc.disable)()
        try:
            catalogue.load_models(ROOT / "models.yaml")
            assert gc.isenabled() is enabled
            with pytest.raises(SettingsFileUnreadable):
                catalogue.load_models(tmp_path / "none.yaml")
            assert gc.isenabled() is enabled
        finally:
            gc.enable()

    def test_missing(self, tmp_path: Path) -> None:
        """A missing file is named."""
        with pytest.raises(SettingsFileUnreadable, match=r"none\.yaml"):
            catalogue.load_models(tmp_path / "none.yaml")

    @pytest.mark.parametrize(
        "content",
        ["", "models:", "models: []", "[]", "models: {}", "more: []", "models: text"],
    )
    def test_no_list(self, tmp_path: Path, content: str) -> None:
        """Anything but a list of entries under one key is refused."""
        (tmp_path / "m.yaml").write_text(content, "utf-8")
        with pytest.raises(InvalidModels, match=r"m\.yaml"):
            catalogue.load_models(tmp_path / "m.yaml")

    @pytest.mark.parametrize("content", ["a: [", "a: b: c"])
    def test_no_yaml(self, tmp_path: Path, content: str) -> None:
        """A file that is not YAML is named."""
        (tmp_path / "m.yaml").write_text(content, "utf-8")
        with pytest.raises(SettingsFileUnreadable, match=r"m\.yaml"):
            catalogue.load_models(tmp_path / "m.yaml")


ADAPTER = "Expected `str` of the form package.module:Class, or a shipped adapter (spacy-ner)"
BOOLEANS = "YAML reads no, off, yes and on as booleans: put the value in quotes"


class TestWrongEntries:
    """A wrong entry is refused, and the problem named."""

    @pytest.mark.parametrize(
        ("entry", "named"),
        [
            ({"surplus": 1}, "surplus"),
            ({"version": 3.8}, "version"),
            ({"name": "a b"}, "name"),
            ({"adapter": "x.Y"}, "adapter"),
            ({"match": {"lang": False}}, "match"),
            ({"limits": {"chars": 0}}, "limits: chars: Expected `int` >= 1"),
            ({"limits": {"seconds": 0}}, "limits: seconds: Expected `float` > 0.0"),
            ({"limits": {"seconds": -1.5}}, "limits: seconds: Expected `float` > 0.0"),
            ({"limits": {"seconds": float("nan")}}, "limits: seconds: Expected `float` > 0.0"),
            ({"limits": {"seconds": "30 s"}}, "seconds"),
            ({"limits": {"seconds": True}}, "seconds"),
            ({"limits": {"seconds": None}}, "seconds"),
            ({"limits": {"memory": "much"}}, "limits.memory: 'much' is no size"),
            ({"limits": {"second": 1}}, "did you mean seconds"),
            ({"limits": 3}, "limits: must be a mapping"),
            ({"match": {"lang": False}}, "put the value in quotes"),
            ({"match": {"kind": 1.5}}, "match"),
            ({"match": {"kind": None}}, "match"),
            ({"result": "uuid"}, "'uuid'.*id_field"),
            ({"id_field": "order", "result": "order"}, "'order'.*id_field"),
            ({"id_field": 3}, "id_field"),
            ({"echo": ["a", "out"]}, "'out'.*echo"),
            ({"echo": ["a", 1]}, "echo"),
            ({"echo": "text"}, "echo"),
            ({"match": {"model": "x"}}, "'model'"),
            ({"match": {"lang": "en"}, "result": "lang"}, "'lang'"),
        ],
    )
    def test_named(
        self,
        read: Callable[..., tuple[ModelSpec, ...]],
        entry: dict[str, Any],
        named: str,
    ) -> None:
        """The error names the file and the problem."""
        with pytest.raises(InvalidModels, match=rf"models\.yaml.*{named}"):
            read(entry)

    @pytest.mark.parametrize("name", ENVELOPE)
    def test_reserved(self, read: Callable[..., tuple[ModelSpec, ...]], name: str) -> None:
        """No entry may use the name of a field that every result has."""
        with pytest.raises(InvalidModels, match=name):
            read({"result": name})
        with pytest.raises(InvalidModels, match=name):
            read({"match": {name: "x"}})
        with pytest.raises(InvalidModels, match=name):
            read({"id_field": name})
        with pytest.raises(InvalidModels, match=name):
            read({"echo": [name]})

    @pytest.mark.parametrize("field", ["name", "version"])
    def test_incomplete(self, tmp_path: Path, field: str) -> None:
        """A missing field is named."""
        entry = {"name": "m", "version": "1", "adapter": "x:Y", "sample": "s", "result": "out"}
        del entry[field]
        (tmp_path / "m.yaml").write_text(yaml.safe_dump({"models": [entry]}), "utf-8")
        with pytest.raises(InvalidModels, match=field):
            catalogue.load_models(tmp_path / "m.yaml")

    def test_same_id(self, read: Callable[..., tuple[ModelSpec, ...]]) -> None:
        """A name and version may occur once."""
        with pytest.raises(InvalidModels, match="duplicate model m:1"):
            read({"match": {"lang": "en"}}, {"match": {"lang": "fr"}})

    def test_same_messages(self, read: Callable[..., tuple[ModelSpec, ...]]) -> None:
        """Two entries may not match the same messages."""
        with pytest.raises(InvalidModels, match="m and m match the same"):
            read({"match": {"lang": "en"}}, {"version": "2", "match": {"lang": "en"}})
