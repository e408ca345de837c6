"""Check a batch's output folder before Spark starts, and write it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pyspark.errors import AnalysisException

from tidemill.batch.paths import local_path
from tidemill.errors import OutputExists, OutputUnusable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# The values of the column `outcome`, and so the names of the folders: `outcome=results`.
RESULTS, DEAD_LETTERS = "results", "dead-letters"


def check_output(source: str, target: str) -> None:
    """Check that a new folder can be created at `target`, if that is on this machine.

    Raises:
        OutputExists: There is already a file or folder.
        OutputUnusable: The folder would be within the input, or may not be created.

    """
    output, given = local_path(target), local_path(source)
    if output is None:
        return
    if not target or os.path.lexists(output):
        raise OutputExists(target or "''")
    parent = next(folder for folder in output.parents if os.path.lexists(folder))
    if not parent.is_dir():
        raise OutputUnusable(target, f"{parent} is not a folder")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputUnusable(target, f"no permission to write in {parent}")
    if given and given.is_dir() and parent.resolve().is_relative_to(given.resolve()):
        raise OutputUnusable(target, "it is within the input, and the next run would read it")


def write(spark: SparkSession, outcomes: DataFrame, target: str, data_source: str) -> None:
    """Write results and dead letters into one folder each; if that fails, remove both.

    Raises:
        OutputExists: There is already a file or folder at `target`.

    """
    path = local_path(target)
    uri = f"file:{path}" if path else target
    try:
        outcomes.write.partitionBy("outcome").format(data_source).save(uri)
    except AnalysisException as error:
        if "PATH_ALREADY_EXISTS" in str(error):
            raise OutputExists(target) from None
        raise
    except BaseException:
        _remove(spark, uri)  # it is incomplete, and would make the next run fail
        raise


def _remove(spark: SparkSession, uri: str) -> None:
    """Remove a folder from any file system that Hadoop supports."""
    java: Any = spark.sparkContext._jvm  # noqa: SLF001 - the only access to Hadoop's file systems
    path = java.org.apache.hadoop.fs.Path(uri)
    configuration = spark.sparkContext._jsc.hadoopConfiguration()  # noqa: SLF001
    path.getFileSystem(configuration).delete(path, True)  # noqa: FBT003 - Java's signature
