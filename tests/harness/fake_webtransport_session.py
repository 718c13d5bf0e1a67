"""A WebTransport session without a network: what was said to its client, and a client that reads as fast as told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.webtransport.interface import ConnectRequest, Draft

if TYPE_CHECKING:
    from gateway.webtransport.interface import SessionEvents


def connect_request(path: str = "/v1/stream", **changes: object) -> ConnectRequest:
    fields: dict[str, object] = {
        "method": "CONNECT",
        "authority": "speech.example",
        "path": path,
        "headers": (),
        "protocols": (),
        "address": "192.0.2.7",
        "draft": Draft.draft02,
    }
    return ConnectRequest(**(fields | changes))  # type: ignore[arg-type]


class FakeWebTransportSession:
    """Implements WebTransportSession. While not `is_reading`, all that is sent stays unsent."""

    def __init__(self, request: ConnectRequest | None = None) -> None:
        self.request = request or connect_request()
        self.events: SessionEvents | None = None
        self.sent: list[tuple[int, bytes]] = []
        self.closed: tuple[int, str] | None = None
        self.is_paused = False
        self.is_reading = True
        self.min_rtt_us: int | None = None
        self._unsent_bytes = 0

    @property
    def unsent_bytes(self) -> int:
        return self._unsent_bytes

    def listen(self, events: SessionEvents) -> None:
        self.events = events

    def send(self, kind: int, payload: bytes) -> None:
        assert self.closed is None, "nothing is sent after the close"
        self.sent.append((kind, payload))
        if not self.is_reading:
            self._unsent_bytes += len(payload)

    def send_datagram(self, payload: bytes) -> bool:
        raise AssertionError(f"nobody sends {payload!r} in datagrams")

    def read_all(self) -> None:
        assert self.events is not None
        self.is_reading = True
        self._unsent_bytes = 0
        self.events.sent()

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False

    def close(self, code: int, reason: str) -> None:
        assert self.closed is None, "closed once"
        self.closed = (code, reason)
