"""Live progress: bars on a terminal, plain lines where there is none."""

import contextlib
import time
from collections.abc import Generator
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from harness.measure.paired import OnProgress

_LINE_EVERY_S: Final = 10.0


class Display:
    """Shows the steps of a run, one after another."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = (
            Progress(
                SpinnerColumn(finished_text="\u2713"),
                TextColumn("{task.description}"),
                BarColumn(bar_width=28),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[now]}", style="dim"),
                console=console,
            )
            if console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    @contextlib.contextmanager
    def step(self, name: str) -> Generator[OnProgress, None, None]:
        """Show that a step runs; what it is given tells how far it is."""
        started_s = time.monotonic()
        if self._bars is None:
            line = _Lines(self._console, name)
            self._console.print(f"{name} …", markup=False)
            yield line.show
            self._console.print(
                f"{name}: {line.done} done in {time.monotonic() - started_s:.1f} s", markup=False
            )
            return
        bars = self._bars
        task = bars.add_task(name, total=None, now="")

        def show(done: int, total: int, what: str) -> None:
            bars.update(task, completed=done, total=total, now=what)

        yield show
        done = int(bars.tasks[task].completed)
        bars.update(task, completed=done, total=done, now="")

    def note(self, text: str) -> None:
        """Print a line above the bars."""
        self._console.print(text, markup=False, highlight=False)


class _Lines:
    """Says every few seconds how far a step is."""

    def __init__(self, console: Console, name: str) -> None:
        self._console = console
        self._name = name
        self._last_s: float | None = None
        self.done = 0

    def show(self, done: int, total: int, what: str) -> None:
        self.done = done
        now_s = time.monotonic()
        if self._last_s is None or now_s - self._last_s >= _LINE_EVERY_S:
            self._last_s = now_s
            self._console.print(
                f"{self._name}: {done} of {total}, {what}", markup=False, soft_wrap=True
            )
