"""Find what Spark runs on: a Java that fits, and Spark's own folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

import pyspark

from tidemill.errors import JavaNotFound

VERSIONS: Final = ("17", "21")


def find_java() -> str:
    """Return the path of the java command: from JAVA_HOME, else from PATH, as Spark looks for it.

    Raises JavaNotFound where there is none or where it has another version than 17 or 21.
    """
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(str(Path(home) / "bin" / "java") if home else "java")
    if java is None:
        raise JavaNotFound(f"none was found in JAVA_HOME={home}" if home else "none was found")
    version = java_version(java)
    if version not in VERSIONS:
        raise JavaNotFound(f"{java} has version {version}")
    return java


@cache
def java_version(java: str) -> str:
    """Return a java command's major version, "17" say, or "unknown"."""
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    # Java 8 called itself 1.8.
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    return found[1] if found else "unknown"


def spark_home() -> Path:
    """Return the folder whose `jars` Spark runs on: SPARK_HOME, else pyspark's own."""
    return Path(os.environ.get("SPARK_HOME") or Path(pyspark.__file__).parent)
