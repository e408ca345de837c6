"""Get the tests of KServe's SDK from its source distribution, which the lock's hash pins."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from tidemill.errors import TidemillError

FILES: Final = ("test_server.py", "test_inference_client.py", "test_grpc_server.py")
SDK_FILES: Final = ("test_infer_type.py",)
LOCK: Final = Path(__file__).parent / "environments" / "kserve-source.txt"


class NoSource(TidemillError):
    """The source distribution cannot be had."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"cannot download KServe's tests: {reason}")


def unpack(folder: Path) -> Path:
    """Download the tests into a folder, unless they are there; return the folder.

    They import one another as `test.NAME`, so that a folder `test` with an `__init__.py` has to
    come before the standard library's package of this name.

    Raises:
        NoSource: The download fails.

    """
    tests = folder / "test"
    stamp = folder / LOCK.name
    if stamp.is_file() and stamp.read_bytes() == LOCK.read_bytes():
        return folder
    with tempfile.TemporaryDirectory() as download:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest"]
        done = subprocess.run(
            [*command, download, "--no-binary", "kserve", "--require-hashes", "-r", str(LOCK)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise NoSource(" ".join(done.stderr.split())[-300:])
        (archive,) = Path(download).iterdir()
        tests.mkdir(parents=True, exist_ok=True)
        (tests / "__init__.py").touch()
        with tarfile.open(archive) as files:
            for name in (*FILES, *SDK_FILES):
                member = files.extractfile(f"{archive.name.removesuffix('.tar.gz')}/test/{name}")
                assert member, name
                (tests / name).write_bytes(member.read())
    stamp.write_bytes(LOCK.read_bytes())
    return folder
