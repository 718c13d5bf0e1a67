from __future__ import annotations

import pytest

from regions.simulator.session import Session
from tests.regions.simulator.small_world import EU, caller

pytestmark = pytest.mark.unit


def test_names_of_sessions_sort_as_their_callers_came() -> None:
    names = [Session(caller(number), EU, 0).name for number in (2, 10, 111)]
    assert names == sorted(names)
