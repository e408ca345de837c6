from __future__ import annotations

import subprocess
import sys
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tidemill.client.rendezvous import ordered

URLS = st.lists(st.text(max_size=20), min_size=1, max_size=8, unique=True)
MODELS = st.text(max_size=20)


@given(URLS, MODELS, st.data())
def test_removed(urls: list[str], model: str, data: st.DataObject) -> None:
    """If a server goes, only its models move: the order of the others stays."""
    gone = data.draw(st.sampled_from(urls))
    rest = [url for url in urls if url != gone]
    assert ordered(model, rest) == [url for url in ordered(model, urls) if url != gone]


@given(URLS, MODELS, st.randoms())
def test_any_order(urls: list[str], model: str, random: object) -> None:
    """The order in which the servers are listed does not matter."""
    assert ordered(model, reversed(urls)) == ordered(model, urls)
    assert sorted(ordered(model, urls)) == sorted(urls)


def test_even() -> None:
    """Each of four servers is the first for about a quarter of many models."""
    urls = [f"http://10.0.0.{n}:8080" for n in range(4)]
    first = Counter(ordered(f"model-{n}", urls)[0] for n in range(4000))
    assert min(first.values()) > 900  # hashes are fixed: this cannot fail by chance


def test_every_process() -> None:
    """Another process has the same order."""
    urls = [f"http://10.0.0.{n}:8080" for n in range(9)]
    program = f"from tidemill.client.rendezvous import ordered; print(ordered('m', {urls}))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(ordered("m", urls))
