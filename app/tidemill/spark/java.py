"""Find a Java that Spark supports, and Spark's own folder."""

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
    """Return the path of the java command that Spark will run: from JAVA_HOME, else from PATH.

    Raises JavaNotFound if there is none, or if its version is neither 17 nor 21.
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
    """Return a java command's major version, such as "17", or "unknown"."""
    output = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    match = re.search(r'version "(?:1\.)?(\d+)', output)  # Java 8 reports 1.8
    return match[1] if match else "unknown"


def spark_home() -> Path:
    """Return the folder that holds Spark's `jars`: SPARK_HOME, else pyspark's own."""
    return Path(os.environ.get("SPARK_HOME") or Path(pyspark.__file__).parent)
