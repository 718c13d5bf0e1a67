"""Why a client has no WebTransport session."""

from __future__ import annotations


class WebTransportError(Exception):
    """Base. The text is for people."""


class CannotConnect(WebTransportError):
    """Nobody answers there, or who answers is not trusted or speaks no WebTransport."""


class NoAnswer(CannotConnect):
    """Not in time. The server may have heard the request all the same, and answer it later."""


class NotTrusted(CannotConnect):
    """Who answers there is not the server that is meant: to go on with him elsewhere would not help."""


class RefusedByStatus(WebTransportError):
    """The server answered the request for a session with another status than 200.

    Attributes:
        headers: of its answer, names in lower case.
    """

    def __init__(self, status: int, headers: tuple[tuple[str, str], ...]) -> None:
        super().__init__(f"the server refused the session with HTTP status {status}")
        self.status = status
        self.headers = headers


class SessionOver(WebTransportError):
    """Nothing can be sent any more: the session has ended."""
