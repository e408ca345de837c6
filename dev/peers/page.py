"""Draw the results: a table for the terminal, and the page docs/peers.md."""
from __future__ import annotations
from collections import Counter
from rich.table import Table
from dev.peers import results

def line(suite, found, seconds):
    return f"{suite.name} {seconds:.1f} s"

def table(found):
    t = Table("suite", *results.ORDER)
    for suite, each in found:
        c = Counter(r.outcome for r in each)
        t.add_row(suite.name, *(str(c[k]) for k in results.ORDER))
    return t

def write(found): ...
