"""What regions say survives the wire; what cannot be read is refused."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.escrow import proto_codec
from gateway.escrow.lending import MAX_LEVELS, LevelAsk, RootRefusal, RootRefused
from gateway.escrow.proto import escrow_pb2
from gateway.escrow.root import MAX_MESSAGE_BYTES
from policies.escrow import OUTCOMES, Ask, Loan
from policies.plans import Level, Principal

pytestmark = pytest.mark.unit

INT64 = st.integers(-(2**63), 2**63 - 1)
TOTAL = st.integers(0, 2**63 - 1)
ASKS = st.builds(Ask, INT64, INT64, INT64, INT64, INT64, INT64, INT64)
LOANS = st.builds(Loan, st.sampled_from(OUTCOMES), TOTAL, TOTAL, TOTAL, TOTAL, TOTAL)
GOOD: dict[str, Any] = {"level": escrow_pb2.LEVEL_ORG, "plan": "plan", "generation": 1, "sequence": 1}


@given(ask=ASKS, level=st.sampled_from(list(Level)), plan=st.sampled_from(["", "pro plus", "größer"]))
def test_what_a_region_says_survives_the_wire(ask: Ask, level: Level, plan: str) -> None:
    one = LevelAsk(Principal("acme", "web", "0123456789abcdef"), level, plan, ask)
    assert proto_codec.decode_request(proto_codec.encode_request("eu", "acme", [one])) == ("eu", "acme", [one])


@given(loans=st.lists(LOANS, max_size=3))
def test_what_the_root_says_survives_the_wire(loans: list[Loan]) -> None:
    assert proto_codec.decode_reply(proto_codec.encode_loans(loans), num_asks=len(loans)) == loans


@pytest.mark.parametrize("refusal", list(RootRefusal))
def test_a_refusal_survives_the_wire(refusal: RootRefusal) -> None:
    with pytest.raises(RootRefused) as caught:
        proto_codec.decode_reply(proto_codec.encode_refusal(refusal), num_asks=1)
    assert caught.value.refusal is refusal


@given(payload=st.binary(max_size=200))
def test_any_bytes_are_a_request_or_refused(payload: bytes) -> None:
    with contextlib.suppress(RootRefused):
        proto_codec.decode_request(payload)


@given(payload=st.binary(max_size=200))
def test_any_bytes_are_a_reply_or_refused(payload: bytes) -> None:
    with contextlib.suppress(RootRefused):
        proto_codec.decode_reply(payload, num_asks=1)


@pytest.mark.parametrize(
    ("org", "entry"),
    [
        ("", GOOD),
        ("a{b}", GOOD),
        ("acme", {**GOOD, "level": 0}),
        ("acme", {**GOOD, "level": 9}),
        ("acme", {**GOOD, "project": "a b"}),
        ("acme", {**GOOD, "key": "}"}),
        ("acme", {**GOOD, "plan": "a\nb"}),
        ("acme", {**GOOD, "level": escrow_pb2.LEVEL_KEY}),
    ],
    ids=str,
)
def test_names_that_could_not_be_ours_are_refused(org: str, entry: dict[str, Any]) -> None:
    request = escrow_pb2.LendRequest(region="eu", org=org)
    request.asks.add(**entry)
    with pytest.raises(RootRefused, match="malformed"):
        proto_codec.decode_request(request.SerializeToString())


def test_a_level_is_named_once_in_a_message() -> None:
    request = escrow_pb2.LendRequest(region="eu", org="acme")
    request.asks.add(**GOOD)
    request.asks.add(**GOOD)
    with pytest.raises(RootRefused, match="malformed"):
        proto_codec.decode_request(request.SerializeToString())


def many(number: int) -> bytes:
    asks = [
        LevelAsk(Principal("o" * 128, "p" * 128, f"{place:0128d}"), Level.key, "x" * 256, Ask(*[2**52] * 7))
        for place in range(number)
    ]
    return proto_codec.encode_request("r" * 63, "o" * 128, asks)


def test_more_levels_than_fit_are_refused_and_as_many_as_fit_fit_into_a_message() -> None:
    assert len(many(MAX_LEVELS)) < MAX_MESSAGE_BYTES
    assert len(proto_codec.decode_request(many(MAX_LEVELS))[2]) == MAX_LEVELS
    with pytest.raises(RootRefused, match="too_many_levels"):
        proto_codec.decode_request(many(MAX_LEVELS + 1))


def test_a_reply_with_another_number_of_loans_is_refused() -> None:
    with pytest.raises(RootRefused, match="malformed"):
        proto_codec.decode_reply(proto_codec.encode_loans([]), num_asks=1)
