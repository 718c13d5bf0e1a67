"""What is remembered of verified tokens."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.admission.keys import ASYMMETRIC_ALGORITHMS, key_set_of
from gateway.admission.token_cache import TokenCache, VerifiedToken, digest_of
from policies.facts import Caller

pytestmark = pytest.mark.unit


@pytest.fixture
def entry(signers: dict[str, Any]) -> VerifiedToken:
    key = key_set_of([signers["EdDSA"].jwk], algorithms=ASYMMETRIC_ALGORITHMS).by_kid["key-EdDSA"]
    return VerifiedToken(Caller("t", "", "", "", frozenset(), "", 20), "issuer", key, starts_at_s=10, forget_at_s=20)


def test_an_entry_holds_from_its_start_until_it_is_to_be_forgotten(entry: VerifiedToken) -> None:
    def at(now_s: int) -> VerifiedToken | None:
        cache = TokenCache(2)
        cache.put(b"a", entry)
        return cache.get(b"a", now_s=now_s)

    assert [at(now_s) for now_s in (9, 10, 19, 20)] == [None, entry, entry, None]


def test_an_entry_that_does_not_hold_takes_no_room(entry: VerifiedToken) -> None:
    cache = TokenCache(2)
    cache.put(b"a", entry)
    cache.get(b"a", now_s=20)
    assert len(cache) == 0


def test_the_least_recently_used_entry_makes_room(entry: VerifiedToken) -> None:
    cache = TokenCache(2)
    cache.put(b"a", entry)
    cache.put(b"b", entry)
    cache.get(b"a", now_s=10)
    cache.put(b"c", entry)
    assert [cache.get(name, now_s=10) is not None for name in (b"a", b"b", b"c")] == [True, False, True]
    assert len(cache) == 2


def test_a_discarded_entry_is_gone_and_may_be_discarded_again(entry: VerifiedToken) -> None:
    cache = TokenCache(2)
    cache.put(b"a", entry)
    cache.discard(b"a")
    cache.discard(b"a")
    assert cache.get(b"a", now_s=10) is None


def test_every_text_has_a_digest_and_different_texts_different_ones() -> None:
    texts = ["", "a", "a.b.c", "\ud800", "x" * 10_000]
    assert len({digest_of(text) for text in texts}) == len(texts)
