"""Tokens of Retry packets: they show that a client's address is its own, to any process with the secret.

Rules that must stay true:
- A token holds for one address and port, one pair of connection ids and 30 s (RFC 9000 §8.1.4).
- Tokens are told from those of other servers by their first bytes: a foreign one is as good as none, a broken or old
  one of ours ends the connection with INVALID_TOKEN (RFC 9000 §8.1.2, §8.1.3).
"""

from __future__ import annotations

import hmac
import ipaddress
from enum import Enum
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.webtransport.quic.addresses import plain_host

if TYPE_CHECKING:
    from gateway.webtransport.quic.addresses import Address

LIFETIME_MS = 30_000
NONCE_BYTES = 12
_MARK = b"\xb1pb\x9e"
_CLOCKS_APART_MS = 5_000
_MAX_TOKEN_BYTES = 160
_KEY_BYTES = 16


class TokenRefused(Enum):
    """Why a token of ours does not hold; also the label of the metric."""

    broken = "broken"
    """Changed, made with another secret, for another address or another connection."""
    expired = "expired"


class AddressTokens:
    def __init__(self, secret: bytes) -> None:
        self._aead = AESGCM(hmac.digest(secret, b"patchbay quic address token", "sha256")[:_KEY_BYTES])

    def make(self, address: Address, *, original_id: bytes, retry_id: bytes, now_ms: int, nonce: bytes) -> bytes:
        """
        Args:
            original_id: the destination connection id of the client's first packet.
            retry_id: the id that the Retry packet gives it.
            now_ms: Unix time, because other machines may read it.
            nonce: NONCE_BYTES random bytes.
        """
        content = now_ms.to_bytes(8, "big") + bytes((len(original_id),)) + original_id
        return _MARK + nonce + self._aead.encrypt(nonce, content, _bound_to(address) + retry_id)

    def original_id(
        self, token: bytes, address: Address, *, destination_id: bytes, now_ms: int
    ) -> bytes | TokenRefused:
        """The destination connection id of the client's first packet, where the token holds."""
        if len(token) > _MAX_TOKEN_BYTES:
            return TokenRefused.broken
        head_bytes = len(_MARK) + NONCE_BYTES
        nonce, sealed = token[len(_MARK) : head_bytes], token[head_bytes:]
        try:
            content = self._aead.decrypt(nonce, sealed, _bound_to(address) + destination_id)
        except (InvalidTag, ValueError):
            return TokenRefused.broken
        age_ms = now_ms - int.from_bytes(content[:8], "big")
        if not -_CLOCKS_APART_MS <= age_ms <= LIFETIME_MS:
            return TokenRefused.expired
        return content[9:]


def is_ours(token: bytes) -> bool:
    """Whether a server of this kind made it."""
    return token[: len(_MARK)] == _MARK and len(token) > len(_MARK) + NONCE_BYTES


def _bound_to(address: Address) -> bytes:
    return ipaddress.ip_address(plain_host(address).partition("%")[0]).packed + address[1].to_bytes(2, "big")
