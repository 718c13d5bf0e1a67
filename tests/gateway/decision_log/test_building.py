"""The log of a gateway from its settings: signed, copied, and what others left sealed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from gateway.decision_log.building import DecisionLogRefused, decision_log
from gateway.decision_log.interface import NoDecisionLog
from gateway.decision_log.opened_files import log_files
from gateway.decision_log.settings import DecisionLogSettings
from gateway.decision_log.signing import create_signing_key, load_public_keys
from policies.residency.record_chain.log_findings import WriterEnd
from policies.residency.record_chain.verify import verify_log
from tests.harness.decision_logs import made_log, record
from tests.harness.waiting import until

pytestmark = pytest.mark.integration


def settings_in(folder: Path, **given: Any) -> DecisionLogSettings:
    return DecisionLogSettings.model_validate(
        {"directory": folder / "log", "min_free_bytes": 0, "commit_ms": 1, **given}
    )


async def test_without_settings_nothing_is_kept_and_nobody_is_refused() -> None:
    async with decision_log(None, region="eu-1", registry=CollectorRegistry()) as log:
        assert isinstance(log, NoDecisionLog)


async def test_what_is_given_is_signed_copied_and_closed(tmp_path: Path) -> None:
    create_signing_key(tmp_path / "key")
    (tmp_path / "copy").mkdir()
    settings = settings_in(
        tmp_path,
        signing_key_file=tmp_path / "key",
        copies=[{"kind": "directory", "directory": tmp_path / "copy"}],
    )
    async with decision_log(settings, region="eu-1", registry=CollectorRegistry()) as log:
        assert log.is_writable
        log.record(record(0))
    keys = load_public_keys([tmp_path / "key.pub"])
    for directory in (tmp_path / "log", tmp_path / "copy"):
        found = verify_log(log_files(directory), keys)
        assert found.is_intact
        assert (found.num_records, found.writers[0].end) == (3, WriterEnd.closed)


async def test_what_a_killed_writer_left_is_sealed_when_the_next_one_begins(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    for name, content in made_log(24, rotate_after=0, closed=False).items():
        (tmp_path / "log" / name).write_bytes(content)
    broken = tmp_path / "log" / "eu-1.00000000000000bb.000001.jsonl"
    broken.write_bytes(broken.read_bytes().replace(b'"latency_us":23,', b'"latency_us":42,'))
    async with decision_log(settings_in(tmp_path), region="eu-1", registry=CollectorRegistry()):
        await until(lambda: (tmp_path / "log" / "eu-1.00000000000000aa.000001.found").exists())
    # The last record of all follows from nothing that is signed: a change of it cannot be seen.
    assert len(list((tmp_path / "log").glob("*.found"))) in (1, 2)


async def test_files_that_are_old_are_deleted_and_the_log_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.decision_log.building._BESIDE_EVERY_S", 0.02)
    (tmp_path / "log").mkdir()
    for name, content in made_log(20, rotate_after=6).items():  # of 2026-09-21
        (tmp_path / "log" / name).write_bytes(content)
    async with decision_log(settings_in(tmp_path, keep_days=1), region="eu-1", registry=CollectorRegistry()):
        await until(lambda: len(list((tmp_path / "log").glob("*.jsonl"))) == 1)
    found = verify_log(log_files(tmp_path / "log"), {})
    assert found.is_intact, found.findings


async def test_a_key_that_cannot_be_used_is_told_by_its_setting(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, signing_key_file=tmp_path / "missing")
    with pytest.raises(DecisionLogRefused, match=r"decision_log\.signing_key_file"):
        async with decision_log(settings, region="eu-1", registry=CollectorRegistry()):
            raise AssertionError("it must not open")


async def test_without_boto3_a_bucket_is_refused_with_the_extra_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    monkeypatch.delitem(sys.modules, "gateway.decision_log.copy_to_s3", raising=False)
    settings = settings_in(tmp_path, copies=[{"kind": "s3", "bucket": "records"}])
    with pytest.raises(DecisionLogRefused, match="extra `s3`"):
        async with decision_log(settings, region="eu-1", registry=CollectorRegistry()):
            raise AssertionError("it must not open")
