"""Promises of the notices that an engine makes itself."""

from __future__ import annotations

import pytest

from engines.proto import engine_pb2
from engines.server.notices import MAX_LEAD_MS, notice_of, shutdown_notice
from policies.preemption import Confidence, NoticeKind

pytestmark = pytest.mark.unit


def test_a_signal_gives_the_time_of_the_drain_and_that_is_all() -> None:
    notice = shutdown_notice("signal", deadline_ms=15_000)
    assert (notice.kind, notice.lead_ms, notice.confidence) == (NoticeKind.shutdown, 15_000, Confidence.proven)


def test_an_operator_s_word_is_an_interruption_with_an_unproven_lead_unless_he_says_otherwise() -> None:
    plain = notice_of(engine_pb2.PreemptRequest())
    assert plain is not None
    assert (plain.kind, plain.lead_ms, plain.confidence) == (NoticeKind.interruption, None, Confidence.unproven)
    proven = notice_of(engine_pb2.PreemptRequest(lead_ms=120_000, is_proven=True))
    assert proven is not None
    assert proven.confidence is Confidence.proven
    wished = notice_of(engine_pb2.PreemptRequest(lead_ms=60_000, kind="operator"))
    assert wished is not None
    assert (wished.kind, wished.confidence) == (NoticeKind.operator, Confidence.proven)


@pytest.mark.parametrize(
    "request_",
    [
        engine_pb2.PreemptRequest(kind="shutdown"),
        engine_pb2.PreemptRequest(kind="storm"),
        engine_pb2.PreemptRequest(lead_ms=-1),
        engine_pb2.PreemptRequest(lead_ms=MAX_LEAD_MS + 1),
    ],
)
def test_what_cannot_be_told_is_no_notice(request_: engine_pb2.PreemptRequest) -> None:
    assert notice_of(request_) is None
