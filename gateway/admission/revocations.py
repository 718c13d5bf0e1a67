"""Which tokens are revoked: what is known of it in this process. Pure; the time is given.

A revocation covers one token by its `jti`, or the tokens of a subject or of a tenant that were issued until an instant:
one that is issued later is good again. It is kept until the last token that it covers has expired. Texts of `jti` and
`sub` are never kept, only their SHA-256.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import msgspec

from gateway.admission.claims import hash_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from policies.facts import Caller

Scope = tuple[str, ...]
"""("jti", hash), ("subject", tenant, hash) or ("tenant", tenant)."""


class Revocation(msgspec.Struct, frozen=True, omit_defaults=True):
    """One decision. Times are Unix seconds; `issued_before_s` is the last second of issue that is covered."""

    id: str
    scope: Scope
    issued_before_s: int
    until_s: int
    made_at_s: int
    note: str = ""

    def covers(self, caller: Caller) -> bool:
        return caller.token.issued_at_s <= self.issued_before_s


class Undone(msgspec.Struct, frozen=True):
    """The revocation of this name does not hold any more. `until_s` is that of the revocation."""

    id: str
    until_s: int


class Revocations:
    """All that are in force. Every piece of news may come again, and undoing may come before what it undoes."""

    def __init__(self) -> None:
        self._live: dict[str, Revocation] = {}
        self._undone: dict[str, Undone] = {}
        self._by_scope: dict[Scope, dict[str, Revocation]] = {}
        self._ends: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[Revocation]:
        return iter(self._live.values())

    @property
    def undone(self) -> Iterable[Undone]:
        return self._undone.values()

    def is_revoked(self, caller: Caller) -> bool:
        """Whether his token is revoked; costs three looks into dictionaries at most."""
        if not self._live:
            return False
        return any(
            revocation.covers(caller)
            for scope in _scopes_of(caller)
            for revocation in self._by_scope.get(scope, {}).values()
        )

    def take(self, news: Revocation | Undone, *, now_s: int) -> bool:
        """Whether it changed what is in force."""
        if news.until_s <= now_s:
            return False
        if isinstance(news, Undone):
            if news.id not in self._undone:
                self._undone[news.id] = news
                heapq.heappush(self._ends, (news.until_s, news.id))
            return self._drop(news.id)
        if news.id in self._live or news.id in self._undone:
            return False
        self._live[news.id] = news
        self._by_scope.setdefault(news.scope, {})[news.id] = news
        heapq.heappush(self._ends, (news.until_s, news.id))
        return True

    def expire(self, now_s: int) -> None:
        """Forget those whose tokens have all expired."""
        while self._ends and self._ends[0][0] <= now_s:
            _, name = heapq.heappop(self._ends)
            if name in self._live and self._live[name].until_s <= now_s:
                self._drop(name)
            if name in self._undone and self._undone[name].until_s <= now_s:
                del self._undone[name]

    def _drop(self, name: str) -> bool:
        revocation = self._live.pop(name, None)
        if revocation is None:
            return False
        of_scope = self._by_scope[revocation.scope]
        del of_scope[name]
        if not of_scope:
            del self._by_scope[revocation.scope]
        return True


def jti_scope(jti: str) -> Scope:
    return ("jti", hash_of(jti))


def subject_scope(tenant: str, subject: str) -> Scope:
    return ("subject", tenant, hash_of(subject))


def tenant_scope(tenant: str) -> Scope:
    return ("tenant", tenant)


def _scopes_of(caller: Caller) -> Iterator[Scope]:
    if caller.token.jti_hash:
        yield ("jti", caller.token.jti_hash)
    yield tenant_scope(caller.tenant)
    if caller.subject:
        yield subject_scope(caller.tenant, caller.subject)
