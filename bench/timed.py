"""Run a command, and measure it with all processes that it starts.

`python -m bench.timed COMMAND...` prints JSON: when the command was executed, how many seconds it
took, how many of CPU time with all its descendants, the peak of the largest process in MiB, and
what it wrote to standard output.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import time
from contextlib import suppress

PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    """Run it; end as it ends."""
    # A descendant whose parent has ended becomes a child of this process, so its CPU time counts.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    begin = time.time()
    done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, text=True, check=False)
    seconds = time.time() - begin
    with suppress(ChildProcessError):
        while True:
            os.wait()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    json.dump(
        {
            "executed": begin,
            "seconds": seconds,
            "CPU s": used.ru_utime + used.ru_stime,
            "MiB": used.ru_maxrss / 1024,
            "output": done.stdout,
        },
        sys.stdout,
    )
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
