"""News of credit says no more than it must."""

from __future__ import annotations

import pytest

from gateway.session.credit import QuotaUpdate

pytestmark = pytest.mark.unit


def test_without_more_words_no_limit_holds() -> None:
    assert QuotaUpdate(granted_us=None) == QuotaUpdate(None, remaining_us=None, level=None, retry_after_ms=None)
