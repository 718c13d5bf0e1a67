"""Revocations in a real Redis: written in order, read once, bounded, and gone by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.admission.revocation_log import BEGINNING, LogFull, RevocationLog, is_before
from gateway.admission.revocations import Revocation, Undone, tenant_scope
from gateway.redis_link.client import RedisLink
from gateway.redis_link.errors import RedisAway
from gateway.redis_link.settings import RedisSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.integration

KEY = "patchbay:revocations"


@pytest.fixture
async def link(redis_server: RedisServer) -> AsyncIterator[RedisLink]:
    link = RedisLink(RedisSettings.model_validate({"urls": [redis_server.url]}))
    yield link
    await link.aclose()


def log_of(link: RedisLink, *, max_life_s: int = 3_600, max_entries: int = 100) -> RevocationLog:
    return RevocationLog(link, max_life_s=max_life_s, max_entries=max_entries)


def revocation(name: str, until_s: int = 2**33) -> Revocation:
    return Revocation(name, tenant_scope("acme"), 1, until_s, 1, note="why")


async def test_news_is_read_in_order_and_from_any_place(link: RedisLink) -> None:
    records = log_of(link)
    assert (await records.newest(), (await records.after(BEGINNING)).news) == (BEGINNING, ())
    await records.append([revocation("a"), Undone("a", 5)])
    first = await records.after(BEGINNING)
    assert first.news == (revocation("a"), Undone("a", 5))
    assert (first.through, first.is_last) == (await records.newest(), True)
    await records.append([revocation("b")])
    assert (await records.after(first.through)).news == (revocation("b"),)


async def test_a_long_log_comes_in_pages(link: RedisLink) -> None:
    records = log_of(link, max_entries=5_000)
    await records.append([revocation(str(number)) for number in range(2_500)])
    place, names, is_last = BEGINNING, [], False
    while not is_last:
        page = await records.after(place)
        place, is_last = page.through, page.is_last
        names += [one.id for one in page.news]
    assert names == [str(number) for number in range(2_500)]


async def test_a_full_log_takes_no_more_and_says_so(link: RedisLink) -> None:
    records = log_of(link, max_entries=2)
    await records.append([revocation("a")])
    with pytest.raises(LogFull, match="2 revocations"):
        await records.append([revocation("b"), revocation("c")])
    assert len((await records.after(BEGINNING)).news) == 1


async def test_entries_that_no_token_outlives_are_trimmed_and_the_log_expires_itself(
    link: RedisLink, redis_server: RedisServer
) -> None:
    records = log_of(link, max_life_s=60)
    now_s = await records.now_s()
    with redis_server.client() as client:
        client.xadd(KEY, {"news": "{}"}, id=f"{(now_s - 3_600 - 61) * 1_000}-1")
        await records.append([revocation("a")])
        assert client.xlen(KEY) == 1
        assert 3_660 < int(str(client.ttl(KEY))) <= 7_260


async def test_an_entry_of_a_later_release_is_counted_and_passed_over(
    link: RedisLink, redis_server: RedisServer
) -> None:
    records = log_of(link)
    with redis_server.client() as client:
        client.xadd(KEY, {"news": '{"type":"postponed"}'})
        client.xadd(KEY, {"other": "field"})
    await records.append([revocation("a")])
    page = await records.after(BEGINNING)
    assert (page.news, page.unreadable) == ((revocation("a"),), 2)


async def test_one_gateway_at_a_time_restores(link: RedisLink) -> None:
    assert [await log_of(link).may_restore() for _ in range(2)] == [True, False]


async def test_a_redis_that_is_away_is_said_to_be(link: RedisLink, redis_server: RedisServer) -> None:
    redis_server.kill()
    with pytest.raises(RedisAway):
        await log_of(link).newest()


def test_places_are_compared_as_numbers() -> None:
    assert is_before("9-5", "10-1")
    assert is_before("10-9", "10-10")
    assert not is_before("10-1", "10-1")
    assert is_before(BEGINNING, "1-0")
