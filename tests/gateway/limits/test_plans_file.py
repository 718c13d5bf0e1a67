"""Plans follow their file: a good change at the second look that sees it, a bad one never."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from gateway.limits.plans_file import (
    DEFAULT_LEAST_COMPUTE_BURST,
    MAX_FILE_BYTES,
    Plans,
    PlansRefused,
    built_in_plans,
    read_plans,
)
from gateway.limits.plans_metrics import PlansMetrics
from gateway.limits.settings import CreditSettings
from policies.facts import Caller
from policies.plans import CallerPlan, LevelLimits, WhenLimiterAway
from tests.harness.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit

CALLER = Caller("acme", "p", "ci", "gold", frozenset(), "", 0)
STRANGER = Caller("other", "", "", "", frozenset(), "", 0)


def text_of(max_sessions: int) -> str:
    return f"[plans.gold.org]\nmax_sessions = {max_sessions}\n"


class Watched:
    """Plans over a file, with what they measured."""

    def __init__(self, path: Path, *, look_interval_ms: int = 60_000) -> None:
        self.registry = CollectorRegistry()
        self.plans = Plans(
            path,
            least_compute_burst=DEFAULT_LEAST_COMPUTE_BURST,
            look_interval_ms=look_interval_ms,
            metrics=PlansMetrics(self.registry),
        )

    @property
    def max_sessions(self) -> int | None:
        plan = self.plans.resolve(CALLER)
        assert plan is not None
        return plan.org.max_sessions

    @property
    def has_failed(self) -> bool:
        return self.registry.get_sample_value("patchbay_plans_reload_failed") == 1

    async def looks(self, times: int = 2) -> list[dict[str, object]]:
        """What is logged in so many looks."""
        with capture_logs() as logged:
            for _ in range(times):
                await self.plans.look()
        return [dict(line) for line in logged]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "plans.toml"
    path.write_text(text_of(1))
    return path


@pytest.fixture
def watched(path: Path) -> Watched:
    return Watched(path)


def replace_file(path: Path, text: str) -> None:
    """As editors and configuration tools do: whole, in one step."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    os.replace(beside, path)


def write_in_place(path: Path, text: str) -> None:
    path.write_text(text)


# --- reading once -------------------------------------------------------------------------------------------------


def test_without_a_file_there_is_one_plan_without_limits_whatever_a_token_names() -> None:
    for caller in (CALLER, STRANGER):
        plan = built_in_plans().resolve(caller)
        assert isinstance(plan, CallerPlan)
        assert (plan.name, plan.key, plan.project, plan.org) == ("unlimited", *[LevelLimits()] * 3)
        assert plan.when_limiter_away is WhenLimiterAway.open


async def test_without_a_file_there_is_nothing_to_look_after() -> None:
    metrics = PlansMetrics(CollectorRegistry())
    plans = Plans(None, least_compute_burst=1, look_interval_ms=1, metrics=metrics)
    await plans.run()
    await plans.look()
    assert plans.current() == built_in_plans()


def test_a_file_that_is_wrong_at_start_is_refused_with_every_mistake(path: Path) -> None:
    path.write_text("default_plan = 'none'\n[plans.gold.org]\nsession_starts_burst = 2")
    with pytest.raises(PlansRefused) as refusal:
        Watched(path)
    assert [str(mistake) for mistake in refusal.value.mistakes] == [
        "default_plan: there is no plan none",
        "plans.gold.org.session_starts_burst: says nothing without session_starts_per_second",
    ]


@pytest.mark.parametrize(
    ("content", "mistake"),
    [
        (b"\xff", "not UTF-8 at byte 0"),
        (b"#" * (MAX_FILE_BYTES + 1), f"larger than {MAX_FILE_BYTES} bytes"),
        (b"[plans", "not TOML: "),
        (b"", "plans: is required"),
        (b"[plans]", "plans: there must be at least one plan"),
    ],
)
def test_what_is_no_plans_file_is_refused(path: Path, content: bytes, mistake: str) -> None:
    path.write_bytes(content)
    with pytest.raises(PlansRefused) as refusal:
        read_plans(path)
    assert str(refusal.value).startswith(mistake)


@pytest.mark.parametrize("name", ["none.toml", "."])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(PlansRefused, match=r"No such file|Is a directory"):
        read_plans(tmp_path / name)


def test_the_least_burst_is_what_a_session_opens_with_by_default() -> None:
    assert CreditSettings().opening_hold_us() == DEFAULT_LEAST_COMPUTE_BURST


def test_warnings_do_not_keep_a_file_from_being_read(path: Path) -> None:
    path.write_text("[plans.gold]\norg = { max_sessions = 1 }\nkey = { max_sessions = 2 }")
    assert [str(warning) for warning in read_plans(path).warnings] == [
        "plans.gold.key.max_sessions: is more than plans.gold.org.max_sessions allows"
    ]


# --- callers ------------------------------------------------------------------------------------------------------


async def test_the_same_caller_has_the_same_object_until_the_plans_change(watched: Watched, path: Path) -> None:
    before = watched.plans.resolve(CALLER)
    assert watched.plans.resolve(CALLER) is before
    replace_file(path, text_of(2))
    await watched.looks()
    assert watched.plans.resolve(CALLER) is not before


async def test_a_running_session_is_held_to_the_plans_in_force(watched: Watched, path: Path) -> None:
    plan, version = watched.plans.resolve(CALLER), watched.plans.version
    assert plan is not None
    assert watched.plans.resolve_again(plan) == plan
    replace_file(path, text_of(2))
    await watched.looks()
    assert watched.plans.version != version
    again = watched.plans.resolve_again(plan)
    assert again == watched.plans.resolve(CALLER) != plan
    replace_file(path, "[plans.silver]")
    await watched.looks()
    assert watched.plans.resolve_again(plan) is None


