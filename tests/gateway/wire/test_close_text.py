"""The text of a close frame is short, is read by its grammar, and never surprises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Reason
from gateway.wire.close_text import MAX_BYTES, close_text, read_close_text, retry_after_ms_of
from gateway.wire.messages import ErrorMessage
from gateway.wire.refusal import error_message

pytestmark = pytest.mark.unit


def test_without_a_hint_the_text_is_the_reason_alone() -> None:
    assert close_text(error_message(Reason.token_expired)) == "token_expired"


def test_hints_follow_the_reason() -> None:
    error = error_message(Reason.quota_exhausted, retry_after_ms=1_500, level="org")
    assert close_text(error) == "quota_exhausted; retry_after_ms=1500; level=org"


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_fits_with_all_its_hints_and_is_read_back(reason: Reason) -> None:
    text = close_text(error_message(reason, retry_after_ms=10**12, level="project"))
    assert len(text.encode()) <= MAX_BYTES
    assert read_close_text(text) == (reason.value, {"retry_after_ms": str(10**12), "level": "project"})


def test_what_does_not_fit_is_left_out_whole() -> None:
    text = close_text(ErrorMessage(reason="r" * 110, message="", retryable=True, retry_after_ms=1_500, level="org"))
    assert text == "r" * 110 + "; level=org"


def test_a_reader_passes_over_what_it_does_not_know() -> None:
    text = "no_capacity;color=blue; retry_after_ms=20 ; broken; =x; a=b=c"
    assert read_close_text(text) == ("no_capacity", {"color": "blue", "retry_after_ms": "20"})
    assert retry_after_ms_of(text) == 20


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    reason, _ = read_close_text(text)
    assert text.lstrip().startswith(reason)
    hint = retry_after_ms_of(text)
    assert hint is None or hint >= 0
