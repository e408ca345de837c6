"""Fetch Maven artifacts with the Ivy that pyspark ships: it takes nothing but Java."""

from __future__ import annotations

import fcntl
import re
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tidemill.errors import ArtifactsUnavailable
from tidemill.spark.java import find_java, spark_home

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

MARKER: Final = ".complete"
ATTEMPTS: Final = 2  # what the first one got is kept, so a dropped connection costs little
STEP: Final = re.compile(r"(?:found \S+#(\S+) in|downloading \S+/(\S+\.jar))")
# What Ivy says of a failure, the most telling first: without a network nothing is "not found".
PROBLEMS: Final = (
    r"Server access error|Host \S+ not found|no ivy-",
    r"\[FAILED|:: \S+#\S+: ",
    r".*\w",
)

# Time-outs are the reason for settings of our own: Ivy waits for a silent server for ever. Leaving
# out Ivy's local resolvers keeps a developer's ~/.ivy2 from deciding what runs here.
IVY_SETTINGS: Final = """
<ivysettings>
  <settings defaultResolver="central"/>
  <timeout-constraints>
    <timeout-constraint name="patience" connectionTimeout="10000" readTimeout="60000"/>
  </timeout-constraints>
  <resolvers>
    <ibiblio name="central" m2compatible="true" timeoutConstraint="patience"/>
  </resolvers>
</ivysettings>
"""


def retrieve(
    coordinates: Sequence[str],
    into: Path,
    *,
    exclude: Collection[str] = (),
    report: Callable[[str], None] | None = None,
) -> list[Path]:
    """Fetch `group:module:version` artifacts and what they need into a folder of their own.

    A complete folder is left as it is, an incomplete one is made anew. Modules named in `exclude`
    are left out; `report` is told each step. Raises ArtifactsUnavailable and JavaNotFound.
    """
    if not is_complete(into, coordinates):
        into.parent.mkdir(parents=True, exist_ok=True)
        with locked(into.with_name(f".{into.name}.lock")):
            if not is_complete(into, coordinates):  # another process may have been faster
                fetch(coordinates, into, exclude, report or (lambda _: None))
    return sorted(into.glob("*.jar"))


def is_complete(folder: Path, coordinates: Sequence[str]) -> bool:
    """Tell whether a folder holds all that was fetched for these coordinates."""
    try:
        wanted, *jars = (folder / MARKER).read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return False
    return wanted == " ".join(coordinates) and all((folder / jar).is_file() for jar in jars)


def fetch(
    coordinates: Sequence[str],
    into: Path,
    exclude: Collection[str],
    report: Callable[[str], None],
) -> None:
    """Let Ivy fill a folder beside `into`, then put it in place with one rename."""
    # Kept after a failure: the next attempt goes on with the artifacts that this one got.
    staging = into.with_name(f".{into.name}.part")
    jars = staging / "jars"
    shutil.rmtree(jars, ignore_errors=True)
    jars.mkdir(parents=True)
    (staging / "ivysettings.xml").write_text(IVY_SETTINGS, "utf-8")
    (staging / "ivy.xml").write_text(ivy_module(coordinates, exclude), "utf-8")
    for attempt in range(1, ATTEMPTS + 1):
        status, output = run_ivy(staging, report)
        if status == 0:
            break
        if attempt == ATTEMPTS:
            raise ArtifactsUnavailable(coordinates, reason(output))
    names = sorted(jar.name for jar in jars.glob("*.jar"))
    (jars / MARKER).write_text("\n".join([" ".join(coordinates), *names]), "utf-8")
    shutil.rmtree(into, ignore_errors=True)
    jars.rename(into)
    shutil.rmtree(staging)


def ivy_module(coordinates: Sequence[str], exclude: Collection[str]) -> str:
    """Write the Ivy module that depends on the coordinates."""
    wanted = "".join(
        '<dependency org="{}" name="{}" rev="{}" conf="default->runtime,master"/>'.format(
            *coordinate.split(":")
        )
        for coordinate in coordinates
    )
    unwanted = "".join(f'<exclude module="{name}"/>' for name in exclude)
    return (
        '<ivy-module version="2.0"><info organisation="tidemill" module="jars"/>'
        '<configurations><conf name="default"/></configurations>'
        f"<dependencies>{wanted}{unwanted}</dependencies></ivy-module>"
    )


def run_ivy(staging: Path, report: Callable[[str], None]) -> tuple[int, list[str]]:
    """Run Ivy in the staging folder; return its exit status and what it printed."""
    ivy = next((spark_home() / "jars").glob("ivy-*.jar"), None)
    if ivy is None:
        return 1, [f"no ivy-*.jar in {spark_home() / 'jars'}"]
    # Some artifacts, snappy-java for one, are of the type "bundle".
    arguments = "-settings ivysettings.xml -ivy ivy.xml -cache cache -confs default"
    arguments += " -types jar bundle -retrieve jars/[artifact]-[revision](-[classifier]).[ext]"
    command = [find_java(), "-jar", str(ivy), *arguments.split()]
    output: list[str] = []
    with subprocess.Popen(
        command, cwd=staging, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            for line in process.stdout or ():
                output.append(line.strip())
                if step := STEP.match(output[-1]):
                    report(step[2] or step[1].replace(";", " "))
        except BaseException:
            process.kill()  # `with` would wait for all the downloads
            raise
    return process.returncode, output


def reason(output: Sequence[str]) -> str:
    """Pick the lines that say what went wrong: Ivy prints them among a hundred others."""
    said = next(
        (
            found
            for kind in PROBLEMS
            if (found := [line for line in output if re.match(kind, line)])
        ),
        ["Ivy failed and said nothing"],
    )
    brief = (re.sub(r"\.?\s+(?:at )?url[= ]\S+|^:: ", "", line) for line in said)
    return "; ".join([*dict.fromkeys(brief)][-3:])


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock between processes; the system frees it when a process dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
