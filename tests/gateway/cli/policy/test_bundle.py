"""A bundle that cannot be read, or an instant that is none, ends a command with every reason."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import typer

from gateway.cli.policy.bundle import bundle_in, instant_of, now_s
from tests.harness.policy_bundles import changed_rule, written
from tests.harness.residency_bundle import residency_files

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


def test_a_bundle_is_read(tmp_path: Path) -> None:
    assert bundle_in(written(residency_files(), tmp_path)).name == "test"


def test_every_mistake_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = changed_rule(changed_rule(residency_files(), "P01", "eu-strict", "eu-strickt"), "P02", "eea", "eeea")
    with pytest.raises(typer.Exit) as ended:
        bundle_in(written(files, tmp_path), as_json=True)
    told = capsys.readouterr()
    assert ended.value.exit_code == 64
    assert "P01" in told.err
    assert "P02" in told.err
    assert len(json.loads(told.out)["mistakes"]) >= 2


def test_no_folder_is_66(tmp_path: Path) -> None:
    with pytest.raises(typer.Exit) as ended:
        bundle_in(tmp_path / "nowhere")
    assert ended.value.exit_code == 66


@pytest.mark.parametrize("text", ["2026-10-01", "2026-10-01T00:00:00Z", "2026-10-01T02:00:00+02:00", "1790812800"])
def test_an_instant_may_be_written_in_four_ways(text: str) -> None:
    assert instant_of(text) == 1_790_812_800


@pytest.mark.parametrize("text", ["tomorrow", "2026-13-01", "2026-10-01T00:00:00", ""])
def test_what_is_no_instant_is_64(text: str) -> None:
    with pytest.raises(typer.Exit) as ended:
        instant_of(text)
    assert ended.value.exit_code == 64


def test_now_is_now() -> None:
    assert now_s() > 1_700_000_000
