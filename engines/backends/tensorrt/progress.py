"""How far a build is: TensorRT's nested phases, told as one list of phases that are under way."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.backends.tensorrt.api import TensorRt


class Phase(NamedTuple):
    """`depth` 0 is a phase of its own, 1 one within it, and so on."""

    name: str
    depth: int
    steps_done: int
    steps_total: int


class BuildProgress:
    """Keeps the phases that are under way and tells `changed` of every change.

    TensorRT calls from several threads, so everything is behind a lock; `changed` runs under it and must be quick.
    """

    def __init__(self, changed: Callable[[tuple[Phase, ...]], None]) -> None:
        self._changed = changed
        self._lock = threading.Lock()
        self._phases: dict[str, Phase] = {}
        self._is_stopped = False

    def stop(self) -> None:
        """Ask TensorRT to give the build up at its next step."""
        self._is_stopped = True

    def started(self, name: str, parent: str | None, steps: int) -> None:
        with self._lock:
            above = self._phases.get(parent or "")
            self._phases[name] = Phase(name, 0 if above is None else above.depth + 1, 0, steps)
            self._changed(tuple(self._phases.values()))

    def step_done(self, name: str, step: int) -> bool:
        """Whether to go on; `step` counts from 0."""
        with self._lock:
            phase = self._phases.get(name)
            if phase is not None:
                done = min(max(phase.steps_done, step + 1), phase.steps_total)
                self._phases[name] = phase._replace(steps_done=done)
                self._changed(tuple(self._phases.values()))
        return not self._is_stopped

    def finished(self, name: str) -> None:
        with self._lock:
            self._phases.pop(name, None)
            self._changed(tuple(self._phases.values()))


def monitor_of(library: TensorRt, progress: BuildProgress) -> Any:
    """Give an IProgressMonitor of TensorRT's; it must outlive the build."""

    def phase_start(_monitor: object, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        progress.started(phase_name, parent_phase, num_steps)

    def step_complete(_monitor: object, phase_name: str, step: int) -> bool:
        return progress.step_done(phase_name, step)

    def phase_finish(_monitor: object, phase_name: str) -> None:
        progress.finished(phase_name)

    methods = {"phase_start": phase_start, "step_complete": step_complete, "phase_finish": phase_finish}
    return type("BuildMonitor", (library.IProgressMonitor,), methods)()
