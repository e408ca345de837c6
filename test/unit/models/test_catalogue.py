from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from dev import ROOT
from tidemill.errors import (
    ConfigurationError,
    InvalidModels,
    ModelLoadFailed,
    ModelMisconfigured,
    SettingsFileUnreadable,
)
from tidemill.inference.codec import ENVELOPE
from tidemill.models import catalogue

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tidemill.inference.model import ModelSpec

    MakeSpec = Callable[..., ModelSpec]

MODULE = """
import builtins

constructed = []

class Echo:
    def __init__(self, **options):
        constructed.append(options)
    def predict_all(self, inputs):
        return inputs

class Flaky(Echo):
    def __init__(self):
        super().__init__()
        if len(constructed) == 1:
            raise OSError("the disk is busy")

class Panic(BaseException):
    pass

class Failing(Echo):
    def __init__(self, kind):
        raise {**vars(builtins), "Panic": Panic}[kind]("failed")

class Unlinked:
    def __init__(self):
        raise ImportError("libmodel.so")

class Outdated:
    def __init__(self):
        raise AttributeError("no such part")

class Needy:
    def __init__(self):
        import needed

class NotCallable:
    predict_all = 3

class Nothing:
    pass
"""


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., tuple[ModelSpec, ...]]:
    """Read entries that differ from a small one: `read({"name": "a"}, {"name": "b"})`."""

    def from_entries(*entries: dict[str, Any]) -> tuple[ModelSpec, ...]:
        small = {"name": "m", "version": "1", "adapter": "x:Y", "sample": "s", "result": "out"}
        path = tmp_path / "models.yaml"
        path.write_text(yaml.safe_dump({"models": [{**small, **entry} for entry in entries]}))
        return catalogue.load_models(path)

    return from_entries


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 - a module
    """A module of models, new for each test."""
    (tmp_path / "own_models.py").write_text(MODULE, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_models", raising=False)
    monkeypatch.setattr(catalogue, "_loaded", {})
    import own_models  # type: ignore[import-not-found]  # noqa: PLC0415 - made just now

    yield own_models
    del sys.modules["own_models"]


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

    def test_shipped(self) -> None:
        """The shipped file is valid."""
        shipped = ROOT / "models.yaml"
        assert [spec.match for spec in catalogue.load_models(shipped)] == [
            {"lang": "en"},
            {"lang": "fr"},
        ]

    def test_missing(self, tmp_path: Path) -> None:
        """A missing file is named."""
        with pytest.raises(SettingsFileUnreadable, match=r"none\.yaml"):
            catalogue.load_models(tmp_path / "none.yaml")

    @pytest.mark.parametrize(
        "content",
        ["", "models:", "models: []", "[]", "models: {}\nmore: 1", "more: []", "models: text"],
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
            ({"max_chars": 0}, "max_chars"),
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

    def test_all_at_once(self, tmp_path: Path) -> None:
        """Every problem of every entry is named, with the entry's number and name."""
        document = """
            models:
              - {name: a, version: 1, adapter: x.Y, sample: s, reslt: r, max_chars: 0}
              - {version: "1", adapter: "x:Y", match: {lang: no}}
              - text
              - {name: d, version: "1", adapter: "x:Y", sample: s, result: r}
        """
        (tmp_path / "m.yaml").write_text(document, "utf-8")
        with pytest.raises(InvalidModels) as caught:
            catalogue.load_models(tmp_path / "m.yaml")
        assert caught.value.problems == [
            "entry 1 (a): there is no field reslt, did you mean result?",
            "entry 1 (a): missing the required result",
            'entry 1 (a): version: Expected `str`, got `int` (put it in quotes: "1")',
            f"entry 1 (a): adapter: {ADAPTER}",
            "entry 1 (a): max_chars: Expected `int` >= 1",
            "entry 2: missing the required name, sample, result",
            f"entry 2: match: Expected `int | str`, got `bool` ({BOOLEANS})",
            "entry 3: must be a mapping, such as {name: my-model, …}",
        ]

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

    @pytest.mark.parametrize("field", ["name", "version", "adapter", "sample", "result"])
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
        with pytest.raises(InvalidModels, match="m:1 and m:2"):
            read({"match": {"lang": "en"}}, {"version": "2", "match": {"lang": "en"}})


class TestLoad:
    """A model is loaded once in a process."""

    def test_once(self, module: Any, make_spec: MakeSpec) -> None:  # noqa: ANN401 - a module
        """An equal entry gives the same model."""
        entry = {"adapter": "own_models:Echo", "options": {"a": 1}}
        first = catalogue.load(make_spec(**entry))
        assert catalogue.load(make_spec(**entry)) is first
        assert module.constructed == [{"a": 1}]

    @pytest.mark.parametrize(
        "other", [{"version": "2"}, {"name": "n"}, {"options": {"a": 2}}, {"options": {}}]
    )
    def test_another(self, module: Any, make_spec: MakeSpec, other: dict[str, Any]) -> None:  # noqa: ANN401
        """Another name, version or options give another model."""
        entry = {"adapter": "own_models:Echo", "options": {"a": 1}}
        first = catalogue.load(make_spec(**entry))
        assert catalogue.load(make_spec(**{**entry, **other})) is not first
        assert len(module.constructed) == 2

    def test_failed(self, module: Any, make_spec: MakeSpec) -> None:  # noqa: ANN401 - a module
        """A failure is not cached: the next call tries again."""
        spec = make_spec(adapter="own_models:Flaky")
        with pytest.raises(ModelLoadFailed, match="OSError: the disk is busy"):
            catalogue.load(spec)
        assert catalogue.load(spec) is catalogue.load(spec)
        assert len(module.constructed) == 2

    @pytest.mark.parametrize("value", [10**30, float("nan"), [{"deep": [None, 1.5, True]}]])
    def test_any_option(self, module: Any, make_spec: MakeSpec, value: object) -> None:  # noqa: ANN401
        """Options may be any values that YAML has."""
        catalogue.load(make_spec(adapter="own_models:Echo", options={"a": value}))
        assert module.constructed == [{"a": value}]


class TestFault:
    """A constructor that fails on what it needs is a fault: another attempt may succeed."""

    @pytest.mark.parametrize(
        "kind", ["OSError", "TimeoutError", "MemoryError", "ValueError", "RuntimeError"]
    )
    def test_reason(self, module: Any, make_spec: MakeSpec, kind: str) -> None:  # noqa: ANN401
        """The message names the model and the cause; it is not a ConfigurationError."""
        with pytest.raises(ModelLoadFailed) as caught:
            catalogue.load(make_spec(adapter="own_models:Failing", options={"kind": kind}))
        assert str(caught.value) == f"model m:1 failed to load: {kind}: failed"
        assert type(caught.value.__cause__).__name__ == kind
        assert not isinstance(caught.value, ConfigurationError)

    @pytest.mark.parametrize("kind", ["SystemExit", "Panic"])
    def test_no_exception(self, module: Any, make_spec: MakeSpec, kind: str) -> None:  # noqa: ANN401
        """An exit or a panic is a fault, too."""
        with pytest.raises(ModelLoadFailed, match=f"{kind}: failed"):
            catalogue.load(make_spec(adapter="own_models:Failing", options={"kind": kind}))

    def test_interrupt(self, module: Any, make_spec: MakeSpec) -> None:  # noqa: ANN401 - a module
        """Ctrl-C is passed on."""
        spec = make_spec(adapter="own_models:Failing", options={"kind": "KeyboardInterrupt"})
        with pytest.raises(KeyboardInterrupt):
            catalogue.load(spec)


class TestWrongAdapter:
    """An adapter that cannot be loaded is named, with the reason and a remedy."""

    @pytest.mark.parametrize(
        ("adapter", "reason", "remedy"),
        [
            ("no_such_module:Model", "No module named 'no_such_module'", "or be on PYTHONPATH"),
            ("own_models:Flakey", "has no attribute 'Flakey'", "Did you mean own_models:Flaky?"),
            ("own_models:Qqqqq", "has no attribute 'Qqqqq'", "own_models has no class Qqqqq"),
            ("own_models:Needy", "No module named 'needed'", "install it beside Tidemill"),
            ("own_models:Nothing", "Nothing has no method predict_all", "a method predict_all"),
            ("own_models:NotCallable", "NotCallable has no method predict_all", "a method"),
            ("own_models:constructed", "not callable", "arguments of the class"),
            ("own_models:Unlinked", "ImportError: libmodel.so", "adapter and options"),
            ("own_models:Outdated", "AttributeError: no such part", "adapter and options"),
            (".:x", "", "arguments"),
        ],
    )
    def test_reason(
        self,
        module: Any,  # noqa: ANN401
        make_spec: MakeSpec,
        adapter: str,
        reason: str,
        remedy: str,
    ) -> None:
        """The message names the model, its adapter and the cause."""
        with pytest.raises(ModelMisconfigured) as caught:
            catalogue.load(make_spec(adapter=adapter))
        assert f"model m:1 ({adapter}): " in str(caught.value)
        assert reason in str(caught.value)
        assert remedy in caught.value.hint
        assert isinstance(caught.value, ConfigurationError)

    def test_wrong_options(self, module: Any, make_spec: MakeSpec) -> None:  # noqa: ANN401 - a module
        """An option that the class does not accept is the same kind of error."""
        with pytest.raises(ModelMisconfigured, match=r"TypeError.*surplus"):
            catalogue.load(make_spec(adapter="own_models:Flaky", options={"surplus": 1}))

    def test_standard_library(self, make_spec: MakeSpec) -> None:
        """A class without `predict_all` is refused when loaded, not when first used."""
        with pytest.raises(ModelMisconfigured, match="predict_all"):
            catalogue.load(make_spec(adapter="json:JSONDecoder"))
