"""The bundle in force: the last good one stays, dates change decisions to the second, and after its end nothing is
permitted.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import pytest

from gateway.residency.last_good import LastGood
from gateway.residency.loading import BundleUnusable, Trust
from policies.residency.decision import Question, Situation
from policies.residency.vocabulary import Action, Verdict
from tests.harness.residency_bundle import NOON_S, residency_files
from tests.harness.residency_folder import Approvers, written
from tests.harness.residency_world import ResidencyWorld
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.unit

END_S = 1_798_761_600
SUNSET_S = 1_790_812_800
"""Of F08: global callers leave the United States at 2026-10-01T00:00:00Z."""
GLOBAL_IN_US = Question(Situation("global", subject_countries=frozenset({"FR"})), Action.process, "us-east-1")
SECOND = {"version": "2", "issued_at": "2026-05-01T00:00:00Z"}


async def test_another_bundle_comes_into_force_and_followers_hear_of_it(tmp_path: Path) -> None:
    world = ResidencyWorld(tmp_path)
    await world.put(residency_files(**SECOND))
    assert world.in_force.bundle is not None
    assert (world.in_force.bundle.version, world.changes) == ("2", 1)
    assert world.log.actions == ["taken", "taken"]
    assert world.figure("patchbay_residency_bundle_in_force") == 1


async def test_what_cannot_be_used_changes_nothing_and_is_told_once(tmp_path: Path) -> None:
    world = ResidencyWorld(tmp_path)
    await world.put({"bundle.toml": b"nonsense"})
    await world.in_force.look()
    assert world.in_force.decide(GLOBAL_IN_US).is_allowed
    assert (world.changes, world.log.actions) == (0, ["taken", "refused"])
    assert world.figure("patchbay_residency_bundle_refused") == 1
    await world.put(residency_files(**SECOND))
    assert world.figure("patchbay_residency_bundle_refused") == 0


async def test_a_folder_that_still_changes_is_not_read(tmp_path: Path) -> None:
    world = ResidencyWorld(tmp_path)
    for number in range(3):
        written(tmp_path, residency_files(version=str(number + 2), issued_at="2026-05-01T00:00:00Z"))
        await world.in_force.look()
    assert world.in_force.bundle is not None
    assert world.in_force.bundle.version == "1"


async def test_at_its_end_everything_is_denied_and_nothing_brings_it_back(tmp_path: Path) -> None:
    world = ResidencyWorld(tmp_path)
    await world.put({"bundle.toml": b"nonsense"})
    world.now_s = END_S - 1.0
    await world.in_force.look()
    assert world.in_force.bundle is not None
    world.now_s = float(END_S)
    assert world.in_force.table is None, "before anybody looked"
    await world.in_force.look()
    assert world.in_force.decide(GLOBAL_IN_US).verdict is Verdict.deny
    assert world.log.actions[-1] == "ended"
    assert world.figure("patchbay_residency_bundle_in_force") == 0
    await world.put(residency_files(**SECOND, expires_at="2028-01-01T00:00:00Z"))
    assert world.in_force.table is not None, "but another bundle does"


async def test_decisions_change_at_a_date_in_a_rule_without_a_moment_of_the_old_ones(tmp_path: Path) -> None:
    world = ResidencyWorld(tmp_path)
    world.now_s = SUNSET_S - 10.0
    await world.in_force.look()
    assert world.in_force.decide(GLOBAL_IN_US).is_allowed
    before = world.changes
    world.now_s = float(SUNSET_S)
    assert world.in_force.decide(GLOBAL_IN_US).rules == ("F08-us-sunset",), "the table was made ahead"
    await world.in_force.look()
    assert world.changes == before + 1
    assert world.log.actions[-1] == "date_passed"


async def test_after_a_leap_of_the_clock_nobody_is_answered_by_the_old_table(tmp_path: Path) -> None:
    world = ResidencyWorld(tmp_path)
    world.now_s = SUNSET_S + 3_600.0
    assert world.in_force.table is None
    assert world.in_force.is_between_tables
    assert not world.in_force.decide(GLOBAL_IN_US).is_allowed
    await world.in_force.look()
    assert world.in_force.decide(GLOBAL_IN_US).rules == ("F08-us-sunset",)


async def test_situations_in_use_are_known_to_a_table_before_it_comes_into_force(tmp_path: Path) -> None:
    world = ResidencyWorld(tmp_path)
    world.sets()  # which say what is to be known
    table = world.in_force.table
    assert table is not None
    table.permitted(GLOBAL_IN_US.situation, ["us-east-1", "eu-central-1"], here="eu-central-1")
    await world.put(residency_files(**SECOND))
    new = world.in_force.table
    assert new is not None
    assert new is not table
    assert new.has(GLOBAL_IN_US)


async def test_a_bundle_for_later_comes_into_force_at_its_date(tmp_path: Path) -> None:
    world = ResidencyWorld(tmp_path)
    await world.put(residency_files(version="2", issued_at="2026-06-02T00:00:00Z"))
    assert world.in_force.bundle is not None
    assert world.in_force.bundle.version == "1"
    world.now_s = NOON_S + 86_400.0
    await world.in_force.look()
    assert world.in_force.bundle.version == "2"


async def test_unsigned_in_production_it_does_not_load_and_the_signed_one_stays(tmp_path: Path) -> None:
    approvers = Approvers("ada", "grace")
    trust = Trust(approvers.public, 2)
    with pytest.raises(BundleUnusable):
        ResidencyWorld(tmp_path / "unsigned", trust=trust)
    world = ResidencyWorld(tmp_path / "signed", approvers.signed(residency_files()), trust=trust)
    await world.put(residency_files(**SECOND))
    assert world.in_force.bundle is not None
    assert world.in_force.bundle.version == "1"
    await world.put(approvers.signed(residency_files(**SECOND)))
    assert world.in_force.bundle.version == "2"


async def test_a_restart_goes_on_with_the_last_good_one_while_the_folder_cannot_be_used(tmp_path: Path) -> None:
    last_good = LastGood(tmp_path / "kept")
    world = ResidencyWorld(tmp_path / "bundle", last_good=last_good)
    await world.put(residency_files(**SECOND))
    again = ResidencyWorld(tmp_path / "bundle", {"bundle.toml": b"nonsense"}, last_good=last_good)
    assert again.in_force.bundle is not None
    assert again.in_force.bundle.version == "2"
    assert again.figure("patchbay_residency_bundle_refused") == 1
    with pytest.raises(BundleUnusable, match="of the last good one"):
        ResidencyWorld(tmp_path / "bundle", {}, last_good=last_good, now_s=END_S)


async def test_a_question_about_a_project_alone_is_asked_with_its_defaults(tmp_path: Path) -> None:
    world = ResidencyWorld(tmp_path)
    situation = world.in_force.situation_of_project("clinic/notes")
    assert (situation.profile, situation.data_class.value, situation.subject_countries) == ("us-health", "phi", {"US"})
    assert world.in_force.situation_of_project("acme/unknown").profile == ""


async def test_a_follower_that_fails_keeps_no_other_from_hearing(tmp_path: Path) -> None:
    world = ResidencyWorld(tmp_path)
    heard: list[int] = []

    def fails() -> None:
        raise RuntimeError("no")

    world.in_force.on_change(fails)
    world.in_force.on_change(lambda: heard.append(1))
    await world.put(residency_files(**SECOND))
    assert heard == [1]


async def test_a_restart_does_not_bring_back_what_was_given_up(tmp_path: Path) -> None:
    approvers, last_good = Approvers("ada", "grace"), LastGood(tmp_path / "kept")
    trust = Trust(approvers.public, 2)
    old = approvers.signed(residency_files())
    world = ResidencyWorld(tmp_path / "bundle", old, trust=trust, last_good=last_good)
    await world.put(approvers.signed(residency_files(**SECOND)))
    again = ResidencyWorld(tmp_path / "bundle", old, trust=trust, last_good=last_good)
    assert again.in_force.bundle is not None
    assert again.in_force.bundle.version == "2"
    assert again.log.actions == ["refused", "taken"]


async def test_a_bundle_for_later_is_not_read_again_before_its_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = ResidencyWorld(tmp_path)
    await world.put(residency_files(version="2", issued_at="2026-06-02T00:00:00Z"))
    monkeypatch.setattr("gateway.residency.in_force.load", lambda *_given, **_named: pytest.fail("read again"))
    for _ in range(3):
        await world.in_force.look()


async def test_a_date_that_passes_while_a_bundle_is_read_is_no_end(tmp_path: Path) -> None:
    world = ResidencyWorld(tmp_path, now_s=SUNSET_S - 30.0)
    await world.in_force.look()

    def slow(_table: object, _used: object) -> tuple[()]:
        world.now_s = SUNSET_S + 1.0
        return ()

    world.in_force.warm_with = slow
    written(tmp_path, residency_files(**SECOND))
    await world.in_force.look()
    await world.in_force.look()
    assert world.in_force.is_between_tables
    assert world.changes == 0
    await world.in_force.look()
    assert world.in_force.decide(GLOBAL_IN_US).rules == ("F08-us-sunset",)
    assert (world.changes, "ended" in world.log.actions) == (1, False)


async def test_a_fault_with_what_is_in_the_folder_does_not_end_the_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = ResidencyWorld(tmp_path, check_interval_ms=50)
    tried: list[int] = []

    def fails(*_given: object, **_named: object) -> None:
        tried.append(1)
        raise RuntimeError("a fault of ours")

    with monkeypatch.context() as faulty:
        faulty.setattr("gateway.residency.in_force.load", fails)
        following = asyncio.create_task(world.in_force.run())
        written(tmp_path, residency_files(**SECOND))
        await until(lambda: bool(tried), what="the fault")
    await until(lambda: world.changes == 1, what="the bundle, read again")
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following


async def test_an_end_does_not_wait_until_a_new_table_is_filled(tmp_path: Path) -> None:
    world = ResidencyWorld(tmp_path)
    told: list[str] = []

    def questions(_table: object, _used: object) -> Iterator[Question]:
        yield GLOBAL_IN_US
        world.now_s = float(END_S)
        for number in range(200):
            yield Question(Situation("global", f"acme/unknown-{number}"), Action.process, "us-east-1")
        told.append(world.log.actions[-1])

    world.in_force.warm_with = questions
    await world.put(residency_files(**SECOND, expires_at="2028-01-01T00:00:00Z"))
    assert told[0] == "ended", "while it was filled"
    assert world.in_force.table is not None


async def test_a_bundle_does_not_wait_for_more_situations_than_it_has_time_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = ResidencyWorld(tmp_path)
    was = world.in_force.table
    monkeypatch.setattr("gateway.residency.in_force._WARM_AT_MOST_S", 0.05)

    def without_end(_table: object, _used: object) -> Iterator[Question]:
        for number in itertools.count():
            yield Question(Situation("global", f"acme/unknown-{number}"), Action.process, "us-east-1")

    world.in_force.warm_with = without_end
    await world.put(residency_files(**SECOND))
    assert world.in_force.table is not None
    assert world.in_force.table is not was


async def test_what_could_not_be_kept_is_kept_once_the_disk_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.residency.in_force._KEEP_AGAIN_S", 0.0)
    (tmp_path / "kept").write_bytes(b"no directory")
    last_good = LastGood(tmp_path / "kept")
    world = ResidencyWorld(tmp_path / "bundle", last_good=last_good)
    await world.in_force.look()
    assert last_good.folder() is None
    (tmp_path / "kept").unlink()
    await world.in_force.look()
    assert last_good.folder() is not None
