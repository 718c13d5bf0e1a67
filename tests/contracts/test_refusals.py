"""How a refusal reaches real clients of each transport, and that of several reasons to refuse the first one wins."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import aiohttp
import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from engines.interface import RefusalReason, Refused
from gateway.admission.settings import AddressSettings
from gateway.cli.connection import ConnectionFailed, TransportChoice, connect
from gateway.cli.exit_codes import ExitCode
from gateway.errors import AuthenticationFailed, QuotaRefused, Reason, SessionRefused
from gateway.wire import codec, proto_codec
from gateway.wire.messages import ErrorMessage, Start
from gateway.wire.proto import speech_pb2_grpc
from gateway.wire.stream_messages import TEXT
from policies.plans import Level
from tests.contracts.gateway_in_process import GatewayInProcess, running_gateway
from tests.fakes.engine_pool import FakePool
from tests.fakes.policy_sets import GivenPolicySets
from tests.harness.raw_websocket import RawWebSocket, frame
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from gateway.admission.admit import AdmissionSteps
    from gateway.limits.interface import SessionTab
    from policies.facts import Caller
    from policies.plans import CallerPlan

pytestmark = pytest.mark.integration

DEADLINE_S = 60.0
LIMITED = {"handshakes_per_minute": 1, "handshake_burst": 1, "exempt_networks": ()}


class UsedUp:
    """Limits that refuse everybody."""

    async def acquire(self, plan: CallerPlan, *, session_id: str) -> SessionTab:
        raise QuotaRefused(
            Reason.quota_exhausted,
            "the org has used up the compute of its plan",
            retry_after_ms=1_500,
            level=Level.org,
            remaining=0,
            limit=60_000_000,
            window_s=60,
        )


class RevokedAll:
    def check(self, caller: Caller) -> None:
        raise AuthenticationFailed(Reason.token_revoked)


class NoPolicy(GivenPolicySets):
    def __init__(self) -> None:
        super().__init__(lambda _: SessionRefused(Reason.scope_missing, "no policy set admits this tenant here"))


class NoPlans:
    def resolve(self, caller: Caller) -> None:
        return None


def used_up(steps: AdmissionSteps) -> AdmissionSteps:
    return replace(steps, limits=UsedUp())


@contextlib.asynccontextmanager
async def gateway_with(state: Path, **options: Any) -> AsyncIterator[GatewayInProcess]:
    async with (
        asyncio.timeout(3 * DEADLINE_S),
        running_gateway(state, asyncio.get_running_loop(), **options) as gateway,
    ):
        yield gateway


# --- the order ------------------------------------------------------------------------------------

STEPS = {
    "address": Reason.address_limited,
    "token": Reason.token_malformed,
    "revocation": Reason.token_revoked,
    "policy": Reason.scope_missing,
    "plan": Reason.unknown_plan,
    "limits": Reason.quota_exhausted,
    "placement": Reason.no_capacity,
}
_BROKEN = {
    "revocation": {"revocations": RevokedAll()},
    "policy": {"policies": NoPolicy()},
    "plan": {"plans": NoPlans()},
    "limits": {"limits": UsedUp()},
}


class FullPool(FakePool):
    """Refuses whatever it is asked."""

    def open(self, stream: Any, on_event: Any) -> Any:
        opened = super().open(stream, on_event)
        refused = Refused(stream.epoch, RefusalReason.no_free_slot, retry_after_ms=10)
        asyncio.get_running_loop().call_soon(opened.say, refused)
        return opened


async def reason_heard(gateway: GatewayInProcess, protocol: str, token: str) -> str:
    """The first reason that a client hears."""
    try:
        async with gateway.connect(protocol, token) as connection:
            await connection.send(Start())
            async for message in connection.messages():
                if isinstance(message, ErrorMessage):
                    return message.reason
    except ConnectionFailed as failed:
        return next((reason.value for reason in Reason if f" {reason.value}:" in f"{failed}"), str(failed))
    return "nothing"


PAIRS = [*itertools.combinations(STEPS, 2), *((one, one) for one in STEPS)]


@pytest.mark.parametrize(
    ("first", "second", "protocol"),
    [
        *((*pair, "ws") for pair in PAIRS),
        *((*pair, "webtransport") for pair in PAIRS if pair[0] != "placement"),  # which takes its time
    ],
)
async def test_of_two_reasons_to_refuse_the_earlier_one_is_told(
    tmp_path: Path, first: str, second: str, protocol: str
) -> None:
    broken = {name: part for step in {first, second} for name, part in _BROKEN.get(step, {}).items()}
    pool: FakePool = FullPool(is_obliging=False) if "placement" in (first, second) else FakePool()
    async with gateway_with(
        tmp_path,
        pool=pool,
        addresses=AddressSettings(**LIMITED) if "address" in (first, second) else None,
        steps=lambda standard: replace(standard, **broken),
    ) as gateway:
        sweeping = asyncio.create_task(gateway.registry.sweep_for_ever())
        if "address" in (first, second):
            with gateway.reception.knock("127.0.0.1"):
                pass
        token = "nonsense" if "token" in (first, second) else gateway.token()
        assert await reason_heard(gateway, protocol, token) == STEPS[first].value
        assert bool(pool.streams) == (first == "placement"), "an engine is asked last"
        sweeping.cancel()


# --- HTTP -----------------------------------------------------------------------------------------


async def test_before_the_upgrade_a_limit_is_429_with_its_fields(tmp_path: Path) -> None:
    async with gateway_with(tmp_path, steps=used_up) as gateway, aiohttp.ClientSession() as http:
        headers = {"Authorization": f"Bearer {gateway.token()}"}
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(gateway.websocket, headers=headers)
        assert refused.value.status == 429
        async with http.get(gateway.websocket.replace("ws://", "http://"), headers=headers) as response:
            assert (response.status, response.content_type) == (429, "application/json")
            fields = {name: response.headers[name] for name in ("RateLimit-Policy", "RateLimit", "Retry-After")}
            body = await response.json()
        assert response.headers["Patchbay-Reason"] == "quota_exhausted"
    assert fields == {
        "RateLimit-Policy": '"org-compute";q=60000;qu="compute-ms";w=60',
        "RateLimit": '"org-compute";r=0;t=2',
        "Retry-After": "2",
    }
    assert body == {
        "reason": "quota_exhausted",
        "message": "the org has used up the compute of its plan",
        "retryable": True,
        "retry_after_ms": 1_500,
        "level": "org",
        "gateways": [],
        "type": "error",
    }


async def test_an_address_that_knocks_too_fast_gets_429_and_nothing_of_its_token_is_looked_at(tmp_path: Path) -> None:
    async with gateway_with(tmp_path, addresses=AddressSettings(**LIMITED)) as gateway, aiohttp.ClientSession() as http:
        url = gateway.websocket.replace("ws://", "http://")
        statuses = []
        for _ in range(2):
            async with http.get(url, headers={"Authorization": "Basic nonsense"}) as response:
                statuses.append(response.status)
        assert statuses == [401, 429]
        assert response.headers["RateLimit-Policy"] == '"address-handshakes";q=1;w=60'
        assert int(response.headers["Retry-After"]) >= 59
        assert gateway.refusals()["websocket", "address_limited"] == 1


async def test_wrong_tokens_close_the_door_to_their_address(tmp_path: Path) -> None:
    settings = AddressSettings(failures_per_minute=1, failure_burst=2, exempt_networks=())
    async with gateway_with(tmp_path, addresses=settings) as gateway:
        tried = ("webtransport", "grpc", "ws", "webtransport", "grpc")
        heard = [await reason_heard(gateway, protocol, "a.b.c") for protocol in tried]
        assert heard[:2] == ["token_malformed", "token_malformed"]
        assert heard[2:4] == ["address_limited", "address_limited"]
        assert heard[4].startswith("gRPC RESOURCE_EXHAUSTED: too many wrong tokens")


# --- WebSocket ------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def raw(gateway: GatewayInProcess) -> AsyncIterator[RawWebSocket]:
    """An upgraded connection without a token."""
    port = int(gateway.websocket.split(":")[2].split("/")[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"GET /v1/stream HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    yield RawWebSocket(reader, writer)
    writer.transport.abort()


async def test_after_the_upgrade_the_close_frame_has_the_reason_and_the_hints(tmp_path: Path) -> None:
    async with gateway_with(tmp_path, steps=used_up) as gateway, raw(gateway) as client:
        await client.send_text(codec.encode_client(Start(token=gateway.token())))
        ending = await client.read_to_the_end()
    (error,) = ending.messages
    assert isinstance(error, ErrorMessage)
    assert (error.reason, error.retry_after_ms, error.level) == ("quota_exhausted", 1_500, "org")
    assert (ending.close_code, ending.close_reason) == (4431, "quota_exhausted; retry_after_ms=1500; level=org")


async def test_over_webtransport_the_closing_capsule_has_the_reason_and_the_hints(tmp_path: Path) -> None:
    """The session is accepted before the gateway is asked: a browser would not be told why it was not."""
    async with gateway_with(tmp_path, steps=used_up) as gateway:
        for headers in ({"authorization": f"Bearer {gateway.token()}"}, {}):
            async with gateway.webtransport.open(headers) as session:
                await session.send(TEXT, codec.encode_client(Start(token=gateway.token())).encode())
                async with asyncio.timeout(DEADLINE_S):
                    messages = [codec.decode_server(payload) async for _, payload in session.messages()]
            (error,) = messages
            assert isinstance(error, ErrorMessage)
            assert (error.reason, error.retry_after_ms, error.level) == ("quota_exhausted", 1_500, "org")
            close = (session.close_code, session.close_reason)
            assert close == (4431, "quota_exhausted; retry_after_ms=1500; level=org")
        assert gateway.refusals() == {("webtransport", "quota_exhausted"): 2.0}


@pytest.mark.parametrize("protocol", ["ws", "grpc", "webtransport"])
async def test_a_limit_that_ends_a_session_is_told_as_one_that_refuses_it(tmp_path: Path, protocol: str) -> None:
    async with gateway_with(tmp_path) as gateway, _session(gateway, protocol) as end_of:
        for runner in list(gateway.registry._runners):
            runner.refuse(
                QuotaRefused(
                    Reason.quota_exhausted, "", retry_after_ms=700, level=Level.key, remaining=0, limit=1_000_000
                )
            )
        ended = await end_of()
    assert ended == {"reason": "quota_exhausted", "retry_after_ms": 700, "level": "key"}


@contextlib.asynccontextmanager
async def _session(gateway: GatewayInProcess, protocol: str) -> AsyncIterator[Callable[[], Any]]:
    """A running session, and what its end says outside of its messages."""
    start = codec.encode_client(Start(token=gateway.token()))
    if protocol == "ws":
        async with raw(gateway) as client:
            await client.send_text(start)
            await until(lambda: len(gateway.registry) == 1)

            async def end_of_socket() -> dict[str, object]:
                return _hints_of((await client.read_to_the_end()).close_reason)

            yield end_of_socket
            return
    if protocol == "webtransport":
        async with gateway.webtransport.open() as session:
            await session.send(TEXT, start.encode())
            await until(lambda: len(gateway.registry) == 1)

            async def end_of_session() -> dict[str, object]:
                async with asyncio.timeout(DEADLINE_S):
                    assert [message async for message in session.messages()]
                return _hints_of(session.close_reason)

            yield end_of_session
            return
    async with grpc.aio.insecure_channel(gateway.grpc) as channel:
        call = speech_pb2_grpc.SpeechStub(channel).Stream()  # type: ignore[no-untyped-call]
        await call.write(proto_codec.encode_client(Start(token=gateway.token())))
        await until(lambda: len(gateway.registry) == 1)

        async def end_of_call() -> dict[str, object]:
            await _end_of(call)
            _, retry, quota, metadata = await _status_of(call)
            return {
                "reason": metadata["patchbay-reason"],
                "retry_after_ms": retry.retry_delay.ToMilliseconds(),
                "level": quota.violations[0].subject,
            }

        yield end_of_call


def _hints_of(close_text: str) -> dict[str, object]:
    reason, retry, level = close_text.split("; ")
    return {
        "reason": reason,
        "retry_after_ms": int(retry.removeprefix("retry_after_ms=")),
        "level": level.removeprefix("level="),
    }


async def test_a_client_that_only_heard_the_close_frame_knows_why_and_when_to_come_again(tmp_path: Path) -> None:
    """Its `error` message may be lost where something between closes early."""

    async def closes(request: aiohttp.web.Request) -> aiohttp.web.WebSocketResponse:
        socket = aiohttp.web.WebSocketResponse()
        await socket.prepare(request)
        await socket.close(code=4431, message=b"quota_exhausted; retry_after_ms=1500; level=org")
        return socket

    app = aiohttp.web.Application()
    app.router.add_get("/v1/stream", closes)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"ws://127.0.0.1:{runner.addresses[0][1]}/v1/stream"
    async with connect(url, "token", protocol=TransportChoice.ws) as connection:
        with pytest.raises(ConnectionFailed) as failure:
            [message async for message in connection.messages()]
    assert (failure.value.exit_code, failure.value.retry_after_ms) == (ExitCode.unavailable, 1_500)
    assert "try again after 1.5 s" in str(failure.value)
    await runner.cleanup()


# --- gRPC -----------------------------------------------------------------------------------------


async def _end_of(call: Any) -> int:
    """Read to the end; gives how many messages came."""
    count = 0
    with contextlib.suppress(grpc.aio.AioRpcError):
        while await call.read() is not grpc.aio.EOF:
            count += 1
    return count


async def _status_of(
    call: Any,
) -> tuple[status_pb2.Status, error_details_pb2.RetryInfo, error_details_pb2.QuotaFailure, dict[str, Any]]:
    metadata = dict(await call.trailing_metadata())
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    retry, quota = error_details_pb2.RetryInfo(), error_details_pb2.QuotaFailure()
    for detail in status.details:
        _ = detail.Unpack(retry) or detail.Unpack(quota)
    assert (status.code, status.message) == ((await call.code()).value[0], await call.details())
    return status, retry, quota, metadata


async def test_over_grpc_a_limit_is_resource_exhausted_with_retry_info(tmp_path: Path) -> None:
    async with gateway_with(tmp_path, steps=used_up) as gateway, grpc.aio.insecure_channel(gateway.grpc) as channel:
        call = speech_pb2_grpc.SpeechStub(channel).Stream(  # type: ignore[no-untyped-call]
            metadata=(("authorization", f"Bearer {gateway.token()}"),)
        )
        message = proto_codec.decode_server(await call.read())
        assert isinstance(message, ErrorMessage)
        assert (message.reason, message.level) == ("quota_exhausted", "org")
        await _end_of(call)
        assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        _, retry, quota, metadata = await _status_of(call)
    assert retry.retry_delay.ToMilliseconds() == 1_500
    assert [(one.subject, one.description) for one in quota.violations] == [("org", "quota_exhausted")]
    assert (metadata["patchbay-reason"], metadata["patchbay-retry-after-ms"]) == ("quota_exhausted", "1500")


async def test_over_grpc_a_flooding_address_gets_a_status_and_nothing_else(tmp_path: Path) -> None:
    async with (
        gateway_with(tmp_path, addresses=AddressSettings(**LIMITED)) as gateway,
        grpc.aio.insecure_channel(gateway.grpc) as channel,
    ):
        with gateway.reception.knock("127.0.0.1"):
            pass
        call = speech_pb2_grpc.SpeechStub(channel).Stream()  # type: ignore[no-untyped-call]
        assert await _end_of(call) == 0
        _, retry, quota, metadata = await _status_of(call)
        assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert 59_000 <= retry.retry_delay.ToMilliseconds() <= 60_000
    assert quota.violations[0].subject == "address"
    assert metadata["patchbay-reason"] == "address_limited"


async def test_what_waits_for_its_start_counts_until_it_comes(tmp_path: Path) -> None:
    settings = AddressSettings(max_pending=1, exempt_networks=())
    async with gateway_with(tmp_path, addresses=settings) as gateway:
        async with raw(gateway) as client:
            assert await reason_heard(gateway, "ws", gateway.token()) == "address_limited"
            await client.send_text(codec.encode_client(Start(token=gateway.token())))
            await until(lambda: len(gateway.registry) == 1)
            async with connect(gateway.websocket, gateway.token(), protocol=TransportChoice.ws):
                pass
            await client.send(frame(8, b"\x03\xe8"))
        await until(lambda: not len(gateway.registry))
