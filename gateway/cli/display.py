"""How a transcript is shown: JSON lines for programs, live text for people."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol, Self

import msgspec
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from gateway.cli.connection import advice
from gateway.cli.resuming import FellBack, Resumed
from gateway.wire.codec import encode_server
from gateway.wire.messages import (
    AudioLost,
    ErrorMessage,
    FinalMessage,
    Finished,
    Migrated,
    PartialMessage,
    Started,
    Usage,
)

if TYPE_CHECKING:
    from gateway.cli.resuming import Shown


class Display(Protocol):
    """Shows one session."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_error: object) -> None: ...
    def show(self, message: Shown) -> None: ...


class JsonDisplay:
    """One message a line, as the server sent it; and a line of its own where a session went on elsewhere."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None: ...

    def show(self, message: Shown) -> None:
        if isinstance(message, FellBack):
            sys.stderr.write(_fell_back(message) + "\n")
            return
        text = msgspec.json.encode(message).decode() if isinstance(message, Resumed) else encode_server(message)
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


class TerminalDisplay:
    """Finals scroll by; below them the words that may still change, and how far the recording is.

    Without a terminal only finals are printed.
    """

    def __init__(self, duration_ms: int | None) -> None:
        self._console = Console(highlight=False)
        self._errors = Console(stderr=True, highlight=False)
        self._partial = Text("")
        self._version = ""
        self._is_throttled = False
        self._progress = Progress(
            TextColumn("[dim]{task.description}"), BarColumn(bar_width=30), TimeElapsedColumn(), console=self._console
        )
        self._task: TaskID = self._progress.add_task("listening", total=duration_ms)
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(self._view(), console=self._console, transient=True, refresh_per_second=12)
            self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _view(self) -> Group:
        return Group(self._partial, self._progress)

    def show(self, message: Shown) -> None:
        match message:
            case FellBack():
                self._errors.print(Text(_fell_back(message), style="yellow"), soft_wrap=True)
            case PartialMessage():
                stable, rest = message.text[: message.stable_chars], message.text[message.stable_chars :]
                self._partial = Text.assemble((stable, ""), (rest, "dim"))
                self._progress.update(self._task, completed=message.end_ms)
            case FinalMessage():
                self._partial = Text("")
                self._print(Text.assemble((f"{_clock(message.start_ms)}  ", "dim cyan"), message.text))
                self._progress.update(self._task, completed=message.end_ms)
            case Started():
                self._version = message.model_version
            case Resumed():
                pause_s = message.pause_elapsed_ms / 1_000
                self._print(
                    Text(f"connection lost, resumed at {message.region} after {pause_s:.1f} s", style="dim yellow")
                )
            case AudioLost():
                lost = (f"{_duration(message.end_ms - message.start_ms)} of audio lost", "dim yellow")
                self._print(Text.assemble((f"{_clock(message.start_ms)}  ", "dim cyan"), lost))
            case Migrated():
                self._print(Text(f"moved to another engine after {message.reason}", style="dim yellow"))
                if message.model_version not in ("", self._version):
                    self._version = message.model_version
                    self._print(Text(f"version {self._version} recognises from here on", style="dim yellow"))
            case Usage():
                self._tell_throttling(message)
            case ErrorMessage():
                text = f"{message.reason}: {message.message}{advice(message.retry_after_ms)}"
                self._errors.print(Text(text, style="red"), soft_wrap=True)
            case Finished():
                self._partial = Text("")
        if self._live is not None:
            self._live.update(self._view())

    def _tell_throttling(self, usage: Usage) -> None:
        """Once when it begins and once when it ends."""
        if usage.is_throttled == self._is_throttled:
            return
        self._is_throttled = usage.is_throttled
        if usage.is_throttled:
            text = f"the compute of the {usage.level or 'plan'} is used up: audio waits{advice(usage.retry_after_ms)}"
        else:
            text = "there is compute again: audio goes on"
        self._print(Text(text, style="dim yellow"))

    def _print(self, line: Text) -> None:
        """One line; only a terminal breaks it where it ends."""
        self._console.print(line, soft_wrap=not self._console.is_terminal)


def _fell_back(message: FellBack) -> str:
    return f"WebTransport cannot be reached; going on over WebSocket at {message.at} ({message.why})"


def _duration(num_ms: int) -> str:
    return f"{num_ms} ms" if num_ms < 1_000 else f"{num_ms / 1_000:.1f} s"


def _clock(at_ms: int) -> str:
    minutes, rest_ms = divmod(at_ms, 60_000)
    return f"{minutes:02d}:{rest_ms / 1_000:04.1f}"
