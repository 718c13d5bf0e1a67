"""What one gateway follows: nothing that happens to Redis, to it or to its copy ends an order."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from policies.orders import Orders
from regions.orders.book import OrderBook
from regions.orders.codec import MAX_ORDERS_BYTES
from regions.orders.copy import OrdersCopy
from regions.orders.errors import OrdersMalformed, StoreAway, TooManyOrders
from regions.orders.reports import GatewayReport, OrderProgress, SessionGroupFacts
from tests.harness.waiting import until, until_true
from tests.regions.orders.test_codec import ORDER
from tests.regions.orders.test_store import store_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.integration

OTHER = replace(ORDER, id="ba9876543210", reason="another")


def book_of(gateway: str, redis: RedisServer | None, folder: Path | None = None) -> OrderBook:
    return OrderBook(
        gateway=gateway,
        store=None if redis is None else store_at(redis.url),
        copy=None if folder is None else OrdersCopy(folder / f"{gateway}.json"),
        poll_ms=50,
    )


@contextlib.asynccontextmanager
async def running(*books: OrderBook) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(book.run()) for book in books]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_an_order_given_at_one_gateway_is_followed_by_the_other(redis_server: RedisServer) -> None:
    one, other = book_of("a", redis_server), book_of("b", redis_server)
    heard: list[Orders] = []
    other.watch(heard.append)
    async with running(one, other):
        ordered = await one.change(lambda orders: (*orders.orders, ORDER))
        await until(lambda: other.orders == ordered)
        assert heard == [ordered]
        withdrawn = await other.change(lambda _: ())
        assert withdrawn.revision > ordered.revision
        await until(lambda: one.orders == withdrawn)


async def test_two_gateways_that_change_at_once_lose_neither_order(redis_server: RedisServer) -> None:
    one, other = book_of("a", redis_server), book_of("b", redis_server)
    await asyncio.gather(
        one.change(lambda orders: (*orders.orders, ORDER)), other.change(lambda orders: (*orders.orders, OTHER))
    )
    await one.look()
    assert {order.id for order in one.orders.orders} == {ORDER.id, OTHER.id}


async def test_nothing_is_written_where_nothing_changes_or_the_edit_refuses(redis_server: RedisServer) -> None:
    book = book_of("a", redis_server)
    ordered = await book.change(lambda _: (ORDER,))
    assert await book.change(lambda orders: orders.orders) == ordered

    def refuse(_orders: Orders) -> tuple[()]:
        raise KeyError("unknown")

    with pytest.raises(KeyError):
        await book.change(refuse)
    assert book.orders == ordered


async def test_a_gateway_that_starts_while_redis_is_away_follows_its_copy(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    ordered = await book_of("a", redis_server, tmp_path).change(lambda _: (ORDER,))
    redis_server.kill()
    started = book_of("a", redis_server, tmp_path)
    assert started.orders == ordered
    await started.look()
    assert started.is_store_away
    assert started.orders == ordered
    with pytest.raises(StoreAway):
        await started.change(lambda _: ())
    assert started.orders == ordered


async def test_orders_outlive_a_redis_that_comes_back_empty(redis_server: RedisServer, tmp_path: Path) -> None:
    one, other = book_of("a", redis_server, tmp_path), book_of("b", redis_server)
    async with running(one, other):
        ordered = await one.change(lambda _: (ORDER,))
        await until(lambda: other.orders == ordered)
        redis_server.kill()
        await until(lambda: one.is_store_away and other.is_store_away)
        assert one.orders == other.orders == ordered
        redis_server.start()

        async def is_there() -> bool:
            fresh = book_of("c", redis_server)
            await fresh.look()
            return fresh.orders == ordered

        await until_true(is_there, what="the orders in the empty Redis")
        await until(lambda: not one.is_store_away)


async def test_a_redis_that_lost_the_last_change_gets_it_again(redis_server: RedisServer) -> None:
    one, late = book_of("a", redis_server), book_of("b", redis_server)
    await one.change(lambda _: (ORDER,))
    await late.look()
    with redis_server.client() as client:
        before = client.hgetall("patchbay:orders:{north}:book")
        ordered = await one.change(lambda _: (ORDER, OTHER))
        client.hset("patchbay:orders:{north}:book", mapping=before)  # type: ignore[arg-type]
    await late.look()
    assert len(late.orders.orders) == 1
    await one.look()
    await late.look()
    assert late.orders == one.orders == ordered


async def test_a_copy_of_long_ago_does_not_undo_what_was_ordered_after_a_loss(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    await book_of("a", redis_server, tmp_path).change(lambda _: (ORDER,))
    redis_server.kill()
    redis_server.start()
    newest = await book_of("b", redis_server).change(lambda _: (OTHER,))
    returned = book_of("a", redis_server, tmp_path)
    await returned.look()
    assert returned.orders == newest


async def test_a_damaged_copy_is_passed_over(redis_server: RedisServer, tmp_path: Path) -> None:
    ordered = await book_of("b", redis_server).change(lambda _: (ORDER,))
    (tmp_path / "a.json").write_text("no")
    book = book_of("a", redis_server, tmp_path)
    assert book.orders == Orders()
    async with running(book):
        await until(lambda: book.orders == ordered)
        await until(lambda: book_of("a", None, tmp_path).orders == ordered)


async def test_what_a_stranger_wrote_is_neither_followed_nor_written_over(redis_server: RedisServer) -> None:
    book = book_of("a", redis_server)
    ordered = await book.change(lambda _: (ORDER,))
    with redis_server.client() as client:
        client.hset("patchbay:orders:{north}:book", mapping={"revision": 2**52, "digest": "x", "document": "no"})
    await book.look()
    assert book.orders == ordered
    with pytest.raises(OrdersMalformed):
        await book.change(lambda _: ())


async def test_without_redis_a_gateways_orders_are_its_own_and_outlive_it(tmp_path: Path) -> None:
    ordered = await book_of("a", None, tmp_path).change(lambda _: (ORDER,))
    again = book_of("a", None, tmp_path)
    assert again.orders == ordered
    assert not again.has_store


async def test_progress_is_that_of_all_gateways_and_a_question_reaches_each(redis_server: RedisServer) -> None:
    def report_of(moved: int, session_id: str) -> object:
        group = SessionGroupFacts(
            permitted=("north",),
            tier="standard",
            model="",
            model_version="",
            language="",
            region="north",
            count=1,
            session_ids=(session_id,),
        )
        progress = OrderProgress(order_id=ORDER.id, total=moved, moved=moved)
        return lambda question: GatewayReport(
            progress=(progress,), answers=question, groups=(group,) if question else ()
        )

    one, other = book_of("a", redis_server), book_of("b", redis_server)
    one.report_of, other.report_of = report_of(2, "s1"), report_of(3, "s2")  # type: ignore[assignment]
    async with running(one, other):
        await until_true(lambda: _has_moved(one, 5), what="the sum of both")
        heard = await one.groups()
        assert heard.answered == ("a", "b")
        assert heard.silent == ()
        assert {group.session_ids for group in heard.groups} == {("s1",), ("s2",)}


async def test_a_gateway_that_does_not_answer_is_named(redis_server: RedisServer) -> None:
    one = book_of("a", redis_server)
    await store_at(redis_server.url).look("", gateway="b", report=GatewayReport())
    heard = await one.groups(within_ms=300)
    assert heard.answered == ("a",)
    assert heard.silent == ("b",)


async def _has_moved(book: OrderBook, moved: int) -> bool:
    progress = (await book.progress()).get(ORDER.id)
    return progress is not None and progress.moved == moved


async def test_orders_that_gateways_could_not_read_are_never_written() -> None:
    book = OrderBook(gateway="a", store=None, copy=None)
    long = replace(ORDER, reason="x" * MAX_ORDERS_BYTES)
    with pytest.raises(TooManyOrders):
        await book.change(lambda _: (long,))
    assert book.orders == Orders()


async def test_a_disk_that_does_not_answer_keeps_nobody_from_changing_orders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()

    class Stuck(OrdersCopy):
        def write(self, orders: Orders) -> None:
            answers.wait(timeout=10)
            super().write(orders)

    monkeypatch.setattr("regions.orders.book._COPY_WITHIN_S", 0.02)
    copy = Stuck(tmp_path / "orders.json")
    book = OrderBook(gateway="a", store=None, copy=copy)
    try:
        assert (await book.change(lambda _: (ORDER,))).orders == (ORDER,)
        assert copy.read() is None
    finally:
        answers.set()
    monkeypatch.setattr("regions.orders.book._COPY_WITHIN_S", 5.0)
    changed = await book.change(lambda _: ())
    assert copy.read() == changed
