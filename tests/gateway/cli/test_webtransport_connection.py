"""The client's connection over WebTransport: the same conversation, datagrams, and a typed failure for each end."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.connection import ConnectionFailed, TransportChoice, UnreachableSo, connect
from gateway.cli.exit_codes import ExitCode
from gateway.cli.webtransport_connection import WebTransportChoices, _DatagramLane, webtransport_url
from gateway.webtransport.client.trust import CaFile, CertificateHash
from gateway.webtransport.interface import Draft
from gateway.wire.audio_datagrams import PLACE_BYTES, decode_place
from gateway.wire.messages import Ack, Audio, AudioSpec, Finalize, Finish, Finished, Gap, Start, Started
from gateway.wire.stream_messages import AUDIO, MARK, TEXT
from policies.facts import AudioEncoding
from tests.contracts.gateway_in_process import running_gateway
from tests.harness.webtransport_server import ScriptedServer, ScriptedSession, running_server, silent

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from gateway.wire.messages import ServerMessage

DEADLINE_S = 60
PIECE = b"\x01\x00" * 1_600


def trusting(server: ScriptedServer, **more: Any) -> WebTransportChoices:
    return WebTransportChoices(CertificateHash.of(server.certificate_sha256), **more)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("given", "dialled"),
    [
        ("127.0.0.1:4433", "https://127.0.0.1:4433/v1/stream"),
        ("https://asr.example", "https://asr.example/v1/stream"),
        ("https://asr.example/", "https://asr.example/v1/stream"),
        ("https://asr.example/behind/a/proxy?zone=eu#there", "https://asr.example/behind/a/proxy?zone=eu"),
        ("https://[::1]:4433", "https://[::1]:4433/v1/stream"),
    ],
)
def test_an_address_may_be_short(given: str, dialled: str) -> None:
    assert webtransport_url(given) == dialled


@pytest.mark.unit
def test_one_hash_is_of_one_gateway_while_authorities_and_several_hashes_may_know_others() -> None:
    one = CertificateHash.of("ab" * 32)
    assert not WebTransportChoices(one).may_trust_others
    for trust in (None, CaFile(Path("ca.pem")), CertificateHash.of("ab" * 32, "cd" * 32)):
        assert WebTransportChoices(trust).may_trust_others


class Sent:
    """A session that keeps what it is to send."""

    def __init__(self, max_datagram_bytes: int) -> None:
        self.max_datagram_bytes = max_datagram_bytes
        self.datagrams: list[bytes] = []

    async def datagram_room(self) -> None: ...

    def send_datagram(self, payload: bytes) -> bool:
        assert len(payload) <= self.max_datagram_bytes
        self.datagrams.append(payload)
        return True


@pytest.mark.unit
@given(
    st.lists(st.integers(1, 900), max_size=6),
    st.integers(1, 3),
    st.sampled_from([AudioEncoding.mulaw, AudioEncoding.pcm_s16le, AudioEncoding.pcm_f32le]),
    st.integers(PLACE_BYTES + 12, 400),
)
def test_datagrams_say_where_their_samples_belong(
    pieces: list[int], channels: int, encoding: AudioEncoding, largest: int
) -> None:
    session = Sent(largest)
    lane = _DatagramLane(session, AudioSpec(encoding.value, 8_000, channels))  # type: ignore[arg-type]
    instant = encoding.bytes_per_sample * channels
    audio = [bytes([number]) * (instant * instants) for number, instants in enumerate(pieces)]
    for piece in audio:
        asyncio.run(lane.send(piece))
    arrived, at = b"", 0
    for number, datagram in enumerate(session.datagrams):
        assert decode_place(datagram) == (number, at)
        arrived += datagram[PLACE_BYTES:]
        at = len(arrived) // instant
        assert len(arrived) % instant == 0
    assert arrived == b"".join(audio)
    assert decode_place(lane.mark()) == (len(session.datagrams), at)


@pytest.mark.integration
@pytest.mark.parametrize("has_datagrams", [False, True])
async def test_a_session_is_the_same_with_a_gateway(tmp_path: Path, *, has_datagrams: bool) -> None:
    async with (
        asyncio.timeout(DEADLINE_S),
        running_gateway(tmp_path, asyncio.get_running_loop()) as gateway,
        gateway.connect("webtransport", gateway.token(), has_datagrams=has_datagrams) as connection,
    ):
        for message in (Start(), Audio(PIECE), Finalize("one"), Audio(PIECE), Gap(800), Audio(PIECE), Finish()):
            await connection.send(message)
        heard = [message async for message in connection.messages()]
    assert isinstance(heard[0], Started)
    assert heard[-1] == Finished(350)
    assert [ack.sample for ack in heard if isinstance(ack, Ack) and ack.finalized] == [1_600]
    assert bytes(gateway.pool.last.audio) == PIECE * 2 + bytes(1_600) + PIECE


@pytest.mark.integration
async def test_only_raw_audio_goes_into_datagrams_and_a_mark_before_what_follows_it(tmp_path: Path) -> None:
    async with asyncio.timeout(DEADLINE_S), running_server(tmp_path, on_message=silent) as server:
        for encoding in ("pcm_s16le", "wav"):
            choices = trusting(server, has_datagrams=True, draft=Draft.draft13)
            async with connect(
                server.url, "token", protocol=TransportChoice.webtransport, webtransport=choices
            ) as connection:
                for message in (Start(audio=AudioSpec(encoding)), Audio(bytes(2_000)), Finish()):
                    await connection.send(message)
    raw, contained = server.sessions
    assert [kind for kind, _ in raw.messages] == [TEXT, MARK, TEXT]
    assert decode_place(raw.messages[1][1]) == (2, 1_000)
    assert sorted(map(len, raw.datagrams)) == [
        2 * PLACE_BYTES + 2_000 - max(map(len, raw.datagrams)),
        max(map(len, raw.datagrams)),
    ]
    assert [kind for kind, _ in contained.messages] == [TEXT, AUDIO, TEXT]
    assert server.requests[0].headers[-1] == ("authorization", "Bearer token")
    assert server.requests[0].draft is Draft.draft13


def saying(kind: int, payload: bytes, scripted: ScriptedSession) -> None:
    scripted.session.send(kind, payload)


def closing(code: int, reason: str, scripted: ScriptedSession) -> None:
    scripted.session.close(code, reason)


async def heard_from(server: ScriptedServer) -> list[ServerMessage]:
    async with connect(
        server.url, "t", protocol=TransportChoice.webtransport, webtransport=trusting(server)
    ) as connection:
        return [message async for message in connection.messages()]


@pytest.mark.integration
@pytest.mark.parametrize(
    ("on_enter", "says", "code"),
    [
        (partial(closing, 4401, "token_expired"), "closed with token_expired", ExitCode.not_permitted),
        (
            partial(closing, 4429, "quota_exhausted; retry_after_ms=1500; level=org"),
            r"closed with quota_exhausted.*after 1\.5 s",
            ExitCode.unavailable,
        ),
        (partial(saying, AUDIO, b"x"), "no message", ExitCode.protocol_broken),
        (partial(saying, TEXT, b"{"), "no message", ExitCode.protocol_broken),
        (partial(saying, 9, b""), "broke the protocol", ExitCode.protocol_broken),
    ],
    ids=["closed", "closed for now", "audio", "no json", "no kind"],
)
async def test_an_end_without_an_error_is_told_by_what_closed_it(
    tmp_path: Path, on_enter: Callable[[ScriptedSession], None], says: str, code: ExitCode
) -> None:
    async with asyncio.timeout(DEADLINE_S), running_server(tmp_path, on_enter=on_enter) as server:
        with pytest.raises(ConnectionFailed, match=says) as failure:
            await heard_from(server)
    assert failure.value.exit_code is code


@pytest.mark.integration
async def test_a_connection_that_breaks_off_is_no_failure_of_its_own(tmp_path: Path) -> None:
    """As over WebSocket: whoever reads goes on elsewhere, or says that it broke."""
    async with (
        asyncio.timeout(DEADLINE_S),
        running_server(tmp_path) as server,
        connect(server.url, "t", protocol=TransportChoice.webtransport, webtransport=trusting(server)) as connection,
    ):
        server.dies()
        await connection.send(Start())
        assert [message async for message in connection.messages()] == []
        await connection.send(Audio(PIECE))


@pytest.mark.integration
@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (403, ConnectionFailed, ExitCode.not_permitted),
        (404, UnreachableSo, ExitCode.protocol_broken),
        (429, UnreachableSo, ExitCode.unavailable),
        (503, UnreachableSo, ExitCode.unavailable),
    ],
)
async def test_a_refused_session_says_whether_another_protocol_may_do(
    tmp_path: Path, status: int, kind: type[ConnectionFailed], code: ExitCode
) -> None:
    async with asyncio.timeout(DEADLINE_S), running_server(tmp_path, status=status) as server:
        with pytest.raises(ConnectionFailed, match=str(status)) as failure:
            async with connect(server.url, "t", protocol=TransportChoice.webtransport, webtransport=trusting(server)):
                pass
    assert (type(failure.value), failure.value.exit_code) == (kind, code)


@pytest.mark.integration
async def test_who_is_not_trusted_is_not_gone_round_by_another_protocol(tmp_path: Path) -> None:
    choices = WebTransportChoices(CertificateHash.of("ab" * 32))
    async with asyncio.timeout(DEADLINE_S), running_server(tmp_path) as server:
        with pytest.raises(ConnectionFailed, match="another hash") as failure:
            async with connect(server.url, "t", protocol=TransportChoice.webtransport, webtransport=choices):
                pass
    assert type(failure.value) is ConnectionFailed
    assert failure.value.exit_code is ExitCode.unavailable


@pytest.mark.integration
@pytest.mark.parametrize(
    ("url", "kind", "code"),
    [
        ("https://127.0.0.1:1", UnreachableSo, ExitCode.unavailable),
        ("https://nobody.invalid", UnreachableSo, ExitCode.unavailable),
        ("http://127.0.0.1:1", ConnectionFailed, ExitCode.usage),
        ("https://[::1", ConnectionFailed, ExitCode.usage),
    ],
)
async def test_where_there_is_nobody_it_is_told_apart_from_what_is_no_address(
    url: str, kind: type[ConnectionFailed], code: ExitCode
) -> None:
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(ConnectionFailed) as failure:
            async with connect(url, "t", protocol=TransportChoice.webtransport, timeout_s=5):
                pass
    assert (type(failure.value), failure.value.exit_code) == (kind, code)
