"""What requests may say: all mistakes at once, and nothing that two readers could understand differently."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.operations.bodies import ActBody, OrderBody, read_body
from gateway.operations.refusals import ActRefused
from policies.orders import OrderKind, Scope

pytestmark = pytest.mark.unit

GOOD: dict[str, Any] = {"scope": "region", "kind": "drain", "reason": "kernel"}


def mistakes(tree: Any) -> list[str]:
    with pytest.raises(ActRefused) as refused:
        read_body(OrderBody, json.dumps(tree).encode())
    assert refused.value.status == 400
    return list(refused.value.mistakes)


def test_what_is_left_out_has_the_documented_default() -> None:
    body = read_body(OrderBody, json.dumps(GOOD).encode())
    assert (body.scope, body.kind, body.region, body.pace_per_s, body.within_ms) == (
        Scope.region,
        OrderKind.drain,
        "",
        0,
        60_000,
    )


@pytest.mark.parametrize(
    ("changes", "places"),
    [
        ({"reason": "  "}, ["reason"]),
        ({"reason": "a\nb"}, ["reason"]),
        ({"reason": "x" * 501}, ["reason"]),
        ({"name": "l4"}, ["name"]),
        ({"scope": "pool", "with_clients": True}, ["name"]),
        ({"scope": "pool", "name": "l4", "with_clients": True}, ["with_clients"]),
        ({"within_ms": 10, "pace_per_s": "5", "dry_run": 1}, ["pace_per_s", "within_ms", "dry_run"]),
        ({"kind": "destroy", "surprise": 1}, ["kind", "surprise"]),
    ],
)
def test_every_mistake_is_told_with_its_place(changes: dict[str, Any], places: list[str]) -> None:
    assert [mistake.split(":")[0] for mistake in mistakes(GOOD | changes)] == places


def test_a_dry_run_needs_no_reason() -> None:
    body = read_body(OrderBody, json.dumps({"scope": "region", "kind": "drain", "dry_run": True}).encode())
    assert body.dry_run


def test_an_empty_body_of_an_act_is_good() -> None:
    assert read_body(ActBody, b"").reason == ""


@given(
    st.binary(max_size=40) | st.sampled_from([b"[]", b"1", b'{"reason": 1}', b'{"reason": "a", "reason": "b"}', b"{}"])
)
@settings(max_examples=40)
def test_whatever_comes_is_a_body_or_a_refusal_that_says_why(raw: bytes) -> None:
    said: tuple[str, ...] = ("nothing is wrong",)
    with suppress(ActRefused):
        try:
            read_body(ActBody, raw)
        except ActRefused as refused:
            said = refused.mistakes
            raise
    assert said
