"""Two threads may be the first to read about a table."""

from __future__ import annotations

import subprocess
import sys

# A thread stops wherever Python runs while a type is prepared, and another one uses the type.
SCRIPT = """
import sys, threading, time
from tidemill.store.catalogue import Generation, generation

inside = threading.Event()
row = dict(name="t", description='{"name": "t", "key": ["k"], "columns": {"k": "text"}}', number=1,
           state="live", source=None, rows=0, created=0, heartbeat=0, swapped=0)

def slow():
    def stop(frame, event, _):
        if event == "call" and frame.f_code.co_name == "__hash__":
            inside.set()
            time.sleep(0.2)
    sys.setprofile(stop)
    generation(row)

thread = threading.Thread(target=slow)
thread.start()
inside.wait(0.5)
generation(row)
thread.join()
"""


def test_two_threads() -> None:
    """The process does not crash, as msgspec does if it has to prepare a type twice at once."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
