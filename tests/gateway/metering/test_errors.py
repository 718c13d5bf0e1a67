"""What can go wrong with the record of usage."""

from __future__ import annotations

import pytest

from gateway.metering.errors import JournalFailed, MeteringError

pytestmark = pytest.mark.unit


def test_a_failed_journal_says_why() -> None:
    failed = JournalFailed("enospc")
    assert isinstance(failed, MeteringError)
    assert (failed.reason, str(failed)) == ("enospc", "the journal could not be written: enospc")
