"""A bar is for terminals alone."""

from __future__ import annotations

import pytest

from gateway.cli.policy.progress import shown_progress

pytestmark = pytest.mark.unit


def test_nothing_is_printed_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_progress("asking") as progress:
        progress(1, 2)
    assert capsys.readouterr() == ("", "")
