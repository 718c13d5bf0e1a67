"""The names of keys: those of one org lie together in a cluster, and no two things share one."""

from __future__ import annotations

import pytest
from redis.crc import key_slot

from gateway.redis_link.keys import Names
from policies.plans import Level, Principal

pytestmark = pytest.mark.unit

NAMES = Names("p")
ACME = Principal("acme", "web", "88fa0d759f845b47")


def of_org(who: Principal) -> list[str]:
    by_level = (NAMES.bucket, NAMES.starts, NAMES.leases, NAMES.lend, NAMES.borrow)
    org = who.org
    return [
        *(name(who, level) for name in by_level for level in Level),
        *(NAMES.tab(org, "s"), NAMES.meter(org), NAMES.tally(org), NAMES.probe(org)),
    ]


def test_everything_of_an_org_is_in_one_slot() -> None:
    assert len({key_slot(name.encode()) for name in of_org(ACME)}) == 1


def test_no_two_things_have_the_same_name() -> None:
    other = Principal("web", "acme", "p:acme")
    installation = [NAMES.orgs, NAMES.revocations, NAMES.revocations_restorer]
    names = [*of_org(ACME), *of_org(other), *installation]
    assert len(set(names)) == len(names)


def test_installations_share_a_redis_by_their_prefix() -> None:
    assert all(name.startswith("p:") for name in [*of_org(ACME), NAMES.orgs, NAMES.revocations])
