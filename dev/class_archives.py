"""Archives of loaded Java classes: with one, Spark or Kafka starts in two thirds of the CPU time.

`python -m dev.rehearsal` makes them. A JVM without a valid archive starts as usual.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dev import ROOT
from tidemill.spark.java import find_java

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER: Final = ROOT / ".cache" / "java"


def archive(jars: Path) -> Path:
    """Return where the archive of a folder's jars is; another Java or jar has another archive.

    Raises JavaNotFound if there is no suitable Java.
    """
    files = [Path(find_java()).resolve(), *sorted(jars.glob("*.jar"))]
    known = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return FOLDER / f"{hashlib.sha256(repr(known).encode()).hexdigest()[:16]}.jsa"


def use(jars: Path) -> Sequence[str]:
    """Return the Java options that use the archive of a folder's jars, if there is one."""
    file = archive(jars)
    # A JVM with other classes cannot use it, which is no reason to print a warning.
    return (f"-XX:SharedArchiveFile={file}", "-Xlog:cds*=off") if file.exists() else ()
