"""Collect the inputs of concurrent requests into batches."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidemill.errors import QueueFull

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import TypeAlias

    from tidemill.inference.model import ModelSpec
    from tidemill.inference.request import Output

    Run: TypeAlias = Callable[[ModelSpec, list[str]], Awaitable[list[Output]]]
    # Takes the model, the size of a batch that starts, and the seconds that each input has waited.
    OnStart: TypeAlias = Callable[[ModelSpec, Sequence[float]], None]

# The weight of a new batch in the average time of an input.
WEIGHT = 0.2
# When to try again if a queue is full before its first batch has been measured, in seconds.
RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class Policy:
    """When a batch starts.

    Attributes:
        max_size: The most inputs in a batch.
        max_wait: The most seconds that a batch waits for more inputs.
        adaptive: Whether a batch starts as soon as one of the model processes is free. To wait
            longer would gain nothing: an idle process helps nobody. If false, a batch starts when
            it is full, or when its first input has waited for `max_wait`. Either way, batches fill
            while all processes are busy.
        max_queue: The most inputs that may wait for one model.

    """

    max_size: int = 4
    max_wait: float = 0.02
    adaptive: bool = True
    max_queue: int = 1000


@dataclass(eq=False, slots=True)
class Waiting:
    """An input that waits: when it arrived, until when it is wanted, and who waits for it."""

    input: str
    arrived: float
    deadline: float
    output: asyncio.Future[Output]

    def is_wanted(self, now: float) -> bool:
        """Return whether somebody still waits; an input whose deadline has passed fails here."""
        if now >= self.deadline and not self.output.done():
            self.output.set_exception(TimeoutError())
        return not self.output.done()


class Queue:
    """The inputs that wait for one model, first come, first served."""

    def __init__(self, spec: ModelSpec, max_size: int) -> None:
        """Take the model, and the most inputs in a batch."""
        self.spec = spec
        self.max_size = min(max_size, spec.limits.batch)
        self.seconds: float | None = None  # an input's share of a batch's time, on average
        self.is_timed = False  # whether a timer will look at the first input that waits
        self._waiting: deque[Waiting] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def wanted(self) -> int:
        """Return how many inputs somebody waits for."""
        return sum(not each.output.done() for each in self._waiting)

    @property
    def oldest(self) -> float:
        """When the input that has waited longest arrived; infinity if none waits."""
        return self._waiting[0].arrived if self._waiting else math.inf

    def add(self, waiting: Waiting) -> None:
        """Add an input at the end."""
        self._waiting.append(waiting)

    def remove_unwanted(self, now: float) -> None:
        """Remove the inputs that nobody waits for any more."""
        self._waiting = deque(each for each in self._waiting if each.is_wanted(now))

    def take(self, now: float) -> list[Waiting]:
        """Remove and return a batch; inputs that nobody waits for are dropped."""
        batch: list[Waiting] = []
        while self._waiting and len(batch) < self.max_size:
            first = self._waiting.popleft()
            if first.is_wanted(now):
                batch.append(first)
        return batch

    def measure(self, seconds: float, count: int) -> None:
        """Take how long a batch of `count` inputs took."""
        share = seconds / count
        last = share if self.seconds is None else self.seconds
        self.seconds = last + WEIGHT * (share - last)

    def retry_after(self, processes: int) -> float:
        """Return the seconds that the inputs that wait will take."""
        if self.seconds is None:
            return RETRY_S
        return len(self) * self.seconds / processes


class Batcher:
    """Run inputs in batches, one model a batch; for one event loop.

    The inputs of all requests for a model join the same batches, in the order of their arrival.
    An input is dropped before it runs if its future is cancelled or its deadline has passed.
    """

    def __init__(
        self,
        run: Run,
        processes: int,
        policy: Policy = Policy(),
        *,
        on_start: OnStart = lambda _spec, _waited: None,
    ) -> None:
        """Take what runs a batch, and how many batches can run at once."""
        self._run = run
        self._processes = processes
        self._policy = policy
        self._on_start = on_start
        self._queues: dict[str, Queue] = {}
        self._ready: dict[Queue, None] = {}  # ordered: the first one is the next to start
        self._running: set[asyncio.Task[None]] = set()

    def submit(
        self, spec: ModelSpec, inputs: Sequence[str], deadline: float = math.inf
    ) -> list[asyncio.Future[Output]]:
        """Return a future for each input; the deadline is a time of the event loop.

        A future gets a TimeoutError if the deadline passes before its batch starts.

        Raises:
            QueueFull: The model's queue has no room for these inputs.

        """
        loop = asyncio.get_running_loop()
        queue = self._queues.get(spec.id)
        if queue is None:
            queue = self._queues[spec.id] = Queue(spec, self._policy.max_size)
        now = loop.time()
        if len(queue) + len(inputs) > self._policy.max_queue:
            queue.remove_unwanted(now)
        if len(queue) + len(inputs) > self._policy.max_queue:
            retry_after = queue.retry_after(self._processes)
            raise QueueFull(spec.id, len(queue), self._policy.max_queue, retry_after)
        futures = []
        for text in inputs:
            future = loop.create_future()
            queue.add(Waiting(text, now, deadline, future))
            futures.append(future)
        self._offer(queue)
        self._start_ready()
        return futures

    def waiting(self, model: str) -> int:
        """Return how many inputs wait for a model."""
        return self._queues[model].wanted if model in self._queues else 0

    def _offer(self, queue: Queue) -> None:
        """Mark a queue as ready if its next batch may start; otherwise come back when it may."""
        loop = asyncio.get_running_loop()
        if not self._policy.adaptive:
            queue.remove_unwanted(loop.time())  # neither do they fill a batch, nor is it late
        due = queue.oldest + self._policy.max_wait
        if not len(queue):
            return
        if self._policy.adaptive or len(queue) >= queue.max_size or loop.time() >= due:
            self._ready[queue] = None
        elif not queue.is_timed:
            queue.is_timed = True
            loop.call_at(due, self._on_time, queue)

    def _on_time(self, queue: Queue) -> None:
        queue.is_timed = False
        self._offer(queue)
        self._start_ready()

    def _start_ready(self) -> None:
        while self._ready and len(self._running) < self._processes:
            queue = next(iter(self._ready))
            del self._ready[queue]
            now = asyncio.get_running_loop().time()
            if batch := queue.take(now):
                self._on_start(queue.spec, [now - each.arrived for each in batch])
                task = asyncio.create_task(self._run_batch(queue, batch))
                self._running.add(task)
                task.add_done_callback(self._finish)
            self._offer(queue)

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._running.remove(task)
        self._start_ready()

    async def _run_batch(self, queue: Queue, batch: list[Waiting]) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        try:
            outputs = await self._run(queue.spec, [each.input for each in batch])
            answered = list(zip(batch, outputs, strict=True))
        except Exception as error:  # noqa: BLE001 - whoever waits for an input gets it
            for each in batch:
                if not each.output.done():
                    each.output.set_exception(error)
        else:
            for each, output in answered:
                if not each.output.done():
                    each.output.set_result(output)
        finally:
            queue.measure(loop.time() - start, len(batch))
