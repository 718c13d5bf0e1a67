"""What a decision record costs, and how long a log takes to verify: `python -m tests.benchmarks.decision_log`.

Prints a table. Costs are CPU time of this process, beside plain lines of JSON in the same run; verifying is wall time
too, as an auditor waits for it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gateway.decision_log.chain_writer import ChainLimits, ChainWriter
from gateway.decision_log.opened_files import log_files
from gateway.decision_log.read_ahead import read_ahead
from gateway.decision_log.signing import create_signing_key, load_public_keys
from policies.residency.record import DecisionRecord, Event, RecordContext
from policies.residency.record_chain.verify import verify_log

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 100
RECORD = DecisionRecord(
    event=Event.placement,
    session="2908a6d6287443e385b3c7fe3436c97f",
    org="acme",
    project="dictation",
    key_id="9f86d081884c7d65",
    action="process",
    trigger="initial",
    candidate_regions=("eu-central-1", "eu-west-1"),
    chosen="eu-central-1",
    decision="Allow",
    determining_policy_ids=("P01-eu-strict-in-eu",),
    profile="eu-strict",
    policy_digest="a" * 64,
    entities_digest="b" * 64,
    schema_digest="c" * 64,
    context=RecordContext(data_class="personal", subject="FR", legal_basis="consent", capacity="reserved"),
    latency_us=12,
)


def cpu_us_each(step: Callable[[], None], records: int) -> float:
    began_s = time.process_time()
    for _ in range(records // BATCH):
        step()
    return (time.process_time() - began_s) / records * 1e6


def cpu_of_all_s() -> float:
    """Of this process and those that it started and that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def plain_lines(path: Path) -> Callable[[], None]:
    """The same records as JSON lines, written and synced in the same batches."""
    encoder = msgspec.json.Encoder()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def step() -> None:
        os.write(fd, b"".join(encoder.encode(RECORD) + b"\n" for _ in range(BATCH)))
        os.fdatasync(fd)

    return step


def chained(chain: ChainWriter) -> Callable[[], None]:
    now_ms = time.time_ns() // 1_000_000

    def step() -> None:
        chain.check()
        if chain.room() < BATCH:
            chain.checkpoint()
        chain.write([(now_ms, RECORD)] * BATCH)
        if chain.is_rotation_due:
            chain.rotate()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    records = parser.parse_args().records
    with tempfile.TemporaryDirectory() as folder:
        signer = create_signing_key(Path(folder) / "key")
        keys = load_public_keys([Path(folder) / "key.pub"])
        plain_us = cpu_us_each(plain_lines(Path(folder) / "plain.jsonl"), min(records, 100_000))
        directory = Path(folder) / "log"
        limits = ChainLimits(1_000, 10_000, 67_108_864, 86_400_000)
        chain = ChainWriter(
            directory,
            "eu-central-1/0123456789abcdef",
            limits,
            signer,
            now_ms=lambda: time.time_ns() // 10**6,
            seen=tuple,
        )
        log_us = cpu_us_each(chained(chain), records)
        chain.close()
        size_bytes = sum(path.stat().st_size for path in directory.glob("*.jsonl"))
        began_s, began_cpu_s = time.perf_counter(), cpu_of_all_s()
        found = verify_log(log_files(directory), keys, ahead=read_ahead(directory))
        took_s, cpu_s = time.perf_counter() - began_s, cpu_of_all_s() - began_cpu_s
    print(f"records: {found.num_records} of {size_bytes / found.num_records:.0f} bytes; intact: {found.is_intact}")
    print(
        f"plain JSON line: {plain_us:.1f} us of CPU; "
        f"chained and signed: {log_us:.1f} us ({log_us / plain_us:.1f} times)"
    )
    print(f"verify: {took_s:.1f} s, {cpu_s:.1f} s of CPU, {found.num_records / took_s:.0f} records a second")


if __name__ == "__main__":
    main()
