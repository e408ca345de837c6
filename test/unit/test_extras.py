"""A missing extra is named, with the command that installs it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from typing import TYPE_CHECKING

import pytest

from dev import ROOT
from tidemill import extras, run
from tidemill.errors import ConfigurationError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# Imported, though only dependencies of a requirement.
IMPLIED = {"py4j": "pyspark"}


def normalised(requirement: str) -> str:
    """Return the normalised name of a requirement's distribution."""
    return re.sub(r"[-_.]+", "-", re.split(r"[<>=\[;~! ]", requirement)[0]).lower()


def distributions(modules: Iterable[str]) -> set[str]:
    """Return the distributions that provide modules."""
    providers = packages_distributions()
    return {normalised(providers[IMPLIED.get(module, module)][0]) for module in modules}


def run_without(extra: str, program: str) -> subprocess.CompletedProcess[str]:
    """Run a program as if the modules of an extra were not installed."""
    hide = f"import sys; sys.modules |= dict.fromkeys({extras.MODULES[extra]!r})\n"
    return subprocess.run(
        [sys.executable, "-c", hide + program], capture_output=True, text=True, check=False
    )


class TestRequired:
    """The context names the extra of a module that cannot be imported."""

    @pytest.mark.parametrize(
        ("module", "extra"),
        [
            ("pyspark.sql", "stream"),
            ("kafka", "stream"),
            ("spacy", "spacy"),
            ("jsonschema_rs", "schemas"),
            ("hypothesis", "testing"),
        ],
    )
    def test_named(self, module: str, extra: str) -> None:
        """It is a wrong configuration, and an ImportError for callers who expect one."""
        with pytest.raises(MissingExtra) as caught, extras.required():
            raise ModuleNotFoundError(name=module)
        package = module.partition(".")[0]
        assert caught.value.message == f"the Python package {package} is not installed"
        assert caught.value.hint == f'Install it with pip install "tidemill[{extra}]".'
        assert isinstance(caught.value, ConfigurationError)
        assert isinstance(caught.value, ImportError)
        assert run.exit_code(caught.value) == 2

    @pytest.mark.parametrize("name", ["sentiment", "tidemill.nothing", None])
    def test_other_modules(self, name: str | None) -> None:
        """The error of a module that belongs to no extra passes unchanged."""
        with pytest.raises(ModuleNotFoundError) as caught, extras.required():
            raise ModuleNotFoundError("no such module", name=name)
        assert not isinstance(caught.value, MissingExtra)


class TestDoors:
    """Everything that needs an extra names it if it is missing."""

    @pytest.mark.parametrize(
        "arguments",
        [
            ["stream"],
            ["batch", "--input", "in.jsonl", "--output", "out"],
            ["check"],
            ["stop"],
            ["lag"],
            ["dlq", "list"],
            ["dlq", "show", "0/0"],
            ["dlq", "replay"],
        ],
        ids=" ".join,
    )
    def test_commands(self, arguments: list[str]) -> None:
        """A command ends with exit code 2 and one line."""
        argv = ["tidemill", *arguments]
        done = run_without("stream", f"sys.argv = {argv!r}; from tidemill.cli import main; main()")
        assert done.returncode == 2
        assert 'pip install "tidemill[stream]"' in done.stderr
        assert "Traceback" not in done.stderr

    def test_spark_submit(self) -> None:
        """So does the entry point for spark-submit."""
        program = "sys.argv = ['run.py']; from tidemill.run import main; sys.exit(main())"
        done = run_without("stream", program)
        assert done.returncode == 2
        assert 'pip install "tidemill[stream]"' in done.stderr

    def test_public_name(self) -> None:
        """`from tidemill import predictions` raises the same error."""
        done = run_without("stream", "from tidemill import predictions")
        assert done.returncode == 1
        assert "MissingExtra: " in done.stderr
        assert 'pip install "tidemill[stream]"' in done.stderr

    def test_kit(self) -> None:
        """So does the kit that tests models."""
        done = run_without("testing", "from tidemill.testing import ModelContract")
        assert done.returncode == 1
        assert "MissingExtra: " in done.stderr
        assert 'pip install "tidemill[testing]"' in done.stderr

    @pytest.mark.parametrize("scheme", ["http", "grpc"])
    def test_client(self, scheme: str) -> None:
        """The client names its own extra, though the server has some of the packages too."""
        program = (
            "from tidemill.client import Client\n"
            f"with Client('{scheme}://127.0.0.1:1') as client: client.predict('m', ['a'])"
        )
        done = run_without("client", program)
        assert "MissingExtra: " in done.stderr
        assert 'pip install "tidemill[client]"' in done.stderr

    def test_databricks(self) -> None:
        """A job of Databricks can be submitted without its extra, but not run."""
        program = (
            "from tidemill.tasks.databricks import DatabricksJob\n"
            "DatabricksJob(1).run({}, lambda *_: None)"
        )
        done = run_without("databricks", program)
        assert 'pip install "tidemill[databricks]"' in done.stderr

    def test_store(self) -> None:
        """A command of the store names its extra."""
        argv = ["tidemill", "store", "get", "users", "1"]
        done = run_without("store", f"sys.argv = {argv!r}; from tidemill.cli import main; main()")
        assert done.returncode == 2
        assert 'pip install "tidemill[store]"' in done.stderr

    def test_adapter(self) -> None:
        """A shipped adapter names its extra beside the model that needs it."""
        program = (
            "from tidemill import ModelSpec; from tidemill.models import host\n"
            "host.load(ModelSpec(name='ner', version='1', adapter='spacy-ner',"
            " sample='s', result='r'))"
        )
        done = run_without("spacy", program)
        assert "model ner:1 (spacy-ner)" in done.stderr
        assert 'pip install "tidemill[spacy]"' in done.stderr

    def test_help(self) -> None:
        """The help needs no extra."""
        program = "sys.argv = ['tidemill', '--help']; from tidemill.cli import main; main()"
        assert run_without("stream", program).returncode == 0


class TestTable:
    """The table of modules agrees with pyproject.toml and with the code."""

    @pytest.mark.parametrize("extra", ["stream", "schemas", "store", "testing"])
    def test_modules(self, extra: str) -> None:
        """Each requirement of the extra is known by a module, and each module has a requirement."""
        required = {normalised(name) for name in PROJECT["optional-dependencies"][extra]}
        assert distributions(extras.MODULES[extra]) == required

    def test_spacy(self) -> None:
        """The trained pipelines are loaded by name, so only spaCy itself is imported."""
        required = {normalised(name) for name in PROJECT["optional-dependencies"]["spacy"]}
        assert distributions(extras.MODULES["spacy"]) <= required

    def test_every_import(self) -> None:
        """Every package that the code imports is a dependency, or belongs to an extra."""
        known = set().union(*extras.MODULES.values())
        core = set(imported_packages()) - known - {"tidemill"} - sys.stdlib_module_names
        assert distributions(core) <= {normalised(name) for name in PROJECT["dependencies"]}


def imported_packages() -> Iterator[str]:
    """Yield the top-level name of every import in the package."""
    for file in (ROOT / "app" / "tidemill").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield (node.module or "").partition(".")[0]
