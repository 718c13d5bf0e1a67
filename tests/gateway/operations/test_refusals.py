"""Every reason for a refusal has a status, and mistakes stand in the answer."""

from __future__ import annotations

import pytest

from gateway.operations.refusals import STATUS, ActReason, refused

pytestmark = pytest.mark.unit


def test_every_reason_has_a_status() -> None:
    assert set(STATUS) == set(ActReason)


def test_a_refusal_as_json_says_why_and_lists_mistakes() -> None:
    assert refused(ActReason.bad_request, "no", mistakes=("a: b",)).as_json() == {
        "error": {"reason": "bad_request", "detail": "no", "mistakes": ["a: b"]}
    }
    assert refused(ActReason.conflict, "no").as_json() == {"error": {"reason": "conflict", "detail": "no"}}
