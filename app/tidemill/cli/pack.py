"""`tidemill pack`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidemill.cli.options import screen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

pack = typer.Typer(help="Pack many fitted models into one artifact.", no_args_is_help=True)
Files = Annotated[
    list[Path],
    typer.Argument(help="Files of models, or folders of them. A file's name is its model's key."),
]
Output = Annotated[Path, typer.Argument(help="A folder that does not exist yet.")]
Folder = Annotated[Path, typer.Argument(metavar="ARTIFACT", help="An artifact.")]
Trust = Annotated[str | None, typer.Option(help="`pickle` allows pickles, which can run any code.")]
KindOption = Annotated[
    str | None,
    typer.Option("--kind", help="How to keep the models, such as pickle-lzma. Default: the best."),
]


@pack.command()
def create(output: Output, files: Files, *, kind: KindOption = None, trust: Trust = None) -> None:
    """Write an artifact with the models of some files."""
    from tidemill.packing import saved
    from tidemill.packing.pack import SAFE
    from tidemill.packing.pack import pack as write

    models = _progress(saved.find(files), trust)
    write(output, models, kinds=[kind] if kind else SAFE)
    _show(output)


@pack.command()
def add(
    artifact: Folder,
    output: Output,
    files: Annotated[list[Path] | None, typer.Argument(help="Files of models to add.")] = None,
    *,
    remove: Annotated[list[str] | None, typer.Option(help="A key to leave out.")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Let new models take the places of old ones.")
    ] = False,
    trust: Trust = None,
) -> None:
    """Write an artifact like another one, with models added, replaced or removed."""
    from tidemill.packing import saved
    from tidemill.packing.artifact import Artifact
    from tidemill.packing.pack import pack as write

    models = _progress(saved.find(files or []), trust)
    base = Artifact.open(artifact)
    write(output, models, base=base, remove=remove or [], replace=replace)
    _show(output)


@pack.command()
def show(
    artifact: Folder,
    *,
    keys: Annotated[bool, typer.Option("--keys", help="Print the keys, one a line.")] = False,
) -> None:
    """Show what is in an artifact."""
    from tidemill.packing.artifact import Artifact

    if keys:
        for key in Artifact.open(artifact):
            typer.echo(key)
    else:
        _show(artifact)


@pack.command()
def verify(artifact: Folder) -> None:
    """Read all of an artifact, and compare its digests."""
    from tidemill.packing.artifact import Artifact

    screen.print(f"{len(Artifact.open(artifact)):,} models, all digests are right")


@pack.command()
def report(files: Files, *, trust: Trust = None) -> None:
    """Compare the ways to keep some models: bytes, time, and whether predictions stay the same."""
    from tidemill.packing import saved
    from tidemill.packing.report import measure
    from tidemill.terminal.console import console
    from tidemill.terminal.pack import report_table

    models = dict(_progress(saved.find(files), trust))
    measured = [*measure(models)]
    console().print(report_table(measured))
    shared = {each.kind: each.shared for each in measured}.get("prophet")
    if shared:
        screen.print(f"All {len(models):,} models share {shared:,} bytes of templates.")


def _progress(files: list[Path], trust: str | None) -> Iterator[tuple[str, Any]]:
    """Yield models, and show how many have been read."""
    from rich.progress import track

    from tidemill.packing import saved

    models: Iterable[tuple[str, Any]] = saved.load(files, trust=trust)
    yield from track(models, "packing", total=len(files), console=screen, transient=True)


def _show(folder: Path) -> None:
    from tidemill.packing.artifact import Artifact
    from tidemill.terminal.console import console
    from tidemill.terminal.pack import artifact_table

    console().print(artifact_table(Artifact.open(folder)))
