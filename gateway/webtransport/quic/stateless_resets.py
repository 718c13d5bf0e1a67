"""Stateless resets: a process that has forgotten a connection tells its client at once (RFC 9000 §10.3)."""

from __future__ import annotations

import hashlib
import hmac

TOKEN_BYTES = 16
_MIN_RESET_BYTES = 5 + TOKEN_BYTES
SHORTEST_ANSWERED_BYTES = _MIN_RESET_BYTES + 1
_USUAL_RESET_BYTES = 41
_FIXED_BIT = 0x40
_LONG_HEADER_BIT = 0x80


class StatelessResets:
    """Tokens are HMACs of the connection id, so that whoever has the secret can make them without any state."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"patchbay quic stateless reset", "sha256")

    def token(self, connection_id: bytes) -> bytes:
        return hmac.digest(self._key, connection_id, hashlib.sha256)[:TOKEN_BYTES]

    def packet(self, connection_id: bytes, *, received_bytes: int, random: bytes) -> bytes | None:
        """The answer to a short packet of `received_bytes` whose connection nobody knows.

        Always smaller than what came, so that two ends that answer each other fall silent. None: it would be too small
        to be taken for a packet.

        Args:
            random: at least 25 random bytes.
        """
        size = min(received_bytes - 1, _USUAL_RESET_BYTES)
        if size < _MIN_RESET_BYTES:
            return None
        noise = bytearray(random[: size - TOKEN_BYTES])
        noise[0] = noise[0] & ~_LONG_HEADER_BIT & 0xFF | _FIXED_BIT
        return bytes(noise) + self.token(connection_id)
