"""The contract of a model as tests, to be inherited."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

from tidemill.errors import TidemillError
from tidemill.inference.checks import sample_of
from tidemill.inference.route import all_specs
from tidemill.models import catalogue, host
from tidemill.models.isolation import procfs
from tidemill.testing import checks, fresh_process, generated, texts
from tidemill.testing.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.inference.model import Model, ModelSpec
    from tidemill.testing.fresh_process import Report


class NotForkSafe(UserWarning):
    """Loading a model leaves threads or open files, so that processes cannot share its memory."""


class ModelContract:
    """Inherit the tests of the contract, for each entry of a models.yaml.

    A subclass may add tests of its own: the fixtures `spec` and `model` are an entry and its model.

    Attributes:
        models: The models.yaml, relative to the folder of the test's file.
        only: The name, or `name:version`, of the only entry to test. If None, test all.
        inputs: More inputs that the model must answer, besides the entry's sample.
        tolerance: How far two numbers may be apart where answers should be equal: relative to the
            larger one if that is above 1, else absolute. If 0, the outputs must be the same text,
            apart from white space.

    """

    models: ClassVar[str | Path] = "models.yaml"
    only: ClassVar[str | None] = None
    inputs: ClassVar[Sequence[str]] = ()
    tolerance: ClassVar[float] = 0.0

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test once for each entry."""
        if "spec" in metafunc.fixturenames:
            specs = self._entries(metafunc.definition.path.parent)
            metafunc.parametrize("spec", specs, ids=[spec.id for spec in specs], scope="class")

    def _entries(self, folder: Path) -> list[ModelSpec]:
        try:
            specs = all_specs(catalogue.load_models(folder / self.models))
        except TidemillError as error:
            raise pytest.Collector.CollectError(_text(error)) from None
        chosen = [spec for spec in specs if self.only in {None, spec.name, spec.id}]
        if not chosen:
            names = ", ".join(spec.id for spec in specs)
            raise pytest.Collector.CollectError(f"{self.models} has no {self.only}, only {names}")
        return chosen

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, spec: ModelSpec) -> Model:
        """Load the entry's model, once for the whole process."""
        if (here := str(Path.cwd())) not in sys.path:
            sys.path.insert(0, here)  # where the command `tidemill` finds a model's module too
        try:
            return host.load(spec)
        except TidemillError as error:
            problem = _text(error)
        pytest.fail(problem, pytrace=False)

    @pytest.fixture(scope="class")
    @classmethod
    def subject(cls, spec: ModelSpec, model: Model) -> Subject:
        """Ask the model for its answers to single inputs."""
        return Subject(spec, model, (sample_of(spec, model), *cls.inputs), cls.tolerance)

    @pytest.fixture(scope="class")
    @classmethod
    def report(cls, subject: Subject) -> Report:
        """Load the model in another process, and ask it the same."""
        try:
            return fresh_process.ask(subject.spec, subject.texts)
        except fresh_process.DidNotFinish as error:
            problem = f"{subject.spec.id}: a new process cannot load the model: {error}"
        pytest.fail(f"{problem}\n\nEach worker must be able to import and load it.", pytrace=False)

    def test_the_sample_and_all_inputs_are_answered(self, subject: Subject) -> None:
        """The model raises on none of them."""
        for text in subject.required:
            checks.answered(subject, text)

    def test_each_output_is_one_json_value(self, subject: Subject) -> None:
        """An output is text, and the text is JSON."""
        for text in subject.texts:
            checks.is_json(subject, text, subject.alone[text])

    def test_each_input_has_one_output(self, subject: Subject) -> None:
        """Alone, and in a batch, which may hold the same input twice."""
        for text, answer in subject.alone.items():
            checks.counted(subject, text, answer)
        for batch in subject.batches:
            subject.predict(batch)

    def test_outputs_are_in_the_order_of_the_inputs(self, subject: Subject) -> None:
        """The first output belongs to the first input."""
        if len({subject.alone[text] for text in subject.texts}) < 2:  # noqa: PLR2004 - to compare
            pytest.skip(f"{subject.spec.id}: add inputs whose outputs differ, to see their order")
        for batch in subject.batches:
            checks.in_order(subject, batch)

    def test_a_batch_answers_as_each_input_alone(self, subject: Subject) -> None:
        """Tidemill chooses the batches, so they must not change an output."""
        for batch in subject.batches:
            checks.as_alone(subject, batch)

    def test_the_same_input_gives_the_same_output(self, subject: Subject) -> None:
        """A batch is repeated after a crash; the model has seen other inputs meanwhile."""
        for text in (*reversed(subject.texts), *subject.texts):
            checks.same(
                subject,
                text,
                ("first", subject.alone[text]),
                ("again", subject.ask(text)),
                problem="the same input has another output the second time",
                remedy="Keep no state between calls, and do not draw random numbers.",
            )

    def test_a_fresh_process_answers_the_same(self, subject: Subject, report: Report) -> None:
        """Each worker loads the model for itself, and hashes texts differently."""
        for text, answer in zip(subject.texts, report.answers, strict=True):
            checks.same(
                subject,
                text,
                ("here", subject.alone[text]),
                ("in a new process", answer),
                problem="a new process with the same options gives another output",
                remedy="The order of a set differs between processes, and so do random weights: "
                "sort, and load what is random from a file.",
            )

    def test_hostile_text_does_no_harm(self, subject: Subject) -> None:
        """The model answers it with JSON or raises, and answers other inputs as before."""
        _skip_if_broken(subject)
        for text in dict.fromkeys(text[: subject.spec.limits.chars] for text in texts.HOSTILE):
            checks.harmless(subject, [text])

    def test_generated_text_does_no_harm(self, subject: Subject) -> None:
        """Neither do texts that Hypothesis makes up, the same in each run."""
        _skip_if_broken(subject)
        generated.check(subject)

    @pytest.mark.skipif(not procfs.SELF.exists(), reason="needs /proc")
    def test_loading_starts_no_threads(self, report: Report, subject: Subject) -> None:
        """Nor leaves files open. Such a model works, but each process holds a copy: a warning."""
        if report.fork_hazards:
            left = " and ".join(report.fork_hazards)
            warnings.warn(
                f"{subject.spec.id} has {left} after loading. It works, but processes cannot share "
                "its memory: each loads a copy. Open them in the first call of predict_all.",
                NotForkSafe,
                stacklevel=1,
            )


def _skip_if_broken(subject: Subject) -> None:
    if subject.is_broken:
        pytest.skip("the model breaks its contract on ordinary texts already")


def _text(error: TidemillError) -> str:
    return "\n".join(filter(None, [str(error), *error.problems, error.hint]))
