from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from tidemill.errors import ConfigurationError, ModelLoadFailed, ModelMisconfigured
from tidemill.models import host
from tidemill.models.isolation import supervised

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tidemill.inference.model import ModelLoader, ModelSpec

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

class Pathless(Echo):
    def __init__(self):
        open("/nowhere/weights")

class Refusing(Echo):
    def __init__(self):
        from tidemill.errors import UnusableEntry
        raise UnusableEntry("artifact", "too old", "Train it again.")

class NotCallable:
    predict_all = 3

class Nothing:
    pass
"""


EXTRA = """
error = ImportError("needs more")
error.add_note("hint: pip install more")
raise error
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 - a module
    """A module of models, new for each test."""
    (tmp_path / "own_models.py").write_text(MODULE, "utf-8")
    (tmp_path / "own_folder").mkdir()  # as if the command ran one folder above the model's
    (tmp_path / "own_typo.py").write_text("x = 1\ndef f()\n", "utf-8")
    (tmp_path / "own_extra.py").write_text(EXTRA, "utf-8")
    (tmp_path / "own_lazy.py").write_text("def __dir__():\n    raise OSError", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_models", raising=False)
    monkeypatch.setattr(host, "_models", {})
    import own_models  # type: ignore[import-not-found]  # noqa: PLC0415 - made just now

    yield own_models
    del sys.modules["own_models"]


class TestLoad:
    """A model is loaded once in a process."""

    def test_once(self, module: Any, make_spec: MakeSpec) -> None:  # noqa: ANN401 - a module
        """An equal entry gives the same model."""
        entry = {"adapter": "own_models:Echo", "options": {"a": 1}}
        first = host.load(make_spec(**entry))
        assert host.load(make_spec(**entry)) is first
        assert module.constructed == [{"a": 1}]

    @pytest.mark.parametrize(
        "other", [{"version": "2"}, {"name": "n"}, {"options": {"a": 2}}, {"options": {}}]
    )
    def test_another(self, module: Any, make_spec: MakeSpec, other: dict[str, Any]) -> None:  # noqa: ANN401
        """Another name, version or options give another model."""
        entry = {"adapter": "own_models:Echo", "options": {"a": 1}}
        first = host.load(make_spec(**entry))
        assert host.load(make_spec(**{**entry, **other})) is not first
        assert len(module.constructed) == 2

    def test_failed(self, module: Any, make_spec: MakeSpec) -> None:  # noqa: ANN401 - a module
        """A failure is not cached: the next call tries again."""
        spec = make_spec(adapter="own_models:Flaky")
        with pytest.raises(ModelLoadFailed, match="OSError: the disk is busy"):
            host.load(spec)
        assert host.load(spec) is host.load(spec)
        assert len(module.constructed) == 2

    @pytest.mark.parametrize("value", [10**30, float("nan"), [{"deep": [None, 1.5, True]}]])
    def test_any_option(self, module: Any, make_spec: MakeSpec, value: object) -> None:  # noqa: ANN401
        """Options may be any values that YAML has."""
        host.load(make_spec(adapter="own_models:Echo", options={"a": value}))
        assert module.constructed == [{"a": value}]


class TestFault:
    """A constructor that fails on what it needs is a fault: another attempt may succeed."""

    @pytest.mark.parametrize(
        "kind", ["OSError", "TimeoutError", "MemoryError", "ValueError", "RuntimeError"]
    )
    def test_reason(self, module: Any, make_spec: MakeSpec, kind: str) -> None:  # noqa: ANN401
        """The message names the model and the cause; it is not a ConfigurationError."""
        with pytest.raises(ModelLoadFailed) as caught:
            host.load(make_spec(adapter="own_models:Failing", options={"kind": kind}))
        assert str(caught.value) == f"model m:1 failed to load: {kind}: failed"
        assert type(caught.value.__cause__).__name__ == kind
        assert not isinstance(caught.value, ConfigurationError)

    @pytest.mark.parametrize("kind", ["SystemExit", "Panic"])
    def test_no_exception(self, module: Any, make_spec: MakeSpec, kind: str) -> None:  # noqa: ANN401
        """An exit or a panic is a fault, too."""
        with pytest.raises(ModelLoadFailed, match=f"{kind}: failed"):
            host.load(make_spec(adapter="own_models:Failing", options={"kind": kind}))

    def test_interrupt(self, module: Any, make_spec: MakeSpec) -> None:  # noqa: ANN401 - a module
        """Ctrl-C is passed on."""
        spec = make_spec(adapter="own_models:Failing", options={"kind": "KeyboardInterrupt"})
        with pytest.raises(KeyboardInterrupt):
            host.load(spec)


class TestWrongAdapter:
    """An adapter that cannot be loaded is named, with the reason and a remedy."""

    @pytest.fixture(params=["this process", "a child process"])
    def load(self, request: pytest.FixtureRequest, module: Any) -> Iterator[ModelLoader]:  # noqa: ANN401
        """Load models in this process or in a child process: the errors are the same."""
        if request.param == "this process":
            yield host.load
            return
        with supervised.loader() as load:
            yield load

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
            (
                "own_models:Pathless",
                "directory: '/nowhere/weights'",
                "Correct the path in the entry",
            ),
            ("own_models:Refusing", "UnusableEntry: artifact: too old", "Train it again."),
            ("own_models:Outdated", "AttributeError: no such part", "adapter and options"),
            ("own_folder:Model", "has no attribute 'Model'", "own_folder is the folder "),
            ("own_typo:Model", "SyntaxError: ", "Correct line 2 of "),
            ("own_extra:Model", "needs more", "pip install more"),
            ("own_lazy:Model", "has no attribute 'Model'", "adapter and options"),
            (".:x", "", "arguments"),
        ],
    )
    def test_reason(
        self,
        load: ModelLoader,
        make_spec: MakeSpec,
        adapter: str,
        reason: str,
        remedy: str,
    ) -> None:
        """The message names the model, its adapter and the cause."""
        with pytest.raises(ModelMisconfigured) as caught:
            load(make_spec(adapter=adapter))
        assert f"model m:1 ({adapter}): " in str(caught.value)
        assert reason in str(caught.value)
        assert remedy in caught.value.hint
        assert isinstance(caught.value, ConfigurationError)

    def test_wrong_options(self, module: Any, make_spec: MakeSpec) -> None:  # noqa: ANN401 - a module
        """An option that the class does not accept is the same kind of error."""
        with pytest.raises(ModelMisconfigured, match=r"TypeError.*surplus"):
            host.load(make_spec(adapter="own_models:Flaky", options={"surplus": 1}))

    def test_standard_library(self, make_spec: MakeSpec) -> None:
        """A class without `predict_all` is refused when loaded, not when first used."""
        with pytest.raises(ModelMisconfigured, match="predict_all"):
            host.load(make_spec(adapter="json:JSONDecoder"))
