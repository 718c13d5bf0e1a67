"""Sharing the loop."""

from __future__ import annotations

import asyncio
from time import perf_counter_ns

import pytest

from gateway.audio.turns import Turns

pytestmark = pytest.mark.unit


class Worker:
    """Has `steps` steps of work, each as long as asked."""

    def __init__(self, name: str, steps: int, log: list[str], *, step_us: int = 0) -> None:
        self.name, self.steps, self.log, self.step_us = name, steps, log, step_us

    def step(self) -> bool:
        ends_at_ns = perf_counter_ns() + self.step_us * 1_000
        while perf_counter_ns() < ends_at_ns:
            pass
        self.log.append(self.name)
        self.steps -= 1
        return self.steps > 0


async def turns_until(log: list[str], length: int) -> int:
    """Turns of the loop until so much is logged."""
    turns = 0
    async with asyncio.timeout(60):
        while len(log) < length:
            await asyncio.sleep(0)
            turns += 1
    return turns


async def test_nothing_is_done_in_the_turn_that_asks_for_it():
    log: list[str] = []
    Turns(asyncio.get_running_loop(), turn_us=1_000).join(Worker("a", 1, log))
    assert log == []
    await turns_until(log, 1)


async def test_workers_step_in_turn():
    log: list[str] = []
    turns = Turns(asyncio.get_running_loop(), turn_us=20_000)
    turns.join(Worker("a", 3, log))
    turns.join(Worker("b", 2, log))
    await turns_until(log, 5)
    assert log == ["a", "b", "a", "b", "a"]


async def test_one_turn_of_the_loop_is_held_for_the_bound_and_one_step_at_most():
    log: list[str] = []
    turns = Turns(asyncio.get_running_loop(), turn_us=1_000)
    for name in "abcd":
        turns.join(Worker(name, 5, log, step_us=600))
    # Two steps pass the bound, so twenty take ten turns at least.
    assert await turns_until(log, 20) >= 10


async def test_a_worker_that_fails_does_not_stop_the_others():
    log: list[str] = []
    failures: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: failures.append(context["exception"]))

    class Failing:
        def step(self) -> bool:
            raise ZeroDivisionError

    turns = Turns(loop, turn_us=1_000)
    turns.join(Failing())
    turns.join(Worker("a", 2, log))
    await turns_until(log, 2)
    assert [type(failure) for failure in failures] == [ZeroDivisionError]
