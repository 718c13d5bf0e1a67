"""Watching ends when the place is empty, when time is over, when somebody stops it; and Ctrl-C stops nothing."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.cli.admin_client import AdminRefused
from gateway.cli.exit_codes import ExitCode
from gateway.cli.order_watch import Watching

pytestmark = pytest.mark.unit

PROGRESS = {
    "total": 4,
    "moved": 0,
    "ended": 0,
    "peers_gone": 0,
    "moving": 0,
    "waiting": 0,
    "left": 4,
    "stuck": {},
    "done_at_unix_ms": 0,
    "gateways": 1,
    "is_late": False,
}
ORDER = {
    "id": "a" * 12,
    "target": {"scope": "region", "region": "ie", "name": ""},
    "kind": "drain",
    "state": "in_force",
    "within_ms": 5_000,
    "progress": None,
}


def seen(state: str = "in_force", **progress: Any) -> dict[str, Any]:
    return ORDER | {"state": state, "progress": PROGRESS | progress}


class Gateway:
    """Answers one thing after the other, the last one again and again."""

    def __init__(self, *answers: dict[str, Any] | BaseException) -> None:
        self.answers = list(answers)
        self.now_s = 0.0

    def get(self, path: str) -> dict[str, Any]:
        assert path == f"/v1/orders/{'a' * 12}"
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def watch(gateway: Gateway) -> ExitCode:
    watching = Watching(
        gateway,  # type: ignore[arg-type]
        "region",
        is_shown=False,
        now_s=lambda: gateway.now_s,
        sleep=gateway.sleep,
    )
    return watching.until_empty(ORDER)[0]


def test_it_ends_well_when_every_gateway_says_that_nothing_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    done = seen(left=0, moved=4, done_at_unix_ms=5)
    assert watch(Gateway(ORDER, seen(), seen(left=2, moved=2), done)) is ExitCode.ok
    assert "ie is empty: 0 of 4 left, 4 moved." in capsys.readouterr().err


def test_it_ends_with_the_reasons_when_the_time_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    late = seen(left=3, moved=1, stuck={"no_free_slot": 2, "no_permitted_region": 1}, is_late=True)
    assert watch(Gateway(late)) is ExitCode.not_yet
    said = capsys.readouterr().err
    assert "2 stuck: no free slot elsewhere" in said
    assert "1 stuck: their policy permits no other region" in said
    assert "undrain ie" in said


def test_it_ends_by_itself_where_no_gateway_ever_says_anything() -> None:
    gateway = Gateway(ORDER)
    assert watch(gateway) is ExitCode.not_yet
    assert gateway.now_s < 60


@pytest.mark.parametrize("end", [seen("stopped"), AdminRefused("gone", ExitCode.no_input, "unknown_order")])
def test_it_ends_when_somebody_stops_or_withdraws_the_order(end: dict[str, Any] | AdminRefused) -> None:
    assert watch(Gateway(seen(), end)) is ExitCode.not_yet


def test_a_gateway_that_is_started_anew_is_waited_for() -> None:
    away = AdminRefused("away", ExitCode.unavailable)
    assert watch(Gateway(seen(), away, away, seen(left=0, done_at_unix_ms=5))) is ExitCode.ok


def test_a_gateway_that_stays_away_ends_it_and_the_drain_is_said_to_go_on() -> None:
    with pytest.raises(AdminRefused, match="drain goes on") as refused:
        watch(Gateway(seen(), AdminRefused("away", ExitCode.unavailable)))
    assert refused.value.exit_code is ExitCode.unavailable


def test_ctrl_c_stops_watching_and_says_that_the_drain_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert watch(Gateway(seen(), KeyboardInterrupt())) is ExitCode.interrupted
    said = capsys.readouterr().err
    assert "GOES ON: 4 of 4 left" in said
    assert "patchbay region watch ie" in said
