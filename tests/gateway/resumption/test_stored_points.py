"""The scripts refuse what a later gateway would lose, however often they are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.resumption.interface import StoreAway
from gateway.resumption.stored_points import StoredPoints
from tests.harness.commit_points import KeepingGateway, point_at

if TYPE_CHECKING:
    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.integration


async def test_generations_fence_each_session_by_itself(redis_server: RedisServer) -> None:
    link = KeepingGateway(redis_server.url).link
    assert link is not None
    kept = StoredPoints(link, link.names.commit, ttl_s=60)
    assert await kept.write([point_at(session_id="a"), point_at(session_id="b", generation=5)]) == [True, True]
    assert await kept.write([point_at(1, session_id="a"), point_at(1, session_id="b", generation=4)]) == [True, False]
    assert await kept.claim("a", "acme") == point_at(1, session_id="a", generation=2)
    assert await kept.write([point_at(2, session_id="a")]) == [False]
    taken = point_at(2, session_id="a", generation=2, tab_id="a.2")
    assert await kept.write([taken, taken]) == [True, True]
    assert await kept.write([point_at(2, session_id="a", generation=2, tab_id="third")]) == [False]
    await kept.finish([point_at(session_id="a"), point_at(session_id="b", generation=5)])
    with redis_server.client() as client:
        assert 0 < client.ttl("patchbay:{acme}:commit:a") <= 60
    await link.aclose()


async def test_more_than_fit_into_a_call_are_written_in_several(redis_server: RedisServer) -> None:
    link = KeepingGateway(redis_server.url).link
    assert link is not None
    kept = StoredPoints(link, link.names.commit_copy, ttl_s=60)
    points = [point_at(session_id=str(number)) for number in range(450)]
    assert await kept.write(points) == [True] * 450
    assert await kept.write([]) == []
    redis_server.kill()
    with pytest.raises(StoreAway):
        await kept.write(points[:1])
    await link.aclose()
