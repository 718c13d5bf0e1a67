"""Promises of a pool of replicas, against real engine processes."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from engines.interface import LossReason, Lost, MoveAway, MoveReason, OpenStream, RefusalReason, Refused
from policies.breaker import BreakerLimits
from policies.routing_facts import CapacityClass
from policies.slow_start import SlowStartLimits
from policies.tier_classes import ClassRule, TierClasses
from regions.discovery.interface import EngineAddress

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from regions.links.pool import LinkPool

pytestmark = pytest.mark.integration

RunPool = Callable[..., Awaitable["LinkPool"]] if TYPE_CHECKING else Any


FAILURES = BreakerLimits().failures_in_a_row
COOL_OFF_S = BreakerLimits().first_cool_off_ms / 1_000 + 1.0


async def first_answer(tools: Any, pool: LinkPool, **options: Any) -> Any:
    session = tools.open_session(pool, tools.asking(**options))
    assert session.events == [], "called back from inside open"
    await tools.until(lambda: bool(session.events))
    return session.events[0]


async def test_a_pool_without_a_connected_replica_refuses_as_unreachable(
    engines: Any, run_pool: RunPool, tools: Any
) -> None:
    pool = await run_pool(engines.address("nobody"), connected=0)
    assert not pool.is_ready
    assert await first_answer(tools, pool) == Refused(1, RefusalReason.unreachable, 500)


async def test_a_herd_is_spread_by_free_slots_before_any_report_says_so(
    engines: Any, run_pool: RunPool, tools: Any
) -> None:
    await engines.start("--slots", "6", "--heartbeat-interval-ms", "60000", name="big")
    await engines.start("--slots", "2", "--heartbeat-interval-ms", "60000", name="small")
    pool = await run_pool(engines.address("big"), engines.address("small"))
    sessions = [tools.open_session(pool) for _ in range(9)]
    assert [link.open_streams for link in pool.links] == [6, 2]
    await tools.until(lambda: all(session.events for session in sessions))
    assert all(session.is_granted for session in sessions[:8])
    assert sessions[8].events == [Refused(1, RefusalReason.no_free_slot, 500)]


async def test_a_pool_knows_from_its_replicas_how_many_others_place_on_them(
    engines: Any, run_pool: RunPool, tools: Any
) -> None:
    """A gateway that has two links, as while it renews one, counts once."""
    await engines.start("--heartbeat-interval-ms", "50", name="shared")
    await engines.start("--heartbeat-interval-ms", "50", name="own")
    shared, own = engines.address("shared"), engines.address("own")
    pool = await run_pool(shared, own)
    assert pool.dispatchers == 1
    for gateway in ("other", "third", "third"):
        await run_pool(shared, gateway=gateway)
    await tools.until(lambda: pool.dispatchers == 3)


async def test_a_model_is_looked_for_and_the_empty_name_takes_any(engines: Any, run_pool: RunPool, tools: Any) -> None:
    await engines.start("--slots", "9", "--script", "model=first", name="a")
    await engines.start("--slots", "2", "--script", "model=second", name="b")
    pool = await run_pool(engines.address("a"), engines.address("b"))
    assert (await first_answer(tools, pool, model="second")).model == "second"
    assert (await first_answer(tools, pool)).model == "first"
    assert await first_answer(tools, pool, model="third") == Refused(1, RefusalReason.unknown_model, None)


async def test_a_draining_replica_is_passed_over(engines: Any, run_pool: RunPool, tools: Any) -> None:
    leaving = await engines.start("--slots", "9", name="leaving")
    await engines.start("--slots", "2", name="staying")
    pool = await run_pool(engines.address("leaving"), engines.address("staying"))
    keeps_it_up = await tools.granted_session(pool)
    leaving.send_signal(signal.SIGTERM)
    await tools.until(lambda: any(load.is_draining for load in pool.loads()))
    assert pool.is_ready
    await tools.granted_session(pool)
    assert [link.open_streams for link in pool.links] == [1, 1]
    keeps_it_up.finish()
    await tools.until(lambda: keeps_it_up.is_finished)


async def test_a_pool_whose_replicas_all_drain_is_not_ready(engines: Any, run_pool: RunPool, tools: Any) -> None:
    process = await engines.start()
    pool = await run_pool(engines.address())
    assert pool.is_ready
    session = await tools.granted_session(pool)
    process.send_signal(signal.SIGTERM)
    await tools.until(lambda: not pool.is_ready)
    assert await first_answer(tools, pool) == Refused(1, RefusalReason.draining, 500)
    session.stream.cancel()


async def test_a_dead_replica_is_passed_over_and_comes_back(engines: Any, run_pool: RunPool, tools: Any) -> None:
    await engines.start(name="a")
    await engines.start(name="b")
    pool = await run_pool(engines.address("a"), engines.address("b"))
    await engines.kill("a")
    await tools.until(lambda: len(pool.loads()) == 1)
    await tools.granted_session(pool)
    assert pool.links[1].open_streams == 1
    await engines.start(name="a")
    await tools.until(lambda: len(pool.loads()) == 2)


async def test_a_replica_that_failed_a_stream_is_passed_over_while_another_has_room(
    engines: Any, run_pool: RunPool, tools: Any
) -> None:
    await engines.start("--slots", "9", "--script", "fail_after_words=1", name="failing")
    await engines.start("--slots", "1", name="small")
    pool = await run_pool(engines.address("failing"), engines.address("small"))
    unlucky = await tools.granted_session(pool)
    unlucky.speak(1, 24_000)
    await tools.until(lambda: unlucky.events[-1] == Lost(1, LossReason.engine_failed))
    for _ in range(2):
        await tools.granted_session(pool)
    assert [link.open_streams for link in pool.links] == [1, 1]


async def test_a_refused_stream_takes_everything_and_says_nothing_after_a_cancel(
    engines: Any, run_pool: RunPool, tools: Any
) -> None:
    pool = await run_pool(engines.address("nobody"), connected=0)
    cancelled, other = tools.open_session(pool), tools.open_session(pool)
    cancelled.speak(1)
    cancelled.finish()
    cancelled.stream.cancel()
    await tools.until(lambda: bool(other.events))
    assert cancelled.events == []


async def test_a_stale_report_costs_a_question_that_the_session_does_not_hear(
    engines: Any, run_pool: RunPool, tools: Any
) -> None:
    silent = ("--heartbeat-interval-ms", "60000")
    await asyncio.gather(
        engines.start("--slots", "4", *silent, name="roomy"), engines.start("--slots", "2", *silent, name="small")
    )
    pool = await run_pool(engines.address("roomy"), engines.address("small"))
    other_gateway = await run_pool(engines.address("roomy"))
    for number in range(4):
        # Each slot that changes hands is reported; the last report may be on its way when the next stream is placed.
        tools.open_session(other_gateway, tools.asking(epoch=number + 1))
    unaware = [
        tools.open_session(pool, msgspec.structs.replace(tools.asking(), session_id=name)) for name in ("one", "other")
    ]
    await tools.until(lambda: all(session.events for session in unaware))
    assert [type(session.events[0]).__name__ for session in unaware] == ["Granted", "Granted"]


async def test_a_replica_on_probation_is_asked_by_everybody_where_there_is_no_other(
    engines: Any, run_pool: RunPool, tools: Any
) -> None:
    await engines.start("--slots", "9", name="only")
    pool = await run_pool(engines.address("only"))
    for _ in range(FAILURES):
        (await tools.granted_session(pool)).stream.cancel(LossReason.silent)
    # Held out, and then on probation: whatever it is, it is all there is.
    began_at_s = time.monotonic()
    while time.monotonic() < began_at_s + COOL_OFF_S:
        asked = [
            tools.open_session(pool, msgspec.structs.replace(tools.asking(), session_id=name))
            for name in ("a", "b", "c")
        ]
        await tools.until(lambda asked=asked: all(session.events for session in asked))
        assert all(session.is_granted for session in asked)
        for session in asked:
            session.stream.cancel()
        await asyncio.sleep(0.2)


async def test_what_was_refused_to_a_session_that_moves_is_not_offered_to_where_it_is(
    engines: Any, run_pool: RunPool, tools: Any
) -> None:
    await engines.start("--slots", "9", name="slow")
    pool = await run_pool(engines.address("slow"))
    await tools.granted_session(pool)
    assert pool.choose_again(tools.asking(epoch=2), frozenset()) is None


async def test_a_session_that_moves_is_placed_beside_where_it_is(engines: Any, run_pool: RunPool, tools: Any) -> None:
    await asyncio.gather(engines.start("--slots", "9", name="roomy"), engines.start("--slots", "2", name="small"))
    pool = await run_pool(engines.address("roomy"), engines.address("small"))
    moving = await tools.granted_session(pool)
    standby = await tools.granted_session(pool)
    assert [link.open_streams for link in pool.links] == [1, 1]
    moving.stream.cancel()
    standby.stream.cancel()

    # The list of members changes.
    staying = await tools.granted_session(pool)
    assert [link.open_streams for link in pool.links] == [1, 0]
    pool.set_members((EngineAddress(engines.address("small")),))
    await tools.until(lambda: len(staying.events) > 1)
    assert isinstance(staying.events[1], MoveAway)
    assert staying.events[1].reason is MoveReason.engine_draining
    assert len(pool.links) == 1
    await tools.granted_session(pool)
    assert pool.links[0].open_streams == 1
    staying.speak(1)
    staying.finish()
    await tools.until(lambda: staying.is_finished)
    pool.set_members((EngineAddress(engines.address("small")), EngineAddress(engines.address("roomy"))))
    await tools.until(lambda: len(pool.loads()) == 2)


def new_session(tools: Any, number: int, *, tier: str = "standard") -> OpenStream:
    return msgspec.structs.replace(tools.asking(), session_id=str(number), tier=tier)  # type: ignore[no-any-return]


async def test_an_engine_that_has_just_come_is_given_little_until_nothing_else_has_room(
    engines: Any, run_pool: RunPool, tools: Any
) -> None:
    await engines.start("--slots", "4", name="old")
    pool = await run_pool(engines.address("old"))
    await engines.start("--slots", "6", name="new")
    pool.set_members((EngineAddress(engines.address("old")), EngineAddress(engines.address("new"))))
    await tools.until(lambda: len(pool.loads()) == 2)
    old, new = pool.links
    apart_ms = int(1_000 * (new.answers_since_s - old.answers_since_s))
    window_ms = pool.now_ms() - int(1_000 * new.answers_since_s) + apart_ms - 50
    pool.slow_start = SlowStartLimits(window_ms=window_ms, min_permille=100, aggression_permille=50)
    for number in range(3):
        tools.open_session(pool, new_session(tools, number))
    assert (old.open_streams, new.open_streams) == (3, 0)
    for number in range(7):
        tools.open_session(pool, new_session(tools, 3 + number))
    assert (old.open_streams, new.open_streams) == (4, 6)


async def test_a_session_has_the_class_of_machine_that_its_tier_should_have_first(
    engines: Any, run_pool: RunPool, tools: Any
) -> None:
    for name in ("floor", "cheap"):
        await engines.start("--slots", "2", "--pool", name, name=name)
    pool = await run_pool(engines.address("floor"), engines.address("cheap"))
    pool.class_of_pool = {"floor": CapacityClass.reserved, "cheap": CapacityClass.spot}.get
    floor, cheap = pool.links

    tools.open_session(pool, new_session(tools, 1, tier="economy"))
    tools.open_session(pool, new_session(tools, 2))
    assert (floor.open_streams, cheap.open_streams) == (0, 2)
    pool.classes = TierClasses(economy=ClassRule((CapacityClass.spot,)))
    refused = tools.open_session(pool, new_session(tools, 3, tier="economy"))
    await tools.until(lambda: bool(refused.events))
    assert refused.events == [Refused(1, RefusalReason.no_free_slot, 500)]
    tools.open_session(pool, new_session(tools, 4))
    assert (floor.open_streams, cheap.open_streams) == (1, 2)


async def test_an_engine_on_a_machine_that_is_not_permitted_or_not_known_is_not_asked(
    engines: Any, run_pool: RunPool, tools: Any
) -> None:
    for name in ("cheap", "unknown"):
        await engines.start("--slots", "2", "--pool", name, name=name)
    pool = await run_pool(engines.address("cheap"), engines.address("unknown"))
    pool.class_of_pool = {"cheap": CapacityClass.spot}.get
    cheap, unknown = pool.links
    assert [pool.class_of(link.address) for link in (cheap, unknown)] == [CapacityClass.spot, None]

    reserved = msgspec.structs.replace(new_session(tools, 1), classes=frozenset({CapacityClass.reserved}))
    refused = tools.open_session(pool, reserved)
    await tools.until(lambda: bool(refused.events))
    assert refused.events == [Refused(1, RefusalReason.no_free_slot, 500)]
    spot = msgspec.structs.replace(new_session(tools, 2), classes=frozenset({CapacityClass.spot}))
    tools.open_session(pool, spot)
    assert (cheap.open_streams, unknown.open_streams) == (1, 0)


async def test_an_engine_whose_class_no_catalog_has_says_it_itself_and_is_not_believed_against_one(
    engines: Any, run_pool: RunPool, tools: Any
) -> None:
    for name in ("told", "other"):
        await engines.start("--slots", "2", "--pool", name, "--capacity", "reserved", name=name)
    pool = await run_pool(engines.address("told"), engines.address("other"))
    pool.class_of_pool = {"other": CapacityClass.spot}.get
    told, other = pool.links
    assert [pool.class_of(link.address) for link in (told, other)] == [CapacityClass.reserved, None]
    for number in (1, 2):
        reserved = msgspec.structs.replace(new_session(tools, number), classes=frozenset({CapacityClass.reserved}))
        tools.open_session(pool, reserved)
    assert (told.open_streams, other.open_streams) == (2, 0)
