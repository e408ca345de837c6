"""Each broken model fails the test of what it breaks, with a message for its author."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dev import ROOT
from tidemill.testing import ModelContract, generated

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Run  # type: ignore[import-not-found]

pytest_plugins = ["pytester"]

REORDERED = """\
reorders:1: the outputs are not in the order of their inputs

  input 1       "A good day."
  answer alone  ["A good day.",11]
  output 1      ["A sample",8]
  belongs to    "A sample"

If predict_all sorts its inputs, put the outputs back into the order of the inputs.
"""
PADDED = """\
pads:1: a batch changes an output

  input            "A sample"
  alone            {"share":1.0}
  in a batch of 7  {"share":0.022222222222222223}

An output must depend on its own input only: not on padding, on averages over the batch, or on the \
position.
"""
NOISY = """\
Only numbers differ, by at most 5.2e-08: a `tolerance` can allow that.
"""
COUNT = "each_input_has_one_output"
ORDER = "outputs_are_in_the_order_of_the_inputs"
BATCH = "a_batch_answers_as_each_input_alone"
AGAIN = "the_same_input_gives_the_same_output"
FRESH = "a_fresh_process_answers_the_same"


class TestBroken:
    """The tests that fail say what the model breaks."""

    @pytest.mark.parametrize(
        ("name", "failed", "message"),
        [
            ("Reorders", {ORDER}, REORDERED),
            ("DropsRepeated", {COUNT, ORDER, BATCH}, "returned 6 output(s) for 7 input(s)"),
            (
                "SplitsLines",
                {COUNT},
                'returned 2 output(s) for 1 input(s)\n\n  input  "Two\\nlines"',
            ),
            (
                "Yields",
                {COUNT, "the_sample_and_all_inputs_are_answered"},
                "predict_all returned list_iterator, not a list",
            ),
            ("Pads", {BATCH}, PADDED),
            ("RaisesOnBatches", {COUNT, ORDER, BATCH}, "  exception  ValueError: too many values"),
            ("Draws", {BATCH, AGAIN, FRESH}, "and do not draw random numbers."),
            ("Counts", {BATCH, AGAIN}, "draws:1: the same input has another output"),
            ("Dicts", {"each_output_is_one_json_value"}, "it is dict, not text; use json.dumps"),
            ("NotANumber", {"each_output_is_one_json_value"}, "NaN is not JSON"),
            ("Noise", {BATCH}, NOISY),
            ("Swaps", {BATCH}, "Only the order of keys or the notation of numbers differs"),
            ("Unsorted", {FRESH}, "  in a new process  "),
            (
                "NeverAnswers",
                {"the_sample_and_all_inputs_are_answered"},
                'its sample\n\n  sample   "A sample"\n  instead  ConnectionError: no route (',
            ),
            ("Sulks", {"hostile_text_does_no_harm"}, 'sulks:1: "" changes an output'),
            ("Truncates", {"hostile_text_does_no_harm"}, '  input   "\\u0000"'),
        ],
    )
    def test_fails(
        self, check: Callable[..., Run], name: str, failed: set[str], message: str
    ) -> None:
        """Only these tests fail, so that the cause is plain."""
        run = check(name)
        assert run.failed == failed
        assert message.replace("draws", name.lower()) in run.output
        assert "Traceback" not in run.output
        assert "During handling" not in run.output

    def test_only_generated_text(
        self, run_kit: Callable[..., Run], write_entries: Callable[..., None]
    ) -> None:
        """Hypothesis finds what the list of hostile texts may lack; it shows the smallest text."""
        write_entries("Truncates")
        run = run_kit("models.yaml", "-k", "generated")
        assert run.failed == {"generated_text_does_no_harm"}
        assert '  input   "\\u0000"\n' in run.output
        assert "Falsifying" not in run.output

    def test_time(
        self,
        run_kit: Callable[..., Run],
        write_entries: Callable[..., None],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Once its time is up, Hypothesis tries no more texts."""
        monkeypatch.setattr(generated, "MAX_S", 0.0)
        write_entries("Truncates")
        assert run_kit("models.yaml", "-k", "generated").outcomes["passed"] == 1

    def test_lock(self, check: Callable[..., Run], tmp_path: Path) -> None:
        """A model that a second process cannot load shows that process's traceback."""
        run = check("LoadsOnce", options={"lock": str(tmp_path / "lock")})
        assert run.failed == {FRESH, "loading_starts_no_threads"}
        assert "loadsonce:1: a new process cannot load the model: exit code 1" in run.output
        assert "FileExistsError" in run.output

    def test_not_loadable(self, check: Callable[..., Run]) -> None:
        """A model that does not load shows Tidemill's own error and hint."""
        run = check("Lengths", options={"no": "such argument"})
        assert run.outcomes == {"errors": 10}
        assert "cannot load model lengths:1 (broken_models:Lengths): TypeError" in run.output
        assert "The entry's options are the arguments of the class" in run.output
        assert "Traceback" not in run.output


