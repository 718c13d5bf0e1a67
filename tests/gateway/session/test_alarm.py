"""The alarm of a session keeps the earliest of its times."""

from __future__ import annotations

import pytest

from gateway.session.alarm import Alarm

pytestmark = pytest.mark.unit


def test_the_earliest_time_is_kept() -> None:
    alarm = Alarm(100)
    alarm.at(40)
    alarm.at(60)
    assert alarm.due_ms == 40
