"""A grant permits what it says, to one session, for a short time, and nothing that is not in it."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.residency.grant import (
    MAX_BYTES,
    MAX_LIFETIME_S,
    SIGNATURE_BYTES,
    PlacementGrant,
    parse,
    payload_of,
    refusal_of,
    regions_of,
    signed_bytes,
)
from policies.residency.permitted import Permitted
from policies.residency.vocabulary import DataClass, LegalBasis
from policies.routing_facts import CapacityClass

pytestmark = pytest.mark.unit

RESERVED, SPOT = CapacityClass.reserved, CapacityClass.spot
GRANT = PlacementGrant(
    session_id="s",
    tenant="0f",
    issuer="eu-west",
    profile="eu-strict",
    project="acme/care",
    data_class=DataClass.phi,
    subject_countries=("DE", "FR"),
    has_consent=True,
    legal_basis=LegalBasis.consent,
    process={"eu-west": (RESERVED, SPOT), "eu-central": (RESERVED,)},
    failover={"eu-central": (RESERVED,)},
    is_restricted=True,
    policy_digest="ab",
    issued_at_s=1_000,
    expires_at_s=1_060,
)
NAMES = st.sampled_from(["eu-west", "eu-central", "us-east", "sa-east"])
CLASSES = st.frozensets(st.sampled_from(CapacityClass), min_size=1)


def refused(
    grant: PlacementGrant = GRANT,
    *,
    region: str = "eu-west",
    capacity: CapacityClass | None = RESERVED,
    session_id: str = "s",
    goes_on: bool = False,
    now_s: float = 1_030,
) -> str | None:
    return refusal_of(
        grant, region=region, capacity=capacity, session_id=session_id, goes_on=goes_on, now_s=now_s, leeway_s=30
    )


def test_what_is_in_it_is_permitted() -> None:
    assert refused() is None
    assert refused(capacity=SPOT) is None
    assert refused(capacity=None) is None, "where any machine will do, nobody need know which it is"
    assert refused(region="eu-central", goes_on=True) is None


@pytest.mark.parametrize(
    ("why", "asked"),
    [
        ("other_session", {"session_id": "other"}),
        ("other_region", {"region": "us-east"}),
        ("other_region", {"goes_on": True}),
        ("other_capacity", {"region": "eu-central", "capacity": SPOT}),
        ("other_capacity", {"region": "eu-central", "capacity": None}),
        ("not_yet", {"now_s": 969.9}),
        ("expired", {"now_s": 1_090}),
    ],
)
def test_what_is_not_in_it_is_refused(why: str, asked: dict[str, object]) -> None:
    assert refused(**asked) == why  # type: ignore[arg-type]


def test_clocks_may_differ_by_the_leeway() -> None:
    assert refused(now_s=970) is None
    assert refused(now_s=1_089.9) is None


@pytest.mark.parametrize("lifetime_s", [0, -5, MAX_LIFETIME_S + 1])
def test_one_that_is_in_force_for_too_long_or_for_no_time_is_refused(lifetime_s: int) -> None:
    assert refused(msgspec.structs.replace(GRANT, expires_at_s=1_000 + lifetime_s)) == "too_long"


def test_it_is_read_as_it_was_written() -> None:
    payload = payload_of(GRANT)
    signed = parse(payload + bytes(SIGNATURE_BYTES))
    assert signed is not None
    assert (signed.grant, signed.payload, signed.signature) == (GRANT, payload, bytes(SIGNATURE_BYTES))
    assert signed.grant.situation.subject_countries == {"DE", "FR"}
    assert signed_bytes(payload) != payload, "what is signed cannot be taken for something else that is signed"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b"\xff\xfe",
        payload_of(GRANT) + b" ",
        payload_of(GRANT).replace(b'"v":1', b'"v":2'),
        payload_of(GRANT).replace(b'"phi"', b'"gossip"'),
        payload_of(GRANT)[:-1] + b',"more":1}',
        b"[" * 5_000,
    ],
)
def test_other_bytes_are_no_grant(payload: bytes) -> None:
    assert parse(payload + bytes(SIGNATURE_BYTES)) is None


def test_bytes_that_are_nested_too_deeply_are_no_grant() -> None:
    assert parse(b'{"x":' + b"[" * 20_000 + bytes(SIGNATURE_BYTES)) is None


def test_one_that_is_too_large_is_not_read() -> None:
    assert parse(bytes(MAX_BYTES + 1)) is None


@given(st.binary(max_size=300))
def test_whatever_comes_is_read_or_is_none(data: bytes) -> None:
    assert parse(data) is None


@given(
    st.frozensets(NAMES),
    st.frozensets(NAMES),
    st.dictionaries(NAMES, CLASSES),
    NAMES,
    st.sampled_from([None, *CapacityClass]),
    st.booleans(),
)
def test_it_permits_exactly_what_the_policy_set_does(
    process: frozenset[str],
    failover: frozenset[str],
    classes: dict[str, frozenset[CapacityClass]],
    region: str,
    capacity: CapacityClass | None,
    goes_on: bool,
) -> None:
    permitted = Permitted(process=process, failover=failover, classes=classes)
    places = dict(zip(("process", "failover"), regions_of(permitted), strict=True))
    grant = msgspec.structs.replace(GRANT, **places)
    may = permitted.classes_in(region)
    expected = region in permitted.recognising(goes_on=goes_on) and (capacity in may or may == frozenset(CapacityClass))
    assert (refused(grant, region=region, capacity=capacity, goes_on=goes_on) is None) == expected
