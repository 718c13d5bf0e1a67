"""What a process promises of its log: in order, on the disk or counted, and never in anybody's way."""

from __future__ import annotations

import asyncio
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from gateway.decision_log.chain_writer import ChainLimits, ChainWriter
from gateway.decision_log.file_log import FileDecisionLog
from gateway.decision_log.left_behind import seal_as_found, unsealed_files
from gateway.decision_log.metrics import DecisionLogMetrics
from gateway.decision_log.opened_files import log_files
from gateway.decision_log.reading import read_records
from gateway.decision_log.settings import DecisionLogSettings
from gateway.decision_log.signing import create_signing_key, load_public_keys
from policies.residency.record import DecisionRecord, Event
from policies.residency.record_chain.log_findings import WriterEnd
from policies.residency.record_chain.verify import verify_log
from tests.harness.decision_logs import record, signing_keys
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from policies.residency.record_chain.log_findings import Verified
    from tests.gateway.decision_log.conftest import MakeLog

pytestmark = pytest.mark.integration


def wait_until(condition: Callable[[], bool]) -> None:
    asyncio.run(until(condition))


def verified(directory: Path) -> Verified:
    return verify_log(log_files(directory), signing_keys().keys)


def checkpoints_in(lines: list[bytes]) -> list[int]:
    """What a writing process says of its checkpoints; the last line may be torn."""
    return [int(line.split()[1]) for line in lines if line.startswith(b"checkpoint ") and line.endswith(b"\n")]


def test_records_are_on_the_disk_in_the_order_in_which_they_were_given(make_log: MakeLog, directory: Path) -> None:
    log = make_log(rotate_bytes=20_000)
    assert log.is_writable
    for number in range(60):
        log.record(record(number))
    assert log.close(5.0)
    written = [one.latency_us for one in read_records(directory) if one.event is Event.placement]
    assert written == list(range(60))
    found = verified(directory)
    assert found.is_intact
    assert [writer.end for writer in found.writers] == [WriterEnd.closed]
    assert found.writers[0].num_files > 1


def test_a_checkpoint_comes_by_time_too(make_log: MakeLog, directory: Path) -> None:
    log = make_log(checkpoint_records=1_000, checkpoint_s=1)
    log.record(record(1))
    wait_until(lambda: verified(directory).num_records == 2)
    wait_until(lambda: verified(directory).writers[0].num_unsigned == 0)


def test_giving_a_record_costs_nobody_a_wait(make_log: MakeLog) -> None:
    log = make_log()
    waits_s = []
    for number in range(1_000):
        began_s = time.perf_counter()
        log.record(record(number))
        waits_s.append(time.perf_counter() - began_s)
    assert statistics.median(waits_s) < 0.0005, "less than the disk takes"


def test_a_directory_that_cannot_be_written_is_known_before_anybody_is_let_in(
    make_log: MakeLog, directory: Path
) -> None:
    directory.write_text("a file stands here")
    log = make_log()
    assert not log.is_writable
    log.record(record(0))
    directory.unlink()
    wait_until(lambda: log.is_writable)
    assert log.close(5.0)
    assert [one.event for one in read_records(directory)] == [Event.log, Event.placement, Event.log]
    assert verified(directory).is_intact


def test_a_full_disk_makes_the_log_unwritable_and_nothing_is_torn_when_there_is_room_again(
    make_log: MakeLog, directory: Path
) -> None:
    log = make_log()
    log.record(record(0))
    wait_until(lambda: sum(1 for _ in read_records(directory)) == 2)
    (path,) = directory.glob("*.jsonl")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # In the middle of the next record: the first write is short, and the second one fails.
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100, hard))
    try:
        for number in range(1, 4):
            log.record(record(number))
        wait_until(lambda: not log.is_writable)
        assert path.read_bytes().endswith(b"\n"), "what was not written whole was taken back"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    wait_until(lambda: log.is_writable)
    assert log.close(5.0)
    assert [one.latency_us for one in read_records(directory) if one.event is Event.placement] == [0, 1, 2, 3]
    assert verified(directory).is_intact


def test_a_directory_that_is_taken_away_is_noticed_and_its_loss_is_told_by_the_chain(
    make_log: MakeLog, directory: Path
) -> None:
    log = make_log()
    log.record(record(0))
    wait_until(lambda: sum(1 for _ in read_records(directory)) == 2)
    shutil.rmtree(directory)
    log.record(record(1))
    wait_until(lambda: directory.exists() and any(one.latency_us == 1 for one in read_records(directory)))
    wait_until(lambda: log.is_writable)
    assert log.close(5.0)
    found = verified(directory)
    assert {finding.kind.value for finding in found.findings} >= {"missing_file"}


