"""Without a store of revocations every token holds."""

from __future__ import annotations

import pytest

from gateway.admission.revocation_check import NothingRevoked
from policies.facts import Caller, TokenIdentity

pytestmark = pytest.mark.unit


def test_where_there_is_no_redis_nothing_is_revoked() -> None:
    NothingRevoked().check(Caller("acme", "", "", "", frozenset(), "", 0, TokenIdentity("i", "", 2_000_000_000)))
