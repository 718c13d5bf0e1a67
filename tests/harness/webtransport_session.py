"""A WebTransport session in memory, seen from its client, who is aioquic's HTTP/3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aioquic.h3.events import DatagramReceived, DataReceived

from gateway.webtransport.http3 import drafts
from gateway.webtransport.http3.rules import Http3Rules
from gateway.webtransport.http3.server import Http3User
from gateway.webtransport.interface import Draft
from tests.harness.quic_in_memory import InMemoryPair
from tests.harness.webtransport_door import HeardSession, RecordingDoor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.harness.quic_in_memory import Client

CONNECT = (
    (b":method", b"CONNECT"),
    (b":scheme", b"https"),
    (b":authority", b"gateway.example:4433"),
    (b":path", b"/v1/stream?token=secret"),
    (b":protocol", b"webtransport"),
)
MAX_MESSAGE_BYTES = 10_000


def rules_with(**bounds: int) -> Http3Rules:
    return Http3Rules(**{"max_message_bytes": MAX_MESSAGE_BYTES, **bounds})  # type: ignore[arg-type]


class Connection:
    """A connection with nothing on it; make it on a running loop."""

    def __init__(
        self,
        *,
        door: RecordingDoor | None = None,
        draft: Draft = Draft.draft02,
        settings: dict[int, int] | None = None,
        loss: float = 0.0,
        seed: int = 0,
        client_reads_bytes: int | None = None,
        starts_http3: bool = True,
        **bounds: int,
    ) -> None:
        self.door = door or RecordingDoor()
        self.users: list[Http3User] = []
        self.pair = InMemoryPair(
            lambda peer: self.users.append(Http3User(peer, self.door, rules_with(**bounds))) or self.users[-1],
            settings=drafts.client_settings(draft) if settings is None else settings,
            loss=loss,
            seed=seed,
            client_reads_bytes=client_reads_bytes,
            starts_http3=starts_http3,
        )

    @property
    def client(self) -> Client:
        return self.pair.client

    @property
    def user(self) -> Http3User:
        return self.users[0]

    def run(self, *, for_s: float = 0.1) -> None:
        self.pair.run(for_s=for_s)

    def ask(self, fields: Sequence[tuple[bytes, bytes]], *, end: bool = False) -> int:
        """Send a request; its stream."""
        stream_id = self.client.quic.get_next_available_stream_id()
        self.client.http3.send_headers(stream_id, list(fields), end_stream=end)
        self.run()
        return stream_id

    def answer_to(self, stream_id: int) -> dict[bytes, bytes]:
        """The fields of the answer to a request; empty where none came."""
        for event in self.client.h3_events:
            if getattr(event, "headers", None) is not None and getattr(event, "stream_id", None) == stream_id:
                return dict(event.headers)  # type: ignore[attr-defined]
        return {}

    def body_of(self, stream_id: int) -> bytes:
        return b"".join(
            event.data
            for event in self.client.h3_events
            if isinstance(event, DataReceived) and event.stream_id == stream_id
        )


class OpenSession(Connection):
    """A session that was let in, and its stream unless a test opens it later."""

    def __init__(
        self,
        *,
        opens_stream: bool = True,
        headers: Sequence[tuple[bytes, bytes]] = (),
        draft: Draft = Draft.draft02,
        loss: float = 0.0,
        seed: int = 0,
        client_reads_bytes: int | None = None,
        **bounds: int,
    ) -> None:
        super().__init__(draft=draft, loss=loss, seed=seed, client_reads_bytes=client_reads_bytes, **bounds)
        self.stream_id = self.ask([*CONNECT, *headers])
        self.message_stream_id = -1
        self.run(for_s=5.0 if loss else 0.0)
        if opens_stream:
            self.send(b"")

    @property
    def heard(self) -> HeardSession:
        return self.door.sessions[0]

    def send(self, data: bytes, *, end: bool = False) -> None:
        """Bytes of the message stream, which the first ones open."""
        if self.message_stream_id < 0:
            self.message_stream_id = self.client.open_stream(self.stream_id, data, end=end)
        else:
            self.client.send(self.message_stream_id, data, end=end)
        self.run()

    def capsules(self, data: bytes, *, end: bool = False) -> None:
        self.client.http3.send_data(self.stream_id, data, end_stream=end)
        self.run()

    def received(self) -> bytes:
        return self.client.stream_data(self.message_stream_id)

    def connect_bytes(self) -> bytes:
        return self.body_of(self.stream_id)

    def datagrams(self) -> list[bytes]:
        return [event.data for event in self.client.h3_events if isinstance(event, DatagramReceived)]
