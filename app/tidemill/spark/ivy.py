"""Download Maven artifacts with the Ivy that pyspark ships; only Java is needed."""

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
ATTEMPTS: Final = 2  # the second resumes the first, which a dropped connection may have ended
PROGRESS: Final = re.compile(r"(?:found \S+#(\S+) in|downloading \S+/(\S+\.jar))")
# Ivy's lines about a failure, the root cause first: without a network, all else is "not found" too.
PROBLEMS: Final = (
    r"Server access error|Host \S+ not found|no ivy-",
    r"\[FAILED|:: \S+#\S+: ",
    r".*\w",
)

# By default, Ivy waits for a silent server for ever, and takes artifacts from the user's ~/.ivy2.
IVY_SETTINGS: Final = """
<ivysettings>
  <settings defaultResolver="central"/>
  <timeout-constraints>
    <timeout-constraint name="timeouts" connectionTimeout="10000" readTimeout="60000"/>
  </timeout-constraints>
  <resolvers>
    <ibiblio name="central" m2compatible="true" timeoutConstraint="timeouts"/>
  </resolvers>
</ivysettings>
"""


def retrieve(
    coordinates: Sequence[str],
    folder: Path,
    *,
    exclude: Collection[str] = (),
    report: Callable[[str], None] | None = None,
) -> list[Path]:
    """Download `group:module:version` artifacts and their dependencies into a folder of their own.

    Do nothing if the folder is complete; otherwise replace it. Leave out the modules in `exclude`,
    and call `report` with each step. Raises ArtifactsUnavailable and JavaNotFound.
    """
    if not is_complete(folder, coordinates):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with file_lock(folder.with_name(f".{folder.name}.lock")):
            if not is_complete(folder, coordinates):  # another process may have been faster
                download(coordinates, folder, exclude, report or (lambda _: None))
    return sorted(folder.glob("*.jar"))


def is_complete(folder: Path, coordinates: Sequence[str]) -> bool:
    """Tell whether a folder holds every jar of an earlier download of these coordinates."""
    try:
        wanted, *jars = (folder / MARKER).read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return False
    return wanted == " ".join(coordinates) and all((folder / jar).is_file() for jar in jars)


def download(
    coordinates: Sequence[str],
    folder: Path,
    exclude: Collection[str],
    report: Callable[[str], None],
) -> None:
    """Run Ivy in a staging folder, then move its jars to `folder` with one rename."""
    # The staging folder outlives a failure, so that the next attempt resumes the download.
    staging = folder.with_name(f".{folder.name}.part")
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
            raise ArtifactsUnavailable(coordinates, failure_reason(output))
    names = sorted(jar.name for jar in jars.glob("*.jar"))
    (jars / MARKER).write_text("\n".join([" ".join(coordinates), *names]), "utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    jars.rename(folder)
    shutil.rmtree(staging)


def ivy_module(coordinates: Sequence[str], exclude: Collection[str]) -> str:
    """Return the XML of an Ivy module that depends on the coordinates."""
    dependencies = "".join(
        '<dependency org="{}" name="{}" rev="{}" conf="default->runtime,master"/>'.format(
            *coordinate.split(":")
        )
        for coordinate in coordinates
    )
    exclusions = "".join(f'<exclude module="{name}"/>' for name in exclude)
    return (
        '<ivy-module version="2.0"><info organisation="tidemill" module="jars"/>'
        '<configurations><conf name="default"/></configurations>'
        f"<dependencies>{dependencies}{exclusions}</dependencies></ivy-module>"
    )


def run_ivy(staging: Path, report: Callable[[str], None]) -> tuple[int, list[str]]:
    """Run Ivy in the staging folder; return its exit status and the lines of its output."""
    ivy = next((spark_home() / "jars").glob("ivy-*.jar"), None)
    if ivy is None:
        return 1, [f"no ivy-*.jar in {spark_home() / 'jars'}"]
    # Some artifacts, such as snappy-java, have the type "bundle".
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
                if step := PROGRESS.match(output[-1]):
                    report(step[2] or step[1].replace(";", " "))
        except BaseException:
            process.kill()  # leaving the `with` block would wait for all downloads
            raise
    return process.returncode, output


def failure_reason(output: Sequence[str]) -> str:
    """Pick the lines of Ivy's output that explain a failure."""
    matches = ([line for line in output if re.match(problem, line)] for problem in PROBLEMS)
    lines = next(filter(None, matches), ["Ivy failed without any output"])
    brief = (re.sub(r"\.?\s+(?:at )?url[= ]\S+|^:: ", "", line) for line in lines)
    return "; ".join([*dict.fromkeys(brief)][-3:])


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold a lock between processes; the system releases it if a process dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
