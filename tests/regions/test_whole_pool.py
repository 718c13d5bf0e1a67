"""One region alone: every session has all of its engines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from regions.whole_pool import WholePool
from tests.fakes.engine_pool import FakePool

if TYPE_CHECKING:
    from regions.placing import SessionPool

pytestmark = pytest.mark.unit


def test_every_session_opens_its_streams_in_the_one_pool_and_is_in_its_region() -> None:
    engines = FakePool()
    sessions: list[SessionPool] = [WholePool(engines, "here"), WholePool(engines, "here")]
    assert all(session.pool() is engines and session.region == "here" for session in sessions)


def test_a_session_that_ends_leaves_the_engines_to_the_others() -> None:
    engines = FakePool()
    ending, going_on = WholePool(engines, "here"), WholePool(engines, "here")
    ending.permit(frozenset())
    ending.close()
    assert going_on.pool() is engines
