"""The hidden folder beside the output, in which a run collects what it publishes at its end.

```text
.NAME.tidemill/
    .run/plan.json               what the run does
    .run/receipts/00003-00002    a committed part: its numbers
    .run/receipts/00003-end      a split that is done
    .run/new/WRITER/             files that are being written
    results/  dead-letters/      the files of the parts
```

A part is committed once its receipt exists. Parts depend only on the input, so a worker that
repeats a part replaces the same files. Every file is written in the folder of its writer and then
moved. A new writer removes that folder, so that workers which Spark or a killed run has left behind
can change nothing any more.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from io import BufferedReader
from pathlib import Path
from typing import IO, TYPE_CHECKING
from uuid import uuid4

import msgspec
from pyarrow import ArrowException, fs

from tidemill.batch.paths import absolute
from tidemill.batch.plan import Plan
from tidemill.batch.storage import Storage
from tidemill.errors import OutputInUse, OutputUnusable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pyarrow import NativeFile

RESULTS, DEAD_LETTERS, SUMMARY = "results", "dead-letters", "summary.json"
# What no reader of the output needs; it disappears after the output has its name.
RUN = ".run"
RECEIPTS, PLAN, LOCK, NEW = f"{RUN}/receipts", f"{RUN}/plan.json", f"{RUN}/lock", f"{RUN}/new"
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
CONTINUES = "Then run the same command again: it continues where it ended."


class Receipt(msgspec.Struct, frozen=True):
    """What a committed part contains.

    Attributes:
        rows: The number of its messages. Each has one outcome, unless it was to be skipped.
        size: Its size in the unit of the plan.
        models: The number of results by `name:version`.
        errors: The number of dead letters by the class of the error.
        missing: How many offsets the topic no longer had.

    """

    rows: int
    size: int
    models: dict[str, int]
    errors: dict[str, int]
    missing: int = 0


@dataclass(frozen=True)
class Staging:
    """A run's hidden folder; any process may open it by its location.

    `writer` names who writes: the workers of one run, or what completes their files.
    """

    location: str
    writer: str = ""

    @classmethod
    def beside(cls, target: str) -> Staging:
        """Return that of an output."""
        head, slash, name = absolute(target).rstrip("/").rpartition("/")
        return cls(f"{head}{slash}.{name}.tidemill")

    @cached_property
    def storage(self) -> Storage:
        """The file system and the path on it."""
        return Storage(self.location)

    @property
    def filesystem(self) -> fs.FileSystem:
        """The file system in pyarrow's words."""
        return self.storage.filesystem

    def uri(self, name: str) -> str:
        """Return where a file or folder is, as a path or URI."""
        return f"{self.location}/{name}"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs of this machine from using the folder.

        Raises:
            OutputInUse: Another run uses it.
            OutputUnusable: The folder cannot be created.

        """
        with self.errors():
            self.filesystem.create_dir(f"{self.storage.root}/{RUN}")
            local = self.storage.local
            lock = (local / LOCK).open("w") if local else None
        with lock or nullcontext():
            if lock and local:
                self._lock(lock, local / LOCK)
            try:
                yield
            finally:
                if self.plan() is None and self.info("").type == fs.FileType.Directory:
                    self.filesystem.delete_dir(self.storage.root)  # nothing has begun

    def _lock(self, file: IO[str], path: Path) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_current = os.path.samestat(os.fstat(file.fileno()), path.stat())
        except (BlockingIOError, FileNotFoundError):
            is_current = False
        if not is_current:  # another run works, or has just removed the file
            raise OutputInUse(self.location)

    def taken(self) -> Staging:
        """Return the folder for a new writer; from now on, all others fail to write.

        An object store has no folders; there, they can still write.

        Raises:
            OutputUnusable: The folder cannot be written.

        """
        new = Staging(self.location, uuid4().hex)
        with self.errors():
            if self.exists(NEW):
                self.filesystem.delete_dir(f"{self.storage.root}/{NEW}")
            self.filesystem.create_dir(f"{self.storage.root}/{NEW}/{new.writer}")
        return new

    def plan(self) -> Plan | None:
        """Return what an earlier run has planned, if it was ended."""
        path = f"{self.storage.root}/{PLAN}"
        if self.filesystem.get_file_info(path).type == fs.FileType.NotFound:
            return None
        with self.filesystem.open_input_stream(path) as file:
            try:
                return msgspec.json.decode(file.read(), type=Plan)
            except msgspec.MsgspecError:  # of another version of Tidemill
                return None

    def start(self, plan: Plan) -> None:
        """Forget an earlier run, and begin with a plan.

        Raises:
            OutputUnusable: The disk is full, for example.

        """
        with self.errors():
            if self.exists(PLAN):
                self.filesystem.delete_file(f"{self.storage.root}/{PLAN}")
            for name in (RECEIPTS, RESULTS, DEAD_LETTERS):
                if self.exists(name):
                    self.filesystem.delete_dir(f"{self.storage.root}/{name}")
                self.filesystem.create_dir(f"{self.storage.root}/{name}")
            for path in self.paths("."):  # what the earlier run has found
                self.filesystem.delete_file(path)
        self.write(PLAN, msgspec.json.encode(plan))

    def commit(self, name: str, files: dict[str, bytes], receipt: Receipt) -> None:
        """Write a part's files that are not empty, and then its receipt.

        If another attempt at the same part has committed it meanwhile, write nothing: the outcomes
        of the two may differ.

        Raises:
            OutputUnusable: The disk is full, for example.

        """
        if self.exists(f"{RECEIPTS}/{name}"):
            return
        for path, content in files.items():
            if content:
                self.write(path, content)
        self.write(f"{RECEIPTS}/{name}", msgspec.json.encode(receipt))

    def write(self, name: str, content: bytes) -> None:
        """Write a file atomically, and on this machine lastingly: a receipt must not outlive it.

        Raises:
            OutputUnusable: The disk is full, for example.

        """
        with self.opened(name) as stream:
            stream.write(content)

    @contextmanager
    def opened(self, name: str) -> Iterator[NativeFile]:
        """Open a file to write, which appears once it is complete.

        Raises:
            OutputUnusable: The disk is full, for example.

        """
        root = self.storage.root
        new = f"{root}/{NEW}/{self.writer}/{uuid4().hex}"
        with self.errors():
            try:
                with self.filesystem.open_output_stream(new) as stream:
                    yield stream
                if self.storage.local is not None:
                    with Path(new).open("rb") as file:
                        os.fsync(file.fileno())
                self.filesystem.move(new, f"{root}/{name}")
            except BaseException:
                if self.filesystem.get_file_info(new).type == fs.FileType.File:
                    self.filesystem.delete_file(new)
                raise

    def receipts(
        self, known: dict[str, Receipt], splits: Collection[int] | None = None
    ) -> dict[str, Receipt]:
        """Return the receipts of all parts and ends of splits; read only those not yet known.

        With `splits`, read only theirs: each worker does, and there may be many others.

        Raises:
            OutputUnusable: A receipt is damaged.

        """
        for path in self.paths(RECEIPTS):
            name = path.rpartition("/")[2]
            is_wanted = splits is None or int(name.partition("-")[0]) in splits
            if is_wanted and name not in known:
                with self.filesystem.open_input_stream(path) as file:
                    content = file.read()
                try:
                    known[name] = msgspec.json.decode(content, type=Receipt)
                except msgspec.MsgspecError:
                    hint = "Remove this folder, and start the command again."
                    raise OutputUnusable(self.location, f"{name} is damaged", hint) from None
        return known

    def paths(self, folder: str) -> list[str]:
        """Return the paths of the files in a folder, sorted."""
        selector = fs.FileSelector(f"{self.storage.root}/{folder}", allow_not_found=True)
        infos = self.filesystem.get_file_info(selector)
        names = [info.path for info in infos if info.type == fs.FileType.File]
        return sorted(path for path in names if not path.rpartition("/")[2].startswith("."))

    def exists(self, name: str) -> bool:
        """Tell whether a file or folder is there."""
        return bool(self.info(name).type != fs.FileType.NotFound)

    def lines(self, folder: str) -> Iterator[bytes]:
        """Yield the lines of the files in a folder."""
        for path in self.paths(folder):
            with self.filesystem.open_input_file(path) as file:
                yield from BufferedReader(file)

    def drop_parts(self) -> None:
        """Delete the files of all parts, once they are elsewhere; the receipts stay."""
        with self.errors():
            for folder in (RESULTS, DEAD_LETTERS):
                if self.exists(folder):
                    self.filesystem.delete_dir(f"{self.storage.root}/{folder}")

    @property
    def is_finished(self) -> bool:
        """Whether all files are complete: some of them may be published already."""
        return self.exists(SUMMARY)

    def info(self, name: str) -> fs.FileInfo:
        """Return what is at a path within the folder."""
        return self.filesystem.get_file_info(f"{self.storage.root}/{name}")

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Translate what the file system raises.

        Raises:
            OutputUnusable: It cannot be written.

        """
        try:
            yield
        except (OSError, ArrowException) as error:
            number = getattr(error, "errno", None)
            reason = os.strerror(number) if number else str(error).splitlines()[0]
            hint = f"Make room. {CONTINUES}" if number in NO_ROOM else "Name another output."
            raise OutputUnusable(self.location, reason, hint) from None