class TestAllowed:
    """What Tidemill copes with passes."""

    @pytest.mark.parametrize("name", ["Lengths", "Picky", "Exits", "Consumes", "Prints"])
    def test_passes(self, check: Callable[..., Run], name: str) -> None:
        """A model may raise on some texts, empty the list of inputs, print, or exit."""
        assert check(name).outcomes == {"passed": 10}

    def test_limits(self, check: Callable[..., Run]) -> None:
        """No batch and no text is larger than the entry allows."""
        assert check("SmallBatches", limits={"batch": 2, "chars": 10}).outcomes == {"passed": 10}

    def test_constant(self, check: Callable[..., Run]) -> None:
        """If all outputs are equal, the order of outputs is not tested, with a reason."""
        run = check("Constant")
        assert run.outcomes == {"passed": 9, "skipped": 1}


class TestThreads:
    """Threads at loading cost memory, not correctness."""

    @pytest.mark.parametrize(("name", "left"), [("Threads", "threads"), ("Sockets", "open files")])
    def test_warning(self, check: Callable[..., Run], name: str, left: str) -> None:
        """Threads or sockets that are left cause a warning."""
        run = check(name)
        assert run.outcomes == {"passed": 10, "warnings": 1}
        assert f"NotForkSafe: {name.lower()}:1 has {left} after loading" in run.output

    def test_error(self, write_entries: Callable[..., None], run_kit: Callable[..., Run]) -> None:
        """Pytest's option -W turns the warning into a failure."""
        write_entries("Threads")
        run = run_kit("models.yaml", "-W", "error::tidemill.testing.NotForkSafe")
        assert run.failed == {"loading_starts_no_threads"}


class TestPage:
    """The documentation explains each test."""

    @pytest.mark.parametrize("name", [n for n in vars(ModelContract) if n.startswith("test_")])
    def test_listed(self, name: str) -> None:
        """The page lists each test by its name."""
        page = (ROOT / "docs" / "testing-a-model.md").read_text("utf-8")
        assert f"| `{name}` |" in page


class TestSubclass:
    """A class that inherits the contract says more about its models."""

    @pytest.fixture
    def run(
        self,
        pytester: pytest.Pytester,
        write_entries: Callable[..., None],
        run_kit: Callable[..., Run],
    ) -> Callable[..., Run]:
        """Run a class with this body, for the entries of two models."""

        def run(body: str) -> Run:
            write_entries("Noise", "Lengths")
            lines = f"""
                from tidemill.testing import ModelContract

                class TestModels(ModelContract):
                    {body}
            """
            pytester.makepyfile(lines)
            return run_kit()

        return run

    def test_every_entry(self, run: Callable[..., Run]) -> None:
        """Without more, each entry of models.yaml beside the file is tested."""
        result = run("pass")
        assert result.outcomes == {"passed": 17, "skipped": 2, "failed": 1}

    @pytest.mark.parametrize("tolerance", ["1e-6", "0.5"])
    def test_tolerance(self, run: Callable[..., Run], tolerance: str) -> None:
        """A tolerance allows noise in numbers."""
        assert run(f"tolerance = {tolerance}").outcomes == {"passed": 20}

    def test_equal_values(
        self, check: Callable[..., Run], run_kit: Callable[..., Run], pytester: pytest.Pytester
    ) -> None:
        """Even the smallest tolerance allows another order of keys."""
        assert check("Swaps").failed == {BATCH}
        pytester.makepyfile("""
            from tidemill.testing import ModelContract

            class TestSwaps(ModelContract):
                tolerance = 1e-300
        """)
        assert run_kit().outcomes == {"passed": 10}

    def test_too_small_a_tolerance(self, run: Callable[..., Run]) -> None:
        """Differences above the tolerance fail the test."""
        assert run("tolerance = 1e-9").failed == {BATCH}

    @pytest.mark.parametrize("name", ["lengths", "lengths:1"])
    def test_only(self, run: Callable[..., Run], name: str) -> None:
        """One entry can be chosen."""
        assert run(f"only = {name!r}").outcomes == {"passed": 10}

    def test_only_unknown(self, run: Callable[..., Run]) -> None:
        """An entry that is not there is an error, which names those that are."""
        result = run("only = 'length'")
        assert result.outcomes == {"errors": 1}
        assert "models.yaml has no length, only noise:1, lengths:1" in result.output

    def test_missing_file(self, run: Callable[..., Run]) -> None:
        """A models file that is not there is an error."""
        result = run("models = 'none.yaml'")
        assert result.outcomes == {"errors": 1}
        assert "none.yaml: there is no such file" in result.output

    def test_inputs(
        self,
        pytester: pytest.Pytester,
        write_entries: Callable[..., None],
        run_kit: Callable[..., Run],
    ) -> None:
        """The author's inputs must be answered, unlike hostile texts."""
        write_entries("Picky")
        pytester.makepyfile("""
            from tidemill.testing import ModelContract

            class TestPicky(ModelContract):
                inputs = ["words", "two\\nlines"]
        """)
        run = run_kit()
        assert run.failed == {"the_sample_and_all_inputs_are_answered"}
        assert '  input    "two\\nlines"\n  instead  ValueError: not words' in run.output

    def test_own_tests(self, run: Callable[..., Run]) -> None:
        """More tests may use the model; a test may be left out by pytest's usual means."""
        result = run("""only = "noise"
                    test_a_batch_answers_as_each_input_alone = None

                    def test_own(self, model, spec):
                        assert "scores" in model.predict_all([spec.sample])[0]
        """)
        assert "own" not in result.failed
        assert BATCH not in result.failed
