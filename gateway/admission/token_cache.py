"""Tokens that were verified before, by their digest: bounded, forgotten with time, only as good as their key."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.admission.keys import VerificationKey
    from policies.facts import Caller


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """A caller, who vouches for him with which key, and when that holds: `starts_at_s` <= now < `forget_at_s`."""

    caller: Caller
    issuer: str
    key: VerificationKey = field(repr=False)
    starts_at_s: int
    forget_at_s: int


class TokenCache:
    """The least recently used entry makes room. Holds no token, only SHA-256 digests."""

    def __init__(self, max_tokens: int) -> None:
        self._max_tokens = max_tokens
        self._entries: OrderedDict[bytes, VerifiedToken] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, digest: bytes, *, now_s: int) -> VerifiedToken | None:
        """The entry, if it holds now. The caller still has to ask whether its key is in use."""
        entry = self._entries.get(digest)
        if entry is None:
            return None
        if not entry.starts_at_s <= now_s < entry.forget_at_s:
            del self._entries[digest]
            return None
        self._entries.move_to_end(digest)
        return entry

    def put(self, digest: bytes, entry: VerifiedToken) -> None:
        self._entries[digest] = entry
        self._entries.move_to_end(digest)
        if len(self._entries) > self._max_tokens:
            self._entries.popitem(last=False)

    def discard(self, digest: bytes) -> None:
        self._entries.pop(digest, None)


def digest_of(token: str) -> bytes:
    """32 bytes. Any text has one, also text that is no token (lone surrogates, which no token has, are replaced)."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
