"""One timer for all: nobody is forgotten, nobody is early."""

from __future__ import annotations

import asyncio
import gc
import weakref

from gateway.webtransport.quic.timer_wheel import TimerWheel
from tests.harness.waiting import until


class Sleeper:
    def __init__(self, *, due: float) -> None:
        self.soon_tick = self.late_tick = 0
        self.due = due
        self.called_at: list[float] = []

    def on_time(self, now: float) -> None:
        self.called_at.append(now)


async def test_each_is_called_at_its_time_and_once_for_many_wishes() -> None:
    loop = asyncio.get_running_loop()
    turns: list[int] = []
    wheel = TimerWheel(loop, after_all=lambda: turns.append(1))
    start = loop.time()
    sleepers = [Sleeper(due=start + delay_ms / 1000) for delay_ms in (0, 12, 30, 31, 60)]
    for sleeper in sleepers:
        wheel.call_at(sleeper.due + 0.5, sleeper, start)
        wheel.call_at(sleeper.due, sleeper, start)
        wheel.call_at(sleeper.due + 0.2, sleeper, start)
        wheel.call_at(start + 3_600, sleeper, start)
    await until(lambda: all(sleeper.called_at for sleeper in sleepers))
    for sleeper in sleepers:
        assert sleeper.called_at[0] >= sleeper.due
        assert len(sleeper.called_at) == 1
        assert (sleeper.soon_tick, sleeper.late_tick > 0) == (0, True)
    assert turns
    wheel.close()


async def test_a_time_that_has_passed_comes_at_once_and_a_closed_wheel_calls_nobody() -> None:
    loop = asyncio.get_running_loop()
    wheel = TimerWheel(loop, after_all=lambda: None)
    late = Sleeper(due=loop.time() - 5)
    wheel.call_at(late.due, late, loop.time())
    await until(lambda: bool(late.called_at))
    wheel.call_at(loop.time(), late, loop.time())
    wheel.close()
    await asyncio.sleep(0.02)
    assert len(late.called_at) == 1


async def test_who_is_forgotten_is_neither_called_nor_kept() -> None:
    loop = asyncio.get_running_loop()
    wheel = TimerWheel(loop, after_all=lambda: None)
    gone = Sleeper(due=loop.time() + 0.02)
    still = Sleeper(due=gone.due)
    for sleeper in (gone, still):
        wheel.call_at(sleeper.due, sleeper, loop.time())
        wheel.call_at(loop.time() + 60, sleeper, loop.time())
    calls, there = gone.called_at, weakref.ref(gone)
    wheel.forget(gone)
    del gone, sleeper
    gc.collect()
    assert there() is None
    await until(lambda: bool(still.called_at))
    assert calls == []
    wheel.close()


async def test_who_wishes_for_the_past_again_and_again_stops_nobody_else() -> None:
    loop = asyncio.get_running_loop()
    wheel = TimerWheel(loop, after_all=lambda: None)
    others: list[float] = []

    class Restless(Sleeper):
        def on_time(self, now: float) -> None:
            super().on_time(now)
            assert len(self.called_at) < 10_000
            wheel.call_at(self.due, self, now)

    restless = Restless(due=loop.time() - 1)
    wheel.call_at(restless.due, restless, loop.time())
    loop.call_later(0.02, lambda: others.append(loop.time()))
    await until(lambda: bool(others))
    assert restless.called_at
    wheel.close()