def test_a_plan_that_is_not_known_is_none(watched: Watched) -> None:
    assert watched.plans.resolve(STRANGER) is None


# --- changes ------------------------------------------------------------------------------------------------------


async def test_a_good_change_is_taken_at_the_second_look_that_sees_it(watched: Watched, path: Path) -> None:
    replace_file(path, text_of(2))
    assert await watched.looks(1) == []
    assert watched.max_sessions == 1
    (line,) = await watched.looks(1)
    version = watched.plans.current().rating_version
    assert line == {
        "event": "plans.loaded",
        "log_level": "info",
        "rating_version": version,
        "plans": 1,
        "orgs": 0,
        "warnings": 0,
    }
    assert watched.max_sessions == 2
    assert watched.registry.get_sample_value("patchbay_plans_in_force", {"rating_version": version}) == 1
    assert await watched.looks() == []


async def test_a_bad_change_leaves_the_plans_in_force_and_is_told_once_with_every_mistake(
    watched: Watched, path: Path
) -> None:
    version = watched.plans.current().rating_version
    replace_file(path, "[plans.gold]\ntier = 1\n[orgs.acme]\nbogus = 1")
    assert await watched.looks(5) == [
        {
            "event": "plans.rejected",
            "log_level": "error",
            "mistakes": [
                "plans.gold.tier: must be 'premium', 'standard' or 'economy'",
                "orgs.822b33ad87c1.bogus: is not known here",
            ],
            "rating_version": version,
        }
    ]
    assert (watched.max_sessions, watched.has_failed) == (1, True)


async def test_a_repaired_file_is_taken_and_one_that_is_put_back_ends_the_alarm(watched: Watched, path: Path) -> None:
    replace_file(path, "[plans")
    await watched.looks()
    replace_file(path, text_of(1))
    assert [line["event"] for line in await watched.looks()] == ["plans.loaded"]
    assert (watched.max_sessions, watched.has_failed) == (1, False)
    replace_file(path, text_of(3))
    await watched.looks()
    assert (watched.max_sessions, watched.has_failed) == (3, False)


async def test_a_change_of_comments_is_no_change(watched: Watched, path: Path) -> None:
    before = watched.plans.resolve(CALLER)
    replace_file(path, f"# said again\n{text_of(1)}")
    assert await watched.looks(3) == []
    assert watched.plans.resolve(CALLER) is before


async def test_a_file_that_is_gone_leaves_the_plans_in_force_until_it_is_back(watched: Watched, path: Path) -> None:
    os.unlink(path)
    (line,) = await watched.looks(4)
    assert (line["event"], line["mistakes"]) == ("plans.rejected", ["No such file or directory"])
    assert (watched.max_sessions, watched.has_failed) == (1, True)
    write_in_place(path, text_of(1))
    await watched.looks()
    assert (watched.max_sessions, watched.has_failed) == (1, False)


async def test_a_file_that_is_gone_for_one_look_is_not_missed(watched: Watched, path: Path) -> None:
    away = path.with_suffix(".away")
    os.rename(path, away)
    assert await watched.looks(1) == []
    os.rename(away, path)
    assert await watched.looks(3) == []
    assert not watched.has_failed


async def test_a_file_that_is_being_written_is_not_read_until_it_is_still(watched: Watched, path: Path) -> None:
    """Each piece alone is a good file that says less."""
    text = text_of(2) + "[orgs.acme.org]\nmax_sessions = 9\n"
    seen = []
    with path.open("w") as file:
        for line in text.splitlines(keepends=True):
            file.write(line)
            file.flush()
            assert await watched.looks(1) == []
            seen.append(watched.max_sessions)
    assert set(seen) == {1}
    await watched.looks()
    assert watched.max_sessions == 9


async def test_a_swapped_link_is_a_change(tmp_path: Path) -> None:
    """A config map of Kubernetes: plans.toml -> ..data/plans.toml, and ..data -> a folder for each version."""
    for version in (1, 2):
        folder = tmp_path / f"..v{version}"
        folder.mkdir()
        (folder / "plans.toml").write_text(text_of(version))
        os.utime(folder / "plans.toml", (1, 1))
    (tmp_path / "..data").symlink_to("..v1")
    (tmp_path / "plans.toml").symlink_to("..data/plans.toml")
    watched = Watched(tmp_path / "plans.toml")
    (tmp_path / "..data_tmp").symlink_to("..v2")
    os.replace(tmp_path / "..data_tmp", tmp_path / "..data")
    await watched.looks()
    assert watched.max_sessions == 2


async def test_a_change_that_keeps_size_and_time_is_seen(watched: Watched, path: Path) -> None:
    times = os.stat(path)
    write_in_place(path, text_of(2))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    await watched.looks()
    assert watched.max_sessions == 2


async def test_a_running_watch_follows_the_file(path: Path) -> None:
    watched = Watched(path, look_interval_ms=10)
    task = asyncio.create_task(watched.plans.run())
    try:
        replace_file(path, text_of(2))
        await until(lambda: watched.max_sessions == 2, what="the new plans")
        replace_file(path, "[plans")
        await until(lambda: watched.has_failed, what="the alarm")
        replace_file(path, text_of(3))
        await until(lambda: watched.max_sessions == 3, what="the newest plans")
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert not watched.has_failed
