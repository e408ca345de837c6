"""Every code block of the README and the documentation is right, as far as it can run here."""

from __future__ import annotations

import ast
import importlib
import json
import re
import shlex
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import typer.main
import yaml

from dev import ROOT
from dev.docs import models_schema
from dev.docs.blocks import Block, blocks, commands, pages, prose
from tidemill import settings
from tidemill.cli import cli
from tidemill.models import catalogue
from tidemill.serving.access import Access
from tidemill.serving.catalogue import Catalogue
from tidemill.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
# Names of this repository's folders, with what follows; not within a longer path.
OURS = re.compile(
    r"(?<![\w./-])((?:app|bench|deploy|dev|faults|requirements|test)/[\w./-]*[\w/]|\.venv/bin/\w+)"
)
CHECKS = {"", "fragment", "run", "skip"}
LANGUAGES = {"csv", "dockerfile", "json", "python", "sh", "text", "toml", "yaml"}


def these(*languages: str) -> pytest.MarkDecorator:
    """Parametrize a test by the blocks of some languages."""
    found = [b for page in pages() for b in blocks(page) if b.language in languages]
    return pytest.mark.parametrize("block", [b for b in found if b.check != "skip"], ids=str)


def arguments(command: str) -> Iterator[list[str]]:
    """Yield the words of each command in a line, without the variables that are set for it."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for token in [*lexer, ";"]:
        if not set(token) <= set("();<>|&"):
            if words or not re.fullmatch(r"\w+=.*", token):
                words.append(token)
        elif words:
            yield words
            words = []


class TestBlocks:
    """A block has a language that is checked."""

    def test_marks(self) -> None:
        """A misspelt language or comment would leave a block unchecked."""
        found = [block for page in pages() for block in blocks(page)]
        assert {block.language for block in found} <= LANGUAGES
        assert {block.check for block in found} <= CHECKS
        fences = sum(page.read_text("utf-8").count("```") for page in pages())
        assert 2 * len(found) == fences


class TestPython:
    """Python blocks run."""

    @these("python")
    def test_block(self, block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Or, if that takes more than there is here, compile and import names that exist."""
        code = compile(block.text, str(block), "exec", dont_inherit=True)
        for node in ast.walk(ast.parse(block.text)):
            if isinstance(node, ast.ImportFrom) and node.module:
                module = importlib.import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names)
        tidemill = importlib.import_module("tidemill")
        for name in re.findall(r"\btidemill\.(\w+)\(", block.text):
            assert hasattr(tidemill, name), name
        if not block.check:
            monkeypatch.chdir(tmp_path)
            exec(code, {"__name__": "example"})  # noqa: S102 - our own documentation


class TestData:
    """Blocks of JSON and YAML are what they seem to be."""

    @these("json")
    def test_json(self, block: Block) -> None:
        """They parse."""
        json.loads(block.text)

    @these("yaml")
    def test_yaml(self, block: Block, tmp_path: Path) -> None:
        """Settings and models are valid; anything else is a manifest, or marked as a fragment."""
        document = yaml.safe_load(block.text)
        file = tmp_path / "file.yaml"
        file.write_text(block.text, "utf-8")
        if block.title == "tokens.yaml":
            Access(Catalogue(()), file)
        elif isinstance(document.get("models"), list):
            catalogue.load_models(file)
            jsonschema.validate(document, models_schema.schema())
        elif block.check != "fragment" and not {"apiVersion", "services"} & set(document):
            assert set(document) <= set(Settings.model_fields)
            settings.load(file)


class TestCommands:
    """Commands name subcommands, options, targets and files that exist."""

    @these("sh")
    def test_paths(self, block: Block) -> None:
        """Paths of this repository."""
        for path in OURS.findall(re.sub(r"#.*", "", block.text)):
            assert path.startswith(".venv/") or (ROOT / path).exists(), path

    @these("dockerfile")
    def test_dockerfile(self, block: Block) -> None:
        """Images begin with one of ours and name instructions of Docker."""
        words = [line.split()[0] for line in block.text.splitlines()]
        assert block.text.startswith("FROM tidemill:")
        assert set(words) <= {"FROM", "USER", "COPY", "RUN"}

    @these("sh")
    def test_tidemill(self, block: Block) -> None:
        """Commands of tidemill, wherever they run."""
        for command in commands(block):
            for words in arguments(command):
                if (
                    "tidemill" in words
                    and "pip" not in words
                    and words[0] in {"tidemill", "docker"}
                ):
                    after = words[words.index("tidemill") + 1 :]
                    parse(typer.main.get_command(cli), after)

    @these("sh")
    def test_make(self, block: Block) -> None:
        """Targets of make, and environments of tox."""
        tox = (ROOT / "tox.ini").read_text("utf-8")
        for command in commands(block):
            for words in arguments(command):
                if words[0] == "make":
                    assert {word for word in words[1:] if "=" not in word} <= TARGETS
                if words[0].endswith("tox"):
                    assert f"[testenv:{words[words.index('-e') + 1]}]" in tox


class TestInline:
    """Commands within a sentence exist too."""

    @pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
    def test_command(self, page: Path) -> None:
        """Targets of make, and the first words of tidemill's commands."""
        for code in re.findall(r"`(make|tidemill) ([^`]+)`", prose(page)):
            program, words = code[0], code[1].split()
            if program == "make":
                assert {word for word in words if "=" not in word} <= TARGETS
            else:
                assert words[0] in typer.main.get_command(cli).commands, words  # type: ignore[attr-defined]


def parse(command: Any, words: list[str]) -> None:  # noqa: ANN401 - click's command
    """Parse a command line as click does, without running it."""
    while hasattr(command, "commands"):
        name, *words = words
        command = command.commands[name]
    with command.make_context(command.name, words):
        pass
