"""Sends at an even pace: one message each `interval / sessions`, in turn, however small that gap is.

An event loop's own timers know whole milliseconds, in which ten messages of a thousand sessions would arrive at once.
A timerfd wakes the loop up to ten thousand times a second, and the loop still hears answers at once.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

MESSAGE_MS = 100
MESSAGES_PER_BLOCK = 5
"""Of the scripted engine: each 500 ms of audio give a partial."""
BLOCKS_PER_UTTERANCE = 4
CYCLES_PER_UTTERANCE = MESSAGES_PER_BLOCK * BLOCKS_PER_UTTERANCE

_SHORTEST_TICK_NS = 100_000
_CLOCK_MONOTONIC = 1
_NS_PER_S = 1_000_000_000


class Sender(Protocol):
    """One session of the load."""

    def send_audio(self) -> None:
        """Send the next 100 ms."""


class _TimeSpec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _TimeSpec), ("value", _TimeSpec))


def repeating_timer(interval_ns: int) -> int:
    """A file descriptor that is readable each `interval_ns`. Source: timerfd_create(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor: int = libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
    step = _TimeSpec(*divmod(interval_ns, _NS_PER_S))
    if descriptor < 0 or libc.timerfd_settime(descriptor, 0, ctypes.byref(_TimerSpec(step, step)), None):
        raise OSError(ctypes.get_errno(), "no timer")
    return descriptor


class Pacer:
    """Makes each session send once every 100 ms, all of them spread evenly over that time.

    A session joins in its own one of the first `joining_cycles`; if those are an utterance or more, then at any time
    some sessions are at each place of an utterance and results are spread as evenly as audio.
    """

    def __init__(self, sessions: Sequence[Sender], *, joining_cycles: int) -> None:
        self._sessions = sessions
        self._joining_cycles = max(1, min(joining_cycles, CYCLES_PER_UTTERANCE))
        self._loop = asyncio.get_running_loop()
        self._gap_ns = MESSAGE_MS * 1_000_000 // len(sessions)
        self._turns = 0
        self._began_at_ns = 0
        self._most_turns = 0
        self._done = self._loop.create_future()
        self.late_ns: list[int] = []
        """How far behind its plan each tick found the first message that it sent."""
        self.sent = 0

    async def run(self, cycles: int) -> None:
        """`cycles` times 100 ms; the next call goes on where this one ended."""
        self._most_turns += cycles * len(self._sessions)
        self._done = self._loop.create_future()
        if not self._began_at_ns:
            self._began_at_ns = time.monotonic_ns()
        timer = repeating_timer(max(self._gap_ns, _SHORTEST_TICK_NS))
        self._loop.add_reader(timer, self._tick, timer)
        try:
            await self._done
        finally:
            self._loop.remove_reader(timer)
            os.close(timer)

    def _tick(self, timer: int) -> None:
        try:
            os.read(timer, 8)
        except BlockingIOError:
            return
        elapsed_ns = time.monotonic_ns() - self._began_at_ns
        if elapsed_ns >= self._turns * self._gap_ns:
            self.late_ns.append(elapsed_ns - self._turns * self._gap_ns)
        num_sessions = len(self._sessions)
        while self._turns * self._gap_ns <= elapsed_ns and self._turns < self._most_turns:
            cycle, number = divmod(self._turns, num_sessions)
            self._turns += 1
            if cycle >= number % self._joining_cycles:
                self._sessions[number].send_audio()
                self.sent += 1
        if self._turns >= self._most_turns and not self._done.done():
            self._done.set_result(None)
