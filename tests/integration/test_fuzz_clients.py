"""Whatever bytes a client sends, it gets a typed answer or a close in time; the gateway lives, nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import struct
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from gateway.errors import TABLE, Reason
from gateway.transports.grpc_stream import REASON_METADATA
from gateway.wire.messages import ErrorMessage, Start
from gateway.wire.proto import speech_pb2 as pb
from tests.harness.caller import Caller, start_of, transcribe
from tests.harness.metrics import has_no_sessions, scrape
from tests.harness.raw_websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    TEXT,
    Ending,
    frame,
    raw_connection,
    raw_websocket,
    upgrade_request,
)
from tests.harness.recordings import cut, pcm_of, pieces_of
from tests.harness.region import Region, start_region
from tests.harness.waiting import until_true

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.integration

TIMEOUT_MS = 2_000
MAX_MESSAGE_BYTES = 65_536
SEEDS = range(40)
START = b'{"type":"start"}'
DIALOGUE = pieces_of(pcm_of("dialogue_awb.wav"))[:50]
ANSWERS = {
    *(row.ws_close for row in TABLE.values()),
    *(1_000, 1_001, 1_002, 1_003, 1_007, 1_009),  # what RFC 6455 §7.4.1 has for bytes that are no messages
}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    with start_region(
        tmp_path_factory.mktemp("region"),
        sessions__handshake_timeout_ms=TIMEOUT_MS,
        sessions__idle_timeout_ms=TIMEOUT_MS,
        sessions__max_message_bytes=MAX_MESSAGE_BYTES,
        sessions__max_waiting_bytes=2 * MAX_MESSAGE_BYTES,
    ) as running:
        yield running


@pytest.fixture(scope="module")
def undisturbed(target: Region) -> Caller:
    return asyncio.run(transcribe(target, DIALOGUE))


@pytest.fixture(autouse=True)
async def bystander(target: Region, undisturbed: Caller) -> AsyncIterator[None]:
    """Speaks through each test, and checks afterwards that the gateway is whole."""
    pid = target.gateway_pid
    speaking = asyncio.create_task(transcribe(target, DIALOGUE, speed=20.0))
    yield
    caller = await speaking
    assert (caller.error, caller.finals) == (None, undisturbed.finals)
    assert target.gateway_pid == pid
    await until_true(lambda: has_no_sessions(target), what="the end of all sessions")
    assert (await scrape(target))("patchbay_sessions_closed_total", reason="internal_error") == 0
    assert "Traceback" not in target.log_text()


async def upgraded(target: Region, data: bytes) -> Ending:
    """Send bytes after the upgrade; what came back until the server closed."""
    async with raw_websocket(target) as socket:
        with contextlib.suppress(ConnectionError):
            await socket.send(data)
        return await socket.read_to_the_end()


def check(ending: Ending) -> None:
    """An error, if there is one, is a reason of the table, and the close code is that of the reason."""
    errors = [message for message in ending.messages if isinstance(message, ErrorMessage)]
    for error in errors:
        row = TABLE[Reason(error.reason)]
        assert error.reason != "internal_error", ending
        assert ending.close_code in (row.ws_close, None), ending
    assert ending.close_code is None or ending.close_code in ANSWERS, ending


async def check_all(target: Region, payloads: list[bytes]) -> list[Ending]:
    endings = await asyncio.gather(*(upgraded(target, payload) for payload in payloads))
    for ending in endings:
        check(ending)
    return endings


# --- WebSocket ----------------------------------------------------------------------------------------------


async def test_random_bytes_after_the_upgrade(target: Region) -> None:
    await check_all(target, [random.Random(seed).randbytes(1 + seed * 50) for seed in SEEDS])


async def test_random_bytes_after_the_start(target: Region) -> None:
    begin = frame(TEXT, START)
    await check_all(target, [begin + random.Random(seed).randbytes(1 + seed * 50) for seed in SEEDS])


async def test_random_text(target: Region) -> None:
    payloads = []
    for seed in SEEDS:
        dice = random.Random(seed)
        text = "".join(chr(dice.choice([dice.randrange(32, 127), dice.randrange(0xD7FF)])) for _ in range(200))
        payloads.append(frame(TEXT, text.encode()))
    endings = await check_all(target, payloads)
    assert {ending.close_code for ending in endings} == {4_400}


def random_json(dice: random.Random, depth: int = 0) -> Any:
    kinds: list[Any] = [
        None,
        True,
        dice.randrange(-(2**70), 2**70),
        dice.random(),
        "x" * dice.randrange(50),
        "start",
        "pcm_s16le",
    ]
    if depth < 4:
        kinds.append([random_json(dice, depth + 1) for _ in range(dice.randrange(4))])
        kinds.append({dice.choice(NAMES): random_json(dice, depth + 1) for _ in range(dice.randrange(4))})
    return dice.choice(kinds)


NAMES = ["type", "audio", "encoding", "sample_rate_hz", "channels", "channel", "language", "token", "endpointing", "x"]


async def test_random_json_as_the_first_message(target: Region) -> None:
    payloads = []
    for seed in SEEDS:
        dice = random.Random(seed)
        body = {"type": dice.choice(["start", "finish", "audio", "final", 3])}
        body |= {name: random_json(dice) for name in dice.sample(NAMES[1:], 3)}
        payloads.append(frame(TEXT, json.dumps(body).encode()))
    endings = await check_all(target, payloads)
    assert all(ending.messages or ending.close_code for ending in endings)


async def test_random_json_after_the_start(target: Region) -> None:
    payloads = []
    for seed in SEEDS:
        dice = random.Random(seed)
        bodies = [{"type": dice.choice(["finalize", "keepalive", "start", "nothing"]), "id": random_json(dice)}] * 3
        payloads.append(
            frame(TEXT, START) + b"".join(frame(TEXT, json.dumps(body).encode()) for body in bodies) + frame(BINARY)
        )
    await check_all(target, payloads)


@pytest.mark.parametrize("encoding", ["flac", "ogg_opus", "webm_opus", "wav", "mp3", "opus", "mulaw"])
async def test_random_bytes_as_audio(target: Region, encoding: str) -> None:
    magics = [b"", b"fLaC", b"OggS", b"\x1a\x45\xdf\xa3", b"RIFF\xff\xff\xff\xffWAVEfmt ", b"ID3", b"\xff\xfb"]
    start = frame(TEXT, json.dumps({"type": "start", "audio": {"encoding": encoding}}).encode())
    payloads = []
    for seed in range(21):
        dice = random.Random(seed)
        data = magics[seed % len(magics)] + dice.randbytes(20_000)
        payloads.append(start + b"".join(frame(BINARY, piece) for piece in cut(data, 1_000)))
    await check_all(target, payloads)


CASES: dict[str, tuple[bytes, set[int]]] = {
    "binary first": (frame(BINARY, b"abc"), {4_409}),
    "empty text": (frame(TEXT), {4_400}),
    "bad utf-8": (frame(TEXT, b'{"type":"start\xff\xfe"}'), {4_400, 1_007}),
    "lone surrogate": (frame(TEXT, b'{"type":"start","model":"\\ud800"}'), {4_400}),
    "deep nesting": (frame(TEXT, b"[" * 60_000), {4_400}),
    "huge number": (frame(TEXT, b'{"type":"start","max_utterance_ms":' + b"9" * 5_000 + b"}"), {4_400}),
    "a start of 64 kB": (frame(TEXT, b'{"type":"start","model":"' + b"x" * 65_400 + b'"}'), {4_400, 1_009}),
    "compressed bit": (frame(TEXT, START, reserved_bits=4), {4_400, 1_002}),
    "reserved bits": (frame(TEXT, START, reserved_bits=3), {4_400, 1_002}),
    "reserved opcode": (frame(3, START), {4_400, 1_002}),
    "reserved control opcode": (frame(11, START), {4_400, 1_002}),
    "continuation of nothing": (frame(CONTINUATION, START), {4_400, 1_002}),
    "a text inside a fragmented text": (
        frame(TEXT, START[:5], is_final=False) + frame(TEXT, START[5:]),
        {4_400, 1_002},
    ),
    "fragmented ping": (frame(PING, b"x", is_final=False), {4_400, 1_002}),
    "long ping": (frame(PING, b"x" * 126), {4_400, 1_002}),
    "close of one byte": (frame(CLOSE, b"x"), {4_400, 1_002}),
    "close with a reserved code": (frame(CLOSE, struct.pack("!H", 1_005)), {4_400, 1_002, 1_001, 1_000}),
    "a frame that says 2^62 bytes": (struct.pack("!BBQ", 0x82, 0xFF, 2**62) + bytes(4) + b"x", {1_009, 4_400, 1_002}),
    "a frame that says 2^63 bytes": (struct.pack("!BBQ", 0x82, 0xFF, 2**63) + bytes(4) + b"x", {1_009, 4_400, 1_002}),
    "a message beyond the bound": (frame(BINARY, bytes(MAX_MESSAGE_BYTES + 1)), {1_009}),
    "fragments beyond the bound": (
        frame(BINARY, bytes(40_000), is_final=False) + frame(CONTINUATION, bytes(40_000)),
        {1_009},
    ),
}


NO_FAULT_AFTER_THE_START = {"binary first", "a start of 64 kB"}


@pytest.mark.parametrize("is_started", [False, True])
async def test_a_frame_that_breaks_the_rules_is_answered_with_a_close(target: Region, is_started: bool) -> None:
    names = [name for name in CASES if not (is_started and name in NO_FAULT_AFTER_THE_START)]
    begin = frame(TEXT, START) if is_started else b""
    endings = await check_all(target, [begin + CASES[name][0] for name in names])
    wrong = [
        (name, ending) for name, ending in zip(names, endings, strict=True) if ending.close_code not in CASES[name][1]
    ]
    assert wrong == []


async def test_a_start_in_many_fragments_is_a_start(target: Region) -> None:
    pieces = cut(START, 3)
    data = frame(TEXT, pieces[0], is_final=False)
    data += b"".join(frame(CONTINUATION, piece, is_final=False) + frame(PING, b"?") for piece in pieces[1:])
    data += frame(CONTINUATION) + frame(BINARY, bytes(3_200)) + frame(TEXT, b'{"type":"finish"}')
    ending = await upgraded(target, data)
    assert type(ending.messages[0]).__name__ == "Started"
    assert type(ending.messages[-1]).__name__ == "Finished"
    assert ending.close_code == 1_000


async def test_an_unmasked_frame_ends_nothing_but_its_own_session(target: Region) -> None:
    """RFC 6455 §5.1 asks for a close; aiohttp takes the frame as it is."""
    ending = await upgraded(target, frame(TEXT, START, is_masked=False) + frame(TEXT, b'{"type":"finish"}'))
    check(ending)
    assert ending.close_code in (1_000, 1_002, 4_400)


# --- the HTTP port ------------------------------------------------------------------------------------------


async def test_garbage_on_the_http_port_is_answered_or_closed(target: Region) -> None:
    """A whole request that is none; half a request is closed when its sender leaves."""

    async def send(data: bytes) -> bytes:
        async with raw_connection(target) as (reader, writer), asyncio.timeout(60):
            answer = b""
            with contextlib.suppress(ConnectionError):
                writer.write(data)
                await writer.drain()
                writer.write_eof()
                answer = await reader.read(100)
            return answer

    whole = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),  # a TLS hello
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /v1/stream HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nX: \x00\x01\r\n\r\n",
        b"POST /v1/stream HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
    ]
    answers = await asyncio.gather(*(send(data) for data in whole))
    assert all(answer == b"" or answer.split()[1].startswith(b"4") for answer in answers), answers
    noise = [random.Random(seed).randbytes(1 + 97 * seed) for seed in SEEDS]
    answers = await asyncio.gather(*(send(data) for data in noise))
    assert all(answer == b"" or answer.startswith(b"HTTP/1.") for answer in answers), answers


@pytest.mark.parametrize(
    "request_text",
    [
        "GET /v1/stream?token={token} HTTP/9.9\r\n\r\n",
        "GET /v1/stream?token={token} is no HTTP\r\n\r\n",
        "GET /v1/stream HTTP/1.1\r\nAuthorization: Bearer {token}\x00\r\n\r\n",
        "GET /v1/stream HTTP/1.1\r\nAuthorization Bearer {token}\r\n\r\n",
        "GET /v1/stream?token={token}" + "x" * 9_000 + " HTTP/1.1\r\n\r\n",
        "{token}\r\n\r\n",
    ],
)
async def test_a_token_in_a_broken_request_is_not_logged(target: Region, request_text: str) -> None:
    token = target.token(tenant="canary")
    async with raw_connection(target) as (reader, writer):
        writer.write(request_text.format(token=token).encode())
        async with asyncio.timeout(60):
            assert (await reader.readuntil(b"\r\n")).split()[1].startswith(b"4")
    for part in token.split("."):
        assert part not in target.log_text()


@pytest.mark.parametrize(
    ("extra", "status"),
    [
        ("Sec-WebSocket-Protocol: bearer.nonsense\r\n", b"401"),
        ("Authorization: Basic eDp5\r\n", b"401"),
        ("Authorization: Bearer " + "x" * 7_000 + "\r\n", b"401"),
        ("Authorization: Bearer a.b.c\r\nAuthorization: Bearer d.e.f\r\n", b"401"),
        ("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99\r\n", b"101"),
    ],
)
async def test_a_wrong_upgrade_is_answered(target: Region, extra: str, status: bytes) -> None:
    async with raw_connection(target) as (reader, writer):
        writer.write(upgrade_request(target, None, extra=extra))
        async with asyncio.timeout(60):
            assert (await reader.readuntil(b"\r\n")).split()[1] == status


# --- gRPC ---------------------------------------------------------------------------------------------------


async def call_with(target: Region, messages: list[bytes]) -> tuple[grpc.StatusCode, str]:
    """The status and the reason of a call whose messages are bytes of any kind."""
    async with grpc.aio.insecure_channel(target.grpc) as channel, asyncio.timeout(60):
        call = channel.stream_stream("/patchbay.v1.Speech/Stream")(
            iter(messages), metadata=(("authorization", f"Bearer {target.token()}"),)
        )
        with contextlib.suppress(grpc.aio.AioRpcError):
            async for _ in call:
                pass
        trailing = {str(key): str(value) for key, value in await call.trailing_metadata() or ()}
        return await call.code(), trailing.get(REASON_METADATA, "")


GRPC_START = pb.ClientMessage(start=pb.Start()).SerializeToString()
NO_PROTOBUF = b"\xff" * 40


async def test_bytes_that_are_no_protobuf_are_refused_as_malformed(target: Region) -> None:
    expected = (grpc.StatusCode.INVALID_ARGUMENT, "malformed_message")
    assert await call_with(target, [NO_PROTOBUF]) == expected
    assert await call_with(target, [GRPC_START, NO_PROTOBUF]) == expected


async def test_random_bytes_as_protobuf(target: Region) -> None:
    outcomes = await asyncio.gather(
        *(call_with(target, [random.Random(seed).randbytes(1 + 11 * seed)]) for seed in SEEDS),
        *(call_with(target, [GRPC_START, random.Random(seed).randbytes(1 + 11 * seed)]) for seed in SEEDS),
    )
    for status, reason in outcomes:
        assert status in (grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION)
        assert reason in {"", *Reason}


async def test_mutated_starts_over_grpc(target: Region) -> None:
    good = pb.ClientMessage(
        start=pb.Start(audio=pb.AudioSpec(encoding="pcm_s16le", sample_rate_hz=16_000), language="en", model="embedded")
    ).SerializeToString()

    def mutated(seed: int) -> bytes:
        dice = random.Random(seed)
        data = bytearray(good)
        for _ in range(1 + seed % 3):
            data[dice.randrange(len(data))] = dice.randrange(256)
        return bytes(data)

    for status, reason in await asyncio.gather(*(call_with(target, [mutated(seed)]) for seed in SEEDS)):
        assert reason in {"", *Reason}
        assert reason != "internal_error"
        assert status is not grpc.StatusCode.UNKNOWN


async def test_a_message_beyond_the_bound_is_refused_by_name_over_grpc(target: Region) -> None:
    large = pb.ClientMessage(audio=bytes(2 * MAX_MESSAGE_BYTES)).SerializeToString()
    assert await call_with(target, [GRPC_START, large]) == (grpc.StatusCode.INVALID_ARGUMENT, "message_too_large")


async def test_a_message_far_beyond_the_bound_is_refused_over_grpc(target: Region) -> None:
    huge = pb.ClientMessage(audio=bytes(8 * MAX_MESSAGE_BYTES)).SerializeToString()
    status, _ = await call_with(target, [GRPC_START, huge])
    assert status is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_garbage_on_the_grpc_port_is_closed(target: Region) -> None:
    host, _, port = target.grpc.rpartition(":")

    async def send(data: bytes) -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        with contextlib.suppress(ConnectionError):
            writer.write(data)
            writer.write_eof()
            async with asyncio.timeout(60):
                await reader.read()
        writer.transport.abort()

    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    noise = [random.Random(seed).randbytes(1 + 97 * seed) for seed in SEEDS]
    await asyncio.gather(*(send(data) for data in noise), *(send(preface + data) for data in noise))


async def test_options_out_of_range_are_refused_with_every_mistake(target: Region) -> None:
    start = Start(audio=start_of("pcm_s16le", 1).audio, max_utterance_ms=1)
    for protocol in ("ws", "grpc"):
        caller = await transcribe(target, [], start=start, protocol=protocol)
        assert caller.error is not None
        assert caller.error.reason == "bad_audio_format"
        caller = await transcribe(target, [], start=Start(max_utterance_ms=-1), protocol=protocol)
        assert caller.error is not None
        assert caller.error.reason == "bad_option"