def test_a_file_that_somebody_cuts_is_left_and_the_cut_is_found(make_log: MakeLog, directory: Path) -> None:
    log = make_log()
    for number in range(5):
        log.record(record(number))
    wait_until(lambda: sum(1 for _ in read_records(directory)) == 6)
    (path,) = directory.glob("*.jsonl")
    with path.open("rb+") as file:
        file.truncate(path.stat().st_size // 2)
    log.record(record(9))
    wait_until(lambda: len(list(directory.glob("*.jsonl"))) == 2)
    assert log.close(5.0)
    found = verified(directory)
    assert not found.is_intact
    assert found.findings[0].file == path.name


def test_records_beyond_the_bound_are_counted_and_the_log_says_how_many(directory: Path) -> None:
    directory.write_text("a file stands here")
    settings = DecisionLogSettings(directory=directory, commit_ms=1, min_free_bytes=0, max_waiting_records=100)
    chain = ChainWriter(
        directory,
        "eu-1/0123456789abcdef",
        ChainLimits(1_000, 10_000, 1 << 30, 1 << 40),
        None,
        now_ms=lambda: 0,
        seen=tuple,
    )
    registry = CollectorRegistry()
    log = FileDecisionLog(chain, settings, DecisionLogMetrics(registry))
    log.start()
    for number in range(150):
        log.record(record(number))
    assert registry.get_sample_value("patchbay_decision_log_missed_total") == 50
    assert registry.get_sample_value("patchbay_decision_log_writable") == 0
    assert registry.get_sample_value("patchbay_decision_log_waiting_records") == 100
    directory.unlink()
    wait_until(lambda: log.is_writable)
    assert log.close(5.0)
    told = [one.detail for one in read_records(directory) if one.action == "gap"]
    assert told == ["50 records could not be kept"]


def test_too_little_room_is_unwritable_while_there_is_still_some(make_log: MakeLog, directory: Path) -> None:
    log = make_log(min_free_bytes=2**40)
    assert not log.is_writable
    log.record(record(0))
    wait_until(lambda: any(one.event is Event.placement for one in read_records(directory)))


def test_what_no_text_can_say_is_written_with_a_mark_in_its_place(make_log: MakeLog, directory: Path) -> None:
    log = make_log()
    log.record(DecisionRecord(event=Event.admission, detail="half \ud800 a pair", errors=("x" * 100_000,)))
    log.record(DecisionRecord(event=Event.admission, detail="half \ud800 a pair"))
    assert log.close(5.0)
    told = [(one.detail, one.errors) for one in read_records(directory) if one.event is Event.admission]
    assert told == [("(too long to be kept)", ("(too long to be kept)",)), ("half ? a pair", ())]
    assert verified(directory).is_intact


def test_what_waits_beside_what_failed_is_written_at_the_end_too(make_log: MakeLog, directory: Path) -> None:
    log = make_log()
    (path,) = directory.glob("*.jsonl")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100, hard))
    try:
        log.record(record(0))
        wait_until(lambda: not log.is_writable)
        log.record(record(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert log.close(5.0)
    told = list(read_records(directory))
    assert [one.latency_us for one in told if one.event is Event.placement] == [0, 1]
    assert told[-1].action == "ended"


def test_who_asks_for_it_is_told_when_his_record_is_on_the_disk(make_log: MakeLog, directory: Path) -> None:
    log = make_log()
    assert log.record_now(record(0), 5.0)
    assert [one.latency_us for one in read_records(directory) if one.event is Event.placement] == [0]
    assert log.close(5.0)
    assert not log.record_now(record(1), 0.0)


def test_a_closed_log_takes_nothing_more(make_log: MakeLog) -> None:
    log = make_log()
    assert log.close(5.0)
    assert not log.is_writable
    log.record(record(0))


def test_a_process_that_is_killed_loses_no_checkpoint_and_leaves_no_sign_of_tampering(
    tmp_path: Path, is_long: bool
) -> None:
    key = tmp_path / "key.pem"
    signer = create_signing_key(key)
    keys = load_public_keys([tmp_path / "key.pem.pub"])
    directory = tmp_path / "decisions"
    for attempt in range(25 if is_long else 1):
        writer_id = f"{attempt:016x}"
        command = [sys.executable, "-m", "tests.harness.decision_writer", str(directory), str(key), writer_id]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        out = process.stdout
        assert out is not None
        told: list[int] = []
        while len(told) < 3 + attempt:
            told += checkpoints_in([out.readline()])
        process.send_signal(signal.SIGKILL)
        told += checkpoints_in(out.readlines())
        process.wait()
        out.close()
        found = verify_log(log_files(directory), keys)
        assert found.is_intact, found.findings
        writer = next(one for one in found.writers if one.writer.endswith(writer_id))
        assert writer.last_seq - writer.num_unsigned >= max(told)
        for file in unsealed_files(directory, but="nobody"):
            assert seal_as_found(directory, file, by="eu-1/ffffffffffffffff", signer=signer, now_ms=1) is not None
        found = verify_log(log_files(directory), keys)
        assert found.is_intact, found.findings
        assert {one.num_unsigned for one in found.writers} == {0}
