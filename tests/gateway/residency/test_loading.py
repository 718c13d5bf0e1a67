"""What is not approved, not in force or not sound does not load, and every reason is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.residency.loading import BundleUnusable, Trust, load
from tests.harness.residency_bundle import NOON_S, residency_files
from tests.harness.residency_folder import Approvers, written

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit

APPROVERS = Approvers("ada", "grace", "hedy")
TWO = Trust(APPROVERS.public, 2)
BEGIN_S, END_S = 1_767_225_600, 1_798_761_600
"""Of the harness's bundle."""


def refusal(folder: Path, trust: Trust, *, now_s: float = NOON_S, not_before_s: int = 0) -> BundleUnusable:
    with pytest.raises(BundleUnusable) as refused:
        load(folder, trust, now_s=now_s, not_before_s=not_before_s)
    return refused.value


def test_two_of_three_approvers_are_enough(tmp_path: Path) -> None:
    loaded = load(written(tmp_path, APPROVERS.signed(residency_files(), by=("ada", "hedy"))), TWO, now_s=NOON_S)
    assert loaded.signed_by == ("ada", "hedy")
    assert loaded.engine.holds_at(NOON_S)


def test_an_unsigned_bundle_is_not_even_parsed_in_production(tmp_path: Path) -> None:
    unusable = refusal(written(tmp_path, residency_files() | {"bundle.toml": b"nonsense"}), TWO)
    assert unusable.mistakes == ["signatures: 2 approvers must have signed it; approved by nobody"]
    assert len(unusable.digest) == 64


def test_one_signature_and_a_strangers_are_not_two(tmp_path: Path) -> None:
    files = APPROVERS.signed(residency_files(), by=("ada",)) | Approvers("eve").signed({}, by=())
    files |= {"signatures/eve.sig": Approvers("eve").signature("eve", "00")}
    assert "approved by ada" in refusal(written(tmp_path, files), TWO).mistakes[0]


def test_in_development_nobody_need_have_signed_but_the_dates_hold(tmp_path: Path) -> None:
    folder = written(tmp_path, residency_files())
    assert load(folder, Trust(), now_s=NOON_S).signed_by == ()
    assert "expired since 2027-01-01" in refusal(folder, Trust(), now_s=END_S).mistakes[0]


def test_a_bundle_for_later_is_refused_until_its_date(tmp_path: Path) -> None:
    folder = written(tmp_path, residency_files())
    unusable = refusal(folder, Trust(), now_s=BEGIN_S - 1)
    assert (unusable.comes_at_s, "to come" in unusable.mistakes[0]) == (BEGIN_S, True)
    assert load(folder, Trust(), now_s=BEGIN_S).bundle.version == "1"


def test_one_that_is_older_than_the_settings_allow_is_as_good_as_expired(tmp_path: Path) -> None:
    folder = written(tmp_path, residency_files())
    old = Trust(max_age_s=86_400)
    assert "too old since 2026-01-02" in refusal(folder, old, now_s=BEGIN_S + 86_400).mistakes[0]
    assert old.ends_at_s(load(folder, old, now_s=BEGIN_S + 86_399).bundle) == BEGIN_S + 86_400


def test_what_was_given_up_does_not_come_back(tmp_path: Path) -> None:
    folder = written(tmp_path, residency_files())
    assert "before the one in force" in refusal(folder, Trust(), not_before_s=BEGIN_S + 1).mistakes[0]


def test_mistakes_of_the_bundle_and_of_its_folder_are_told(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere", Trust()).mistakes
    folder = written(tmp_path / "bundle", residency_files(rules="permit (principal, action, resource);"))
    assert len(refusal(folder, Trust()).mistakes) > 1


def test_a_copy_that_a_desktop_left_in_the_folder_is_told_and_harms_nobody(tmp_path: Path) -> None:
    folder = written(tmp_path, APPROVERS.signed(residency_files(), by=("ada", "hedy")))
    (folder / "regions - Copy.toml").write_bytes(b"")
    assert refusal(folder, TWO).mistakes == [
        "'regions - Copy.toml': is no plain path (letters, digits, and . _ - inside names)"
    ]
