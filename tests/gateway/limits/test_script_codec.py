"""How requests become keys and arguments of the script, and its numbers replies."""

from __future__ import annotations

import msgspec
import pytest

from gateway.limits.calls import Close, Open, Record, RefusedFor, Reply, Request, Restore, Run, Status
from gateway.limits.script_codec import ScriptRules, decode, encode
from gateway.metering.entries import Slice, UsageEvent
from gateway.redis_link.keys import Names
from policies.plans import Level, LevelLimits, Principal, Rate
from tests.harness.quota import caller_plan, tab_labels

pytestmark = pytest.mark.unit

NAMES = Names("p")
PLAN = caller_plan(org=LevelLimits(Rate(5, 50), 3, Rate(1, 2)))
LABELS = tab_labels("s1", PLAN)
RULES = ScriptRules()


def test_every_key_of_a_call_has_the_hash_tag_of_its_org() -> None:
    requests: list[Request] = [
        Open(LABELS, PLAN, 2, 1),
        Close(tab_labels("s2"), PLAN, ()),
        Restore(tab_labels("s3"), PLAN, 0, 0, 0, 0, (), 1, is_over=False),
        Record(UsageEvent(tab_labels("s4"), 0, 1, 2, 3, 4, 5, 6, 7, is_last=True)),
    ]
    keys, _ = encode(NAMES, "acme", requests, RULES)
    assert len(keys) == len(set(keys)) == 2 + 9 + 4
    assert all(key.startswith("p:{acme}:") for key in keys)


def test_what_sessions_have_in_common_is_sent_once() -> None:
    requests = [Run(tab_labels(f"s{n}"), PLAN, (), 1, 1, renews_lease=False) for n in range(50)]
    keys, (argument,) = encode(NAMES, "acme", requests, RULES)
    _, levels, callers, runs = msgspec.msgpack.decode(argument)
    assert (len(levels), len(callers), len(runs)) == (3, 1, 50)
    assert len(keys) == 2 + 9 + 50


def test_a_level_without_a_name_is_left_out() -> None:
    plan = caller_plan(principal=Principal(org="acme", project="", key=""), key=LevelLimits(max_sessions=1))
    _, (argument,) = encode(NAMES, "acme", [Open(tab_labels(), plan, 1, 1)], RULES)
    _, levels, callers, _ = msgspec.msgpack.decode(argument)
    assert [level[0] for level in levels] == [3]
    assert callers == [[1]]


def test_a_slice_is_five_numbers() -> None:
    piece = Slice(number=7, compute_us=1, audio_ms=2, connection_ms=3, at_ms=4)
    _, (argument,) = encode(NAMES, "acme", [Close(LABELS, PLAN, (piece, piece))], RULES)
    assert msgspec.msgpack.decode(argument)[3][0][4] == [7, 1, 2, 3, 4, 7, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "request_",
    [
        Open(LABELS, PLAN, 1, 1),
        Record(UsageEvent(LABELS, 0, 1, 2, 3, 4, 5, 6, 7, is_last=True)),
    ],
    ids=lambda request: type(request).__name__,
)
def test_a_request_of_another_org_is_not_mixed_in(request_: Request) -> None:
    with pytest.raises(ValueError, match="acme"):
        encode(NAMES, "other", [request_], RULES)


def test_numbers_become_replies() -> None:
    assert decode([*(0, 5, 4, 300, 20, 1_000, 3, -1, 0, 0, 0, 1, 2), *(1, 0, 0, 0, 0, 0, 1, 250, 3, 2, 1, 0, 0)]) == [
        Reply(
            Status.ok,
            settled=5,
            recorded=4,
            settled_us=300,
            held_us=20,
            remaining_us=1_000,
            level=Level.org,
            num_cuts=1,
            last_cut=2,
        ),
        Reply(
            Status.refused,
            remaining_us=0,
            level=Level.key,
            retry_after_ms=250,
            refused_for=RefusedFor.compute,
            shadow_level=Level.project,
            shadow_for=RefusedFor.sessions,
        ),
    ]


def test_an_answer_without_a_limit_has_no_level() -> None:
    assert decode([2, 0, 0, 0, 0, -1, 0, -1, 0, 0, 0, 0, 0]) == [Reply(Status.unknown_tab)]
