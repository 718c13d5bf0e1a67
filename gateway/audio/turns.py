"""Lets many decoders share one event loop: a little work in each turn, so that nobody else waits for it.

All decoders of a process take turns in one queue. However many have work, and however much a client sent at once, one
turn of the loop is held for `turn_us` and one step.
"""

from __future__ import annotations

from collections import deque
from time import perf_counter_ns
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


class Worker(Protocol):
    """Something with work that can be done in steps."""

    def step(self) -> bool:
        """Do one small piece of work; whether there is more to do now."""


class Turns:
    """Round robin over the workers that have work."""

    def __init__(self, loop: AbstractEventLoop, *, turn_us: int) -> None:
        self._loop = loop
        self._turn_ns = turn_us * 1_000
        self._ready: deque[Worker] = deque()
        self._is_scheduled = False

    def join(self, worker: Worker) -> None:
        """Step the worker from the next turn of the loop on, until it says that it has no more to do.

        A worker may be in the queue once.
        """
        self._ready.append(worker)
        self._schedule()

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._is_scheduled = False
        ends_at_ns = perf_counter_ns() + self._turn_ns
        ready = self._ready
        try:
            while ready:
                worker = ready.popleft()
                if worker.step():
                    ready.append(worker)
                if perf_counter_ns() >= ends_at_ns:
                    break
        finally:
            # A worker that fails is out of the queue; the others go on.
            if ready:
                self._schedule()
