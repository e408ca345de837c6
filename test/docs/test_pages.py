"""Links lead somewhere, every page is in the navigation, generated pages are current."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml
from pydantic import BaseModel

from dev import ROOT
from dev.docs import errors_page, generate, settings_page
from dev.docs.blocks import pages, prose
from tidemill.errors import TidemillError
from tidemill.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOCS = ROOT / "docs"
MORE = "Ask others."
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as the site and GitHub make them."""
    headings = re.findall(r"^#+ (.*)", prose(page), re.MULTILINE)
    return {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", h).strip().lower()) for h in headings}


def named(navigation: object) -> Iterator[str]:
    """Yield the pages of a navigation, however deep."""
    if isinstance(navigation, str):
        yield navigation
    elif isinstance(navigation, dict | list):
        inner = navigation.values() if isinstance(navigation, dict) else navigation
        for part in inner:
            yield from named(part)


class TestLinks:
    """Zensical's strict build finds broken links between pages; these are what it passes over."""

    @pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
    def test_target(self, page: Path) -> None:
        """Pages, pictures and anchors exist; a page of the site links to nothing outside of it."""
        for target in LINK.findall(prose(page)):
            if target.startswith(("http://", "https://")):
                continue
            name, _, anchor = target.partition("#")
            file = (page.parent / name).resolve(strict=True) if name else page
            if DOCS in page.parents and not (page.parent / name).is_symlink():
                assert DOCS in file.parents, target
            assert not anchor or anchor in anchors(file), target

    def test_navigation(self) -> None:
        """The navigation holds every page once, and no other."""
        configuration = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
        listed = sorted(named(configuration["nav"]))
        assert listed == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


class TestGenerated:
    """The pages about settings and errors, and the JSON Schema, follow from the classes."""

    def test_current(self) -> None:
        """The committed files are what the generator writes; `make docs` writes them."""
        assert list(generate.stale(ROOT)) == []

    def test_stale(self, tmp_path: Path) -> None:
        """A file that is missing or differs is found."""
        page, *others = generate.FILES
        (tmp_path / "docs").mkdir()
        (tmp_path / page).write_text(settings_page.page(), "utf-8")
        assert list(generate.stale(tmp_path)) == others
        (tmp_path / page).write_text("old", "utf-8")
        assert list(generate.stale(tmp_path)) == [page, *others]

    def test_errors(self) -> None:
        """Each error has a meaning and a message, and an exit code by its heading."""
        page = errors_page.page()
        places = [page.index(f"\n### {leaf.__name__}\n") for leaf in errors_page.leaves()]
        assert len(places) > 50
        order = ("exit code 2", "# InvalidSettings", "exit code 1", "# DataLoss", "# InvalidJson")
        assert sorted(order, key=page.index) == list(order)

    def test_words(self) -> None:
        """A message and a hint are found as the constructor builds them."""

        class Both(TidemillError):
            def __init__(self, path: str) -> None:
                super().__init__(f"cannot read {path}: {len(path)}", "rename " + f"{path}. {MORE}")

        assert errors_page.words(Both) == ("cannot read {path}: …", "rename {path}. Ask others.")

    def test_settings(self) -> None:
        """Each setting is there, with its variable and its meaning."""
        page = settings_page.page()
        for name, field in Settings.model_fields.items():
            section = field.annotation
            if isinstance(section, type) and issubclass(section, BaseModel):
                for setting in section.model_fields:
                    assert f"`{setting}`<br>`TIDEMILL__{name}__{setting}`".upper() in page.upper()
                    assert settings_page.attributes(section).get(setting), setting


class TestFrontPages:
    """The README and ARCHITECTURE.md stay short."""

    @pytest.mark.parametrize(("name", "lines"), [("README.md", 150), ("ARCHITECTURE.md", 110)])
    def test_length(self, name: str, lines: int) -> None:
        """A reader gets through them at once."""
        assert len((ROOT / name).read_text("utf-8").splitlines()) <= lines

    def test_columns(self) -> None:
        """The README does not wrap on a forge."""
        lines = (ROOT / "README.md").read_text("utf-8").splitlines()
        assert [line for line in lines if len(line) > 120] == []
