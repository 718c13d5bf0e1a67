"""What is particular to the gRPC transport: statuses, trailing metadata, half-close."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from gateway.session_settings import SessionSettings
from gateway.transports.grpc_stream import address_of
from gateway.wire.proto import speech_pb2 as pb
from gateway.wire.proto import speech_pb2_grpc
from tests.contracts.gateway_in_process import GatewayInProcess, running_gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.integration

PCM_100_MS = b"\x01\x00" * 1_600


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[GatewayInProcess]:
    settings = SessionSettings(handshake_timeout_ms=500)
    async with asyncio.timeout(60), running_gateway(tmp_path, asyncio.get_running_loop(), sessions=settings) as running:
        yield running


async def call(
    gateway: GatewayInProcess, messages: list[pb.ClientMessage], token: str | None = ""
) -> tuple[list[Any], grpc.StatusCode, dict[str, str]]:
    """Messages, status and trailing metadata of one call that half-closes after `messages`."""
    given = gateway.token() if token == "" else token
    metadata = () if given is None else (("authorization", f"Bearer {given}"),)
    async with grpc.aio.insecure_channel(gateway.grpc) as channel:
        stream = speech_pb2_grpc.SpeechStub(channel).Stream(iter(messages), metadata=metadata)
        heard = []
        try:
            async for message in stream:
                heard.append(message)  # noqa: PERF401
        except grpc.aio.AioRpcError:
            pass
        trailing = {str(key): str(value) for key, value in await stream.trailing_metadata() or ()}
        return heard, await stream.code(), trailing


START = pb.ClientMessage(start=pb.Start())


async def test_half_closing_means_finish(gateway: GatewayInProcess) -> None:
    heard, status, _ = await call(gateway, [START, pb.ClientMessage(audio=PCM_100_MS)])
    assert [message.WhichOneof("message") for message in heard] == [
        "started",
        "final",
        "utterance_end",
        "ack",
        "usage",
        "finished",
    ]
    assert status is grpc.StatusCode.OK


@pytest.mark.parametrize(
    ("messages", "token", "status", "reason"),
    [
        ([START], "nonsense", grpc.StatusCode.UNAUTHENTICATED, "token_malformed"),
        ([START], None, grpc.StatusCode.UNAUTHENTICATED, "token_missing"),
        ([pb.ClientMessage()], "", grpc.StatusCode.INVALID_ARGUMENT, "malformed_message"),
        ([pb.ClientMessage(finish=pb.Finish())], "", grpc.StatusCode.FAILED_PRECONDITION, "unexpected_message"),
        ([], "", grpc.StatusCode.DEADLINE_EXCEEDED, "handshake_timeout"),
        ([START, pb.ClientMessage(audio=b"odd")], "", grpc.StatusCode.INVALID_ARGUMENT, "misaligned_audio"),
        ([START, pb.ClientMessage()], "", grpc.StatusCode.INVALID_ARGUMENT, "malformed_message"),
    ],
)
async def test_a_refusal_is_an_error_message_a_status_and_the_reason_in_the_trailing_metadata(
    gateway: GatewayInProcess,
    messages: list[pb.ClientMessage],
    token: str | None,
    status: grpc.StatusCode,
    reason: str,
) -> None:
    heard, code, trailing = await call(gateway, messages, token)
    assert heard[-1].error.reason == reason
    assert code is status
    assert trailing["patchbay-reason"] == reason


async def test_the_token_of_the_start_will_do(gateway: GatewayInProcess) -> None:
    start = pb.ClientMessage(start=pb.Start(token=gateway.token()))
    heard, status, _ = await call(gateway, [start], token=None)
    assert heard[0].WhichOneof("message") == "started"
    assert status is grpc.StatusCode.OK


async def test_a_session_that_a_fault_of_ours_keeps_from_beginning_keeps_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_gateway(tmp_path, asyncio.get_running_loop(), max_sessions=1) as gateway:
        start = pb.ClientMessage(start=pb.Start(token=gateway.token()))
        with monkeypatch.context() as broken:
            broken.setattr(gateway.reception, "begin", None)
            assert (await call(gateway, [start], token=None))[1] is grpc.StatusCode.UNKNOWN
        assert (await call(gateway, [start], token=None))[1] is grpc.StatusCode.OK


async def test_a_retryable_refusal_says_when(gateway: GatewayInProcess) -> None:
    gateway.reception.close()
    _, status, trailing = await call(gateway, [START])
    assert status is grpc.StatusCode.UNAVAILABLE
    assert int(trailing["patchbay-retry-after-ms"]) > 0


async def test_a_client_that_cancels_frees_its_session(gateway: GatewayInProcess) -> None:
    async with grpc.aio.insecure_channel(gateway.grpc) as channel:
        metadata = (("authorization", f"Bearer {gateway.token()}"),)
        stream = speech_pb2_grpc.SpeechStub(channel).Stream(metadata=metadata)
        await stream.write(START)
        assert (await stream.read()).WhichOneof("message") == "started"
        assert len(gateway.registry) == 1
        stream.cancel()
        while len(gateway.registry):
            await asyncio.sleep(0.005)
    assert gateway.refusals() == {("grpc", "client_gone"): 1.0}


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:192.0.2.1:50001", "192.0.2.1"),
        ("ipv6:[2001:db8::1]:50001", "2001:db8::1"),
        ("ipv6:%5B2001:db8::1%5D:50001", "2001:db8::1"),
        ("ipv6:%5B::ffff:192.0.2.1%5D:50001", "::ffff:192.0.2.1"),
        ("unix:/run/patchbay/grpc.sock", ""),
        ("unix:", ""),
        ("", ""),
    ],
)
def test_the_address_of_a_peer_is_what_limits_are_for(peer: str, address: str) -> None:
    assert address_of(peer) == address
