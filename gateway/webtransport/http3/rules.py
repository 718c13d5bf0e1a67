"""The bounds of an HTTP/3 connection with WebTransport sessions on it."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.admission.carriers import SUBPROTOCOL


@dataclass(frozen=True, slots=True, kw_only=True)
class Http3Rules:
    """Every connection is held to the same.

    Attributes:
        max_message_bytes: the payload of one message on a session's stream.
        protocol: what is chosen where a client offers it; nothing else is.
        max_headers_bytes: all fields of a request together, counted as RFC 9114 §4.2.2 does (32 bytes more for each).
        max_early_streams, max_early_bytes: of streams that came before the request for their session.
        max_requests: streams of requests and of sessions, in the life of a connection; then GOAWAY sends its client to
            another one. Below what QUIC allows, because at that a client waits without a word.
        max_refused_streams: in the life of a connection; a client that goes on opening them is closed.
        early_wait_ms: how long they wait for that request, and a session that is to close for the client's stream.
        close_wait_ms: how long what was sent to a session that closes may take to its client, and its last word again.
        farewell_ms: how long after that a client may go on reading that does not say that it has read all.
        linger_ms: how long a client has to close its connection after its last session.
        empty_connection_ms: how long a connection may stay without a session and without a request for a page.
        max_pages_in_flight: asked for and not yet wholly acknowledged, on one connection.
        page_wait_ms: from the request to the acknowledgement of the whole answer.
    """

    max_message_bytes: int
    protocol: str = SUBPROTOCOL
    max_sessions_per_connection: int = 4
    max_headers: int = 64
    max_headers_bytes: int = 32_768
    max_path_bytes: int = 16_384
    max_requests: int = 900
    max_early_streams: int = 8
    max_early_bytes: int = 65_536
    max_refused_streams: int = 256
    early_wait_ms: int = 2_000
    close_wait_ms: int = 5_000
    farewell_ms: int = 500
    linger_ms: int = 1_000
    empty_connection_ms: int = 10_000
    max_pages_in_flight: int = 4
    max_page_bytes: int = 2_097_152
    page_wait_ms: int = 10_000
