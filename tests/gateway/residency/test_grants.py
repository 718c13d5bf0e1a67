"""Grants are made of what policy permits, are made anew in time, and are good to whoever has the public key."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from engines.interface import OpenStream, StreamOptions
from engines.server.grants import GrantChecker
from gateway.admission.policy_sets import PolicyDigests, PolicySet
from gateway.logs import tenant_hash
from gateway.residency.grants import GrantIssuer, GrantKeyUnusable, SessionGrant, load_grant_key
from policies.residency.decision import Situation
from policies.residency.grant import PlacementGrant, parse
from policies.residency.permitted import Permitted
from policies.residency.vocabulary import DataClass, LegalBasis
from policies.routing_facts import CapacityClass
from tests.harness.grants import GrantKeys

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit

RESERVED, SPOT = CapacityClass.reserved, CapacityClass.spot
POLICIES = PolicySet(
    Permitted(
        terminate=frozenset({"here", "edge"}),
        process=frozenset({"here", "there"}),
        failover=frozenset({"there"}),
        classes={"there": frozenset({RESERVED})},
    ),
    "eu-strict",
    Situation("eu-strict", "acme/care", DataClass.phi, frozenset({"FR", "DE"}), True, LegalBasis.consent),
    is_restricted=True,
    digests=PolicyDigests(policy="ab12"),
)


class Desk:
    def __init__(self, folder: Path) -> None:
        self.keys = GrantKeys(folder, "here")
        self.now_s = 1_000.0
        self.issuer = GrantIssuer(self.keys.keys["here"], region="here", lifetime_s=60, now_s=lambda: self.now_s)

    def grant(self, policies: PolicySet = POLICIES) -> SessionGrant:
        return self.issuer.of_session("s", "acme", policies)

    def answer(self, data: bytes, region: str, **changes: object) -> str | None:
        checker = GrantChecker(self.keys.folder, region=region, capacity=SPOT, now_s=lambda: self.now_s)
        opened = OpenStream(session_id="s", tenant="acme", epoch=1, start_sample=0, options=StreamOptions(), grant=data)
        return checker.refusal_of(opened)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "keys")


def read(data: bytes) -> PlacementGrant:
    signed = parse(data)
    assert signed is not None
    return signed.grant


def test_everything_that_policy_was_asked_and_answered_is_in_it(desk: Desk) -> None:
    assert read(desk.grant()()) == PlacementGrant(
        session_id="s",
        tenant=tenant_hash("acme"),
        issuer="here",
        profile="eu-strict",
        project="acme/care",
        data_class=DataClass.phi,
        subject_countries=("DE", "FR"),
        has_consent=True,
        legal_basis=LegalBasis.consent,
        process={"here": (RESERVED, SPOT), "there": (RESERVED,)},
        failover={"there": (RESERVED,)},
        is_restricted=True,
        policy_digest="ab12",
        issued_at_s=1_000,
        expires_at_s=1_060,
    )


def test_plain_lists_make_grants_too(desk: Desk) -> None:
    grant = read(desk.grant(PolicySet.of_list(frozenset({"here"}), "eu"))())
    assert (grant.profile, grant.process, grant.policy_digest) == ("eu", {"here": (RESERVED, SPOT)}, "")


def test_whoever_has_the_public_key_takes_it_where_policy_permits(desk: Desk) -> None:
    data = desk.grant()()
    assert [desk.answer(data, region) for region in ("here", "there", "edge")] == [
        None,
        "other_capacity",
        "other_region",
    ]


def test_it_is_used_for_half_of_its_life_and_made_anew_then(desk: Desk) -> None:
    grant = desk.grant()
    first = grant()
    desk.now_s += 29.9
    assert grant() is first
    desk.now_s += 0.1
    assert read(grant()).expires_at_s == 1_090
    desk.now_s -= 500
    assert read(grant()).issued_at_s == 530, "a clock that was set back does not keep an old one in use"


def test_another_policy_set_holds_from_the_next_stream_on(desk: Desk) -> None:
    grant = desk.grant()
    assert desk.answer(grant(), "here") is None
    grant.permit(replace(POLICIES, permitted=Permitted(process=frozenset({"there"}))))
    assert desk.answer(grant(), "here") == "other_region"


def test_what_is_too_large_for_one_grant_is_not_signed(desk: Desk) -> None:
    huge = PolicySet.of_list(frozenset(f"region-{number}" for number in range(1_000)))
    assert desk.grant(huge)() == b""


@pytest.mark.parametrize("content", [None, b"no key", b"rsa"])
def test_a_key_that_is_none_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "key.pem"
    if content == b"rsa":
        key = generate_private_key(65_537, 2_048)
        content = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(GrantKeyUnusable, match=r"key\.pem"):
        load_grant_key(path)


def test_a_key_is_read_from_its_file(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(desk.keys.private_pem("here"))
    assert load_grant_key(path).public_key() == desk.keys.keys["here"].public_key()
