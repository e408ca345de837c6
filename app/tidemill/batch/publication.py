"""Make the output of a run appear: what is committed, all at once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyarrow import fs

from tidemill.batch.staging import DEAD_LETTERS, RESULTS, RUN, SUMMARY
from tidemill.batch.storage import Storage
from tidemill.errors import OutputExists

if TYPE_CHECKING:
    from tidemill.batch.staging import Staging


def sweep(staging: Staging) -> None:
    """Remove what a killed run has left besides the committed parts."""
    committed = staging.receipts({})
    for folder in (RESULTS, DEAD_LETTERS):
        selector = fs.FileSelector(f"{staging.storage.root}/{folder}", allow_not_found=True)
        for info in staging.filesystem.get_file_info(selector):
            name = info.path.rpartition("/")[2]
            receipt = committed.get(name.removeprefix("part-").partition(".")[0])
            counts = receipt and (receipt.models if folder == RESULTS else receipt.errors)
            if info.type == fs.FileType.File and not counts:
                staging.filesystem.delete_file(info.path)


def check_target(staging: Staging, target: str) -> None:
    """Check that an object store has nothing at the target, unless this run has put it there.

    Raises:
        OutputExists: There is something.
        OutputUnusable: The object store does not answer.

    """
    if staging.storage.local is not None or staging.is_finished:
        return
    with staging.errors():
        storage = Storage(target)
        exists = storage.filesystem.get_file_info(storage.root).type != fs.FileType.NotFound
    if exists:
        raise OutputExists(target)


def publish(staging: Staging, target: str) -> None:
    """Make the results, the dead letters and the summary appear at a place, all at once.

    An object store cannot rename a folder; there, the summary appears last.

    Raises:
        OutputExists: There is something by now.

    """
    root = staging.storage.root
    with staging.errors():
        if staging.exists(DEAD_LETTERS) and not staging.paths(DEAD_LETTERS):
            staging.filesystem.delete_dir(f"{root}/{DEAD_LETTERS}")
        if staging.storage.local is not None:
            _rename(staging, Storage(target))
            return
        goal = Storage(target).root
        last = {f"{root}/{SUMMARY}"}
        for info in staging.filesystem.get_file_info(fs.FileSelector(root, recursive=True)):
            is_kept = not info.path.startswith(f"{root}/{RUN}/") and info.path not in last
            if info.type == fs.FileType.File and is_kept:
                staging.filesystem.move(info.path, goal + info.path.removeprefix(root))
        staging.filesystem.move(f"{root}/{SUMMARY}", f"{goal}/{SUMMARY}")
        staging.filesystem.delete_dir(root)


def _rename(staging: Staging, target: Storage) -> None:
    root, local = staging.storage.local, target.local
    if root is None or local is None or os.path.lexists(local):
        raise OutputExists(target.location)
    root.rename(local)
    staging.filesystem.delete_dir(str(local / RUN))
