"""What the layers of the WebTransport edge say to each other: QUIC below, HTTP/3 above it, sessions on top.

Everything here is called on one event loop, without an await: who has to wait keeps a queue of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from aioquic.quic.connection import QuicConnection
    from aioquic.quic.events import QuicEvent


class QuicPeer(Protocol):
    """One QUIC connection, as the layer above it sees it."""

    quic: QuicConnection

    @property
    def address(self) -> str:
        """The client's IP address; another one after it has moved."""

    @property
    def min_rtt_us(self) -> int | None:
        """The shortest round trip of the connection so far; None: none was measured yet."""

    def send_soon(self) -> None:
        """What was given to `quic` goes out at the end of this turn of the loop, with all else of the turn."""

    def pause(self, stream_id: int) -> None:
        """Give the client no more credit on this stream: at most one flow-control window still comes."""

    def resume(self, stream_id: int) -> None: ...

    def unsent_bytes(self, stream_id: int) -> int:
        """Given to `quic` on this stream, and not yet acknowledged by the client."""

    def close(self, code: int, reason: str = "") -> None:
        """End the connection with an application's error code (RFC 9000 §20.2)."""


class QuicUser(Protocol):
    """The layer above: made for each connection once its handshake is complete, so never by 0-RTT."""

    def quic_event(self, event: QuicEvent) -> None: ...

    def quic_sent(self) -> None:
        """Acknowledgements came: `unsent_bytes` may be less than before."""

    def quic_closed(self) -> None:
        """The connection is gone; called once, last."""


class Draft(Enum):
    """Which of the drafts of WebTransport over HTTP/3 both sides speak (shared vocabulary of metrics and tests)."""

    draft02 = "draft-02"
    """Chrome; SETTINGS 0x2b603742."""
    draft07 = "draft-07"
    """0xc671706a."""
    draft13 = "draft-13"
    """Safari 26.4 and later; 0x14e9cd29."""


@dataclass(frozen=True, slots=True)
class ConnectRequest:
    """A client asks for a WebTransport session, or for a page over HTTP/3.

    Attributes:
        path: with its query, which may carry a token: never in a log.
        headers: names in lower case, in their order, without the pseudo-headers.
        protocols: what `wt-available-protocols` offers.
        address: the client's, without its port.
        draft: None for a plain request.
    """

    method: str
    authority: str
    path: str
    headers: tuple[tuple[str, str], ...]
    protocols: tuple[str, ...]
    address: str
    draft: Draft | None

    @property
    def origin(self) -> str:
        return next((value for name, value in self.headers if name == "origin"), "")


class SessionEvents(Protocol):
    """Who listens to one WebTransport session."""

    def received(self, kind: int, payload: bytes) -> None:
        """A whole message of the session's stream: gateway.wire.stream_messages."""

    def broken(self, why: str) -> None:
        """The stream holds what is no message; `why` is for the client. The listener closes the session."""

    def too_large(self) -> None:
        """A message is longer than is allowed. The listener closes the session."""

    def finished_sending(self) -> None:
        """The client ended its half of the stream, or reset it: no message follows."""

    def datagram(self, payload: bytes) -> None: ...

    def sent(self) -> None:
        """`unsent_bytes` may be less than before."""

    def closed(self, code: int | None, reason: str) -> None:
        """The client closed the session; None: without a code, or its connection is lost. Called once, last, and also
        after `WebTransportSession.close`.
        """


class WebTransportSession(Protocol):
    """One session that was accepted."""

    request: ConnectRequest

    @property
    def unsent_bytes(self) -> int: ...

    @property
    def min_rtt_us(self) -> int | None:
        """The shortest round trip of its connection so far; None: none was measured yet."""

    def listen(self, events: SessionEvents) -> None:
        """Once, before anything can arrive."""

    def send(self, kind: int, payload: bytes) -> None:
        """A message on the session's stream. Before the client has opened it, kept back; after the end, dropped."""

    def send_datagram(self, payload: bytes) -> bool:
        """False: too large for this connection, nothing was sent."""

    def pause(self) -> None:
        """Let no more of the stream come in than the client has credit for."""

    def resume(self) -> None: ...

    def close(self, code: int, reason: str) -> None:
        """The capsule with code (any u32) and reason (at most 1,024 bytes of UTF-8) after everything sent, then FIN."""


@dataclass(frozen=True, slots=True)
class PageAnswer:
    """What a plain request is answered with."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Door(Protocol):
    """Who decides of what comes in over HTTP/3."""

    def knock(self, request: ConnectRequest) -> int:
        """The HTTP status for a WebTransport session; 200 lets it in."""

    def enter(self, session: WebTransportSession) -> None:
        """It was let in; call `listen` on it before returning."""

    async def page(self, request: ConnectRequest) -> PageAnswer:
        """A plain request, with its whole body ignored. Never raises."""
