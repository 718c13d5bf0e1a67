"""The root's desk and server: typed refusals for whoever asks for what it may not have."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import grpc.aio
import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from gateway.escrow import proto_codec
from gateway.escrow.lending import MAX_LEVELS, LevelAsk, RootRefusal, RootRefused
from gateway.escrow.metrics import EscrowMetrics
from gateway.escrow.root import MAX_MESSAGE_BYTES, METHOD, SECRET_HEADER, RootDesk, RootServer
from gateway.redis_link.client import RedisLink
from gateway.redis_link.settings import RedisSettings
from policies.escrow import Ask, Outcome
from policies.plans import MICRO, Level, Principal
from tests.harness.escrow_regions import escrow_settings, rate_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.integration

SETTINGS = escrow_settings(addresses={"eu": "a:1", "us": "b:1"}, homes={"elsewhere": "us"}, learning_ms=260, port=0)
SECRET = SETTINGS.secret.get_secret_value()
ASK = Ask(epoch=0, generation=1, sequence=1, received_us=0, returned_us=0, holding_us=0, wanted_us=MICRO)


def one(org: str = "acme", *, plan: str = "plan", ask: Ask = ASK) -> LevelAsk:
    return LevelAsk(Principal(org, "", ""), Level.org, plan, ask)


@contextlib.asynccontextmanager
async def desk_on(server: RedisServer) -> AsyncIterator[RootDesk]:
    link = RedisLink(RedisSettings(urls=(SecretStr(server.url),), call_timeout_ms=500))
    try:
        yield RootDesk(SETTINGS, link, rate_of, EscrowMetrics(CollectorRegistry()), region="eu")
    finally:
        await link.aclose()


@contextlib.asynccontextmanager
async def served_on(server: RedisServer) -> AsyncIterator[Any]:
    """A call to a served desk: bytes and metadata in, bytes out."""
    async with desk_on(server) as desk:
        root = RootServer(SETTINGS, desk)
        await root.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{root.port}") as channel:
            yield channel.unary_unary(METHOD)
        await root.stop()


@pytest.mark.parametrize(
    ("region", "asks", "refusal"),
    [
        ("mars", [one()], RootRefusal.unknown_region),
        ("us", [one("elsewhere")], RootRefusal.not_home),
        ("us", [one()] * (MAX_LEVELS + 1), RootRefusal.too_many_levels),
    ],
    ids=["region", "home", "levels"],
)
async def test_who_may_not_ask_is_refused(
    redis_server: RedisServer, region: str, asks: list[LevelAsk], refusal: RootRefusal
) -> None:
    async with desk_on(redis_server) as desk:
        with pytest.raises(RootRefused) as caught:
            await desk.lend(region, asks[0].who.org, asks)
    assert caught.value.refusal is refusal


async def test_a_level_that_the_root_does_not_limit_is_answered_beside_those_that_it_does(
    redis_server: RedisServer,
) -> None:
    async with desk_on(redis_server) as desk:
        loans = await desk.lend("us", "acme", [one(plan="unknown"), one(), one(ask=Ask(0, 1, 2, 0, 0, 0, -5))])
    assert [loan.outcome for loan in loans] == [Outcome.unlimited, Outcome.learning, Outcome.absurd]


async def test_a_root_without_its_redis_says_that_it_is_away(redis_server: RedisServer) -> None:
    async with desk_on(redis_server) as desk:
        redis_server.kill()
        with pytest.raises(RootRefused, match="away"):
            await desk.lend("us", "acme", [one()])


async def test_only_who_knows_the_secret_is_answered(
    redis_server: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    payload = proto_codec.encode_request("us", "acme", [one()])
    async with served_on(redis_server) as call:
        for metadata in ((), ((SECRET_HEADER, "a guess"),), ((SECRET_HEADER, SECRET + "x"),)):
            with pytest.raises(RootRefused, match="unauthenticated"):
                proto_codec.decode_reply(await call(payload, metadata=metadata), num_asks=1)
        answer = await call(payload, metadata=((SECRET_HEADER, SECRET),))
        assert len(proto_codec.decode_reply(answer, num_asks=1)) == 1
    shown = capsys.readouterr()
    assert SECRET not in shown.out + shown.err
    assert "a guess" not in shown.out + shown.err


async def test_a_message_that_cannot_be_read_or_is_too_long_is_refused(redis_server: RedisServer) -> None:
    metadata = ((SECRET_HEADER, SECRET),)
    async with served_on(redis_server) as call:
        with pytest.raises(RootRefused, match="malformed"):
            proto_codec.decode_reply(await call(b"\xff\xff", metadata=metadata), num_asks=1)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(b"\x0a" * (MAX_MESSAGE_BYTES + 1), metadata=metadata)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
