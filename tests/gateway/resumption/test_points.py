"""Where sessions stand is kept in Redis beside their audio's path, and whoever claims one last has it."""

from __future__ import annotations

import msgspec
import pytest

from gateway.resumption.points import KeptAlone
from gateway.resumption.settings import FINISHED_TTL_S
from tests.harness.commit_points import keeping, point_at
from tests.harness.redis_server import RedisServer
from tests.harness.waiting import until

pytestmark = pytest.mark.integration

KEY = "patchbay:{acme}:commit:s"


def stored(server: RedisServer) -> str | None:
    """What the hash says the point's tab is; None: there is no point."""
    with server.client() as client:
        found = client.hget(KEY, "tab")
        return None if found is None else str(found)


async def written(server: RedisServer) -> None:
    await until(lambda: stored(server) is not None, what="the commit point")


async def test_a_session_whose_gateway_died_is_claimed_where_it_stood(redis_server: RedisServer) -> None:
    async with keeping(redis_server.url) as first:
        log = first.open(point_at(0))
        for sample in range(0, 50_000, 1_000):
            log.commit(point_at(sample))
        await until(lambda: first.figure("patchbay_resumption_commits_total") >= 1)
        await until(lambda: first.figure("patchbay_resumption_waiting") == 0)
        assert first.figure("patchbay_resumption_commits_total") < 50  # many finals, few writes
        await first.points.flush()
    async with keeping(redis_server.url) as second:
        assert await second.points.claim("s", "acme", "here") == point_at(49_000, generation=2)
        assert await second.points.claim("s", "acme", "here") == point_at(49_000, generation=3)
        assert await second.points.claim("s", "other", "here") is None
        assert await second.points.claim("unknown", "acme", "here") is None
        assert second.figure("patchbay_resumption_resumed_total", known_by="this_region") == 2
        assert second.figure("patchbay_resumption_resumed_total", known_by="client_alone") == 2


async def test_the_gateway_that_had_it_learns_so_and_writes_nothing_any_more(redis_server: RedisServer) -> None:
    async with keeping(redis_server.url) as old, keeping(redis_server.url) as new:
        log = old.open(point_at(0))
        await written(redis_server)
        claimed = await new.points.claim("s", "acme", "here")
        assert claimed == point_at(0, generation=2)
        log.commit(point_at(16_000))
        await until(lambda: old.superseded == ["s"], what="the news")
        log.commit(point_at(32_000))
        log.close(is_finished=True)
        new.open(msgspec.structs.replace(claimed, tab_id="s.2")).commit(point_at(8_000, generation=2, tab_id="s.2"))
        await until(lambda: stored(redis_server) == "s.2", what="the new gateway's point")
        assert await old.points.claim("s", "acme", "here") == point_at(8_000, generation=3, tab_id="s.2")
        assert new.superseded == []  # it has not committed since
        assert old.figure("patchbay_resumption_superseded_total") == 1


async def test_of_two_that_claim_without_knowing_anything_the_first_to_write_has_it(redis_server: RedisServer) -> None:
    async with keeping(redis_server.url) as one, keeping(redis_server.url) as other:
        one.open(point_at(0, generation=2, tab_id="one"))
        await written(redis_server)
        other.open(point_at(0, generation=2, tab_id="other"))
        await until(lambda: other.superseded == ["s"], what="the news")
        assert one.superseded == []


async def test_a_session_that_lives_here_is_taken_over_from_itself(redis_server: RedisServer) -> None:
    async with keeping(redis_server.url) as gateway:
        old = gateway.open(point_at(0))
        old.commit(point_at(16_000))
        claimed = await gateway.points.claim("s", "acme", "here")
        assert claimed == point_at(16_000, generation=2)
        assert gateway.superseded == ["s"]
        new = gateway.open(point_at(16_000, generation=2, tab_id="s.2"))
        old.commit(point_at(17_000))
        old.close(is_finished=False)
        new.commit(point_at(18_000, generation=2, tab_id="s.2"))
        await until(lambda: stored(redis_server) == "s.2", what="the new connection's point")
        assert gateway.superseded == ["s"]


@pytest.mark.parametrize("is_later_first", [False, True])
async def test_of_two_connections_to_one_gateway_the_one_that_claimed_later_has_it(
    redis_server: RedisServer, *, is_later_first: bool
) -> None:
    """Both claimed before either began; they begin in any order."""
    lost: list[str] = []
    async with keeping(redis_server.url) as gateway:
        gateway.open(point_at(0)).close(is_finished=False)
        await written(redis_server)
        claimed = [await gateway.points.claim("s", "acme", "here") for _ in range(2)]
        begun = {}
        for point in reversed(claimed) if is_later_first else claimed:
            assert point is not None
            tab = f"s.{point.generation}"
            point = msgspec.structs.replace(point, tab_id=tab)
            begun[tab] = gateway.points.open(point, frozenset(), lambda tab=tab: lost.append(tab))
        await until(lambda: lost == ["s.2"], what="the end of the earlier one")
        begun["s.2"].commit(point_at(99_000, generation=2, tab_id="s.2"))
        begun["s.2"].close(is_finished=True)
        begun["s.3"].commit(point_at(16_000, generation=3, tab_id="s.3"))
        await gateway.points.flush()
        newest = point_at(16_000, generation=4, tab_id="s.3")
        assert await gateway.points.claim("s", "acme", "here") == newest
        assert lost == ["s.2", "s.3"]


async def test_a_session_that_ended_in_order_is_kept_for_a_little_longer(redis_server: RedisServer) -> None:
    """Its client may have missed the last messages."""
    async with keeping(redis_server.url) as gateway:
        log = gateway.open(point_at(0))
        await written(redis_server)
        log.commit(point_at(16_000))
        log.close(is_finished=True)
        with redis_server.client() as client:
            await until(lambda: 0 < int(client.ttl(KEY)) <= FINISHED_TTL_S, what="the shorter life")
        assert await gateway.points.claim("s", "acme", "here") == point_at(16_000, generation=2)


async def test_while_redis_is_away_sessions_go_on_and_what_is_new_is_written_when_it_is_back(
    redis_server: RedisServer,
) -> None:
    async with keeping(redis_server.url) as gateway:
        redis_server.kill()
        log = gateway.open(point_at(0))
        await until(lambda: gateway.figure("patchbay_resumption_failures_total") >= 1)
        log.commit(point_at(16_000))
        redis_server.start()
        await written(redis_server)
        log.close(is_finished=False)
        async with keeping(redis_server.url) as other:
            assert await other.points.claim("s", "acme", "here") == point_at(16_000, generation=2)


async def test_without_redis_a_gateway_knows_its_own_sessions() -> None:
    async with keeping(None) as gateway:
        gateway.open(point_at(0)).commit(point_at(16_000))
        assert await gateway.points.claim("s", "acme", "here") == point_at(16_000, generation=2)
        log = gateway.open(point_at(16_000, generation=2))
        log.close(is_finished=False)
        assert await gateway.points.claim("s", "acme", "here") == point_at(16_000, generation=3)
        assert await gateway.points.claim("s", "other", "here") is None


def test_a_gateway_alone_keeps_as_many_as_it_may() -> None:
    kept = KeptAlone(2)
    for name in "abc":
        kept.put(point_at(session_id=name), ttl_s=60)
    kept.put(point_at(session_id="d"), ttl_s=0)
    assert [kept.claim(name, "acme") is not None for name in "abcd"] == [False, False, True, False]
