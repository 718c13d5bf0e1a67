"""Every error of the library has its reason."""

from __future__ import annotations

import pytest
import redis.exceptions as theirs

from gateway.redis_link.errors import LIBRARY_ERRORS, AwayReason, RedisAway, away_reason

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (theirs.ConnectionError("closed"), AwayReason.unreachable),
        (ConnectionResetError(), AwayReason.unreachable),
        (theirs.TimeoutError(), AwayReason.timed_out),
        (TimeoutError(), AwayReason.timed_out),
        (theirs.ResponseError("BUSY Redis is busy running a script"), AwayReason.timed_out),
        (theirs.OutOfMemoryError(), AwayReason.out_of_memory),
        (theirs.ReadOnlyError(), AwayReason.read_only),
        (theirs.ResponseError("MISCONF Redis is configured to save RDB snapshots"), AwayReason.read_only),
        (theirs.ResponseError("NOREPLICAS Not enough good replicas to write."), AwayReason.read_only),
        (theirs.BusyLoadingError(), AwayReason.loading),
        (theirs.ClusterDownError("down"), AwayReason.cluster_down),
        (theirs.MasterDownError("down"), AwayReason.cluster_down),
        (theirs.SlotNotCoveredError(), AwayReason.cluster_down),
        (theirs.AuthenticationError(), AwayReason.refused),
        (theirs.NoPermissionError(), AwayReason.refused),
        (theirs.ResponseError("ERR wrong"), AwayReason.broken),
    ],
)
def test_an_error_of_the_library_has_our_reason(error: Exception, why: AwayReason) -> None:
    assert away_reason(error) is why
    assert isinstance(error, LIBRARY_ERRORS)


def test_an_away_redis_says_why_and_no_more_than_it_was_told() -> None:
    assert str(RedisAway(AwayReason.loading)) == "loading"
    assert str(RedisAway(AwayReason.broken, "ResponseError")) == "broken: ResponseError"
