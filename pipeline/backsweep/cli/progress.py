"""How far a sweep is: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from backsweep.sweep.compute import Progress

__all__ = ["ProgressBar"]

SECONDS_BETWEEN_LINES = 5.0


class ProgressBar:
    """Shows trials done, rate and time left; a context manager, because a terminal must be put right again."""

    def __init__(self, stream: TextIO, *, quiet: bool) -> None:
        self._stream = stream
        self._quiet = quiet
        self._bar: Any = None
        self._task: Any = None
        self._started = time.monotonic()
        self._said = self._started

    def __enter__(self) -> ProgressBar:
        if not self._quiet and self._stream.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("trials"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[failed]}"),
                console=Console(file=self._stream),
            )
            self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, sentence: str) -> None:
        """Say a sentence, above the bar where there is one."""
        if self._quiet:
            return
        if self._bar is not None:
            self._bar.console.print(sentence, markup=False, highlight=False)
        else:
            self._stream.write(f"{sentence}\n")
            self._stream.flush()

    def show(self, progress: Progress) -> None:
        """Show how far the sweep is."""
        if self._quiet:
            return
        elapsed = time.monotonic() - self._started
        fresh = progress.done - progress.cached
        rate = fresh / elapsed if elapsed > 0 else 0.0
        failed = f", {progress.failed:,} failed" if progress.failed else ""
        if self._bar is not None:
            if self._task is None:
                self._task = self._bar.add_task("", total=progress.total, rate="", failed="")
            self._bar.update(self._task, completed=progress.done, rate=f"{rate:,.0f}/s", failed=failed)
            return
        last = progress.done == progress.total
        if not last and time.monotonic() - self._said < SECONDS_BETWEEN_LINES:
            return
        self._said = time.monotonic()
        left = (progress.total - progress.done) / rate if rate > 0 else 0.0
        cached = f" ({progress.cached:,} from the store)" if progress.cached else ""
        ahead = "" if last or rate <= 0 else f", {left:,.0f} s left"
        self._stream.write(f"{progress.done:,}/{progress.total:,} trials{cached}, {rate:,.0f}/s{ahead}{failed}\n")
        self._stream.flush()
