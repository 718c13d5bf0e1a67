"""How a client's connection behaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TextIO


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """The defaults are those that a live session wants.

    Attributes:
        idle_timeout_s: without a packet for so long, the connection is lost.
        move_after_s: a server that acknowledges nothing for so long is tried from another port of this machine.
        unanswered_s: and given up after so long.
        keep_alive_s: a packet is sent at least so often; None: never for this alone.
        max_unsent_bytes: given to a session and not acknowledged; then `send` waits.
        max_unread_bytes: received and not taken from a session; then the server is held back.
        max_message_bytes: the longest message that a server may send.
        max_unsent_datagrams: waiting for the network; then `send_datagram` refuses, and `datagram_room` waits.
        datagram_bytes: the largest UDP payload that is sent; more may not fit through the narrowest path of IPv6.
        close_timeout_s: how long the farewell may take.
        secrets_log: where the secrets of the connection go, for a person who reads its packets.
    """

    idle_timeout_s: float = 30.0
    move_after_s: float = 2.0
    unanswered_s: float = 8.0
    keep_alive_s: float | None = 10.0
    max_unsent_bytes: int = 262_144
    max_unread_bytes: int = 262_144
    max_message_bytes: int = 4_194_304
    max_unsent_datagrams: int = 64
    datagram_bytes: int = 1_232
    close_timeout_s: float = 1.0
    secrets_log: TextIO | None = None
