from __future__ import annotations

import pytest

from policies.residency.record import DecisionRecord, Event
from policies.residency.record_chain.chain import ZERO_HASH, canonical, line_hash, records_file
from policies.residency.record_chain.checkpoint import Checkpoint, CheckpointKind
from policies.residency.record_chain.log_findings import Findings, WriterEnd
from policies.residency.record_chain.merkle import tree_root
from policies.residency.record_chain.verify_chain import ChainOfWriter
from policies.residency.record_chain.verify_checkpoints import CheckpointsOfWriter

pytestmark = pytest.mark.unit

WRITER = "eu-1/0123456789abcdef"


def chained(records: int, *, version_2_at: int = -1) -> list[bytes]:
    lines: list[bytes] = []
    for number in range(records):
        prev = line_hash(lines[-1][:-1]) if lines else "0" * 64
        first = number == 0
        record = DecisionRecord(
            event=Event.log if first else Event.admission,
            action="began" if first else "terminate",
            seq=number,
            gateway=WRITER,
            prev_hash=prev,
        )
        line = canonical(record)
        if number == version_2_at:
            line = line.replace(b'"v":1}', b'"v":2,"w":"new"}')
        lines.append(line + b"\n")
    return lines


def read(lines: list[bytes], checkpoints: CheckpointsOfWriter | None = None) -> tuple[Findings, ChainOfWriter]:
    findings = Findings()
    chain = ChainOfWriter(WRITER, checkpoints or CheckpointsOfWriter(), {}, findings)
    chain.file(1, lambda: lines, is_last=True)
    return findings, chain


def test_records_of_another_release_are_links_of_the_chain_too() -> None:
    findings, _ = read(chained(6, version_2_at=3))
    assert findings.num_found == 0


def test_a_writer_without_checkpoints_may_have_begun_and_nothing_more() -> None:
    findings, chain = read(chained(1))
    assert chain.end(1, is_copy=False).end is WriterEnd.open
    assert findings.num_found == 0
    findings, chain = read(chained(3))
    assert chain.end(1, is_copy=False).num_unsigned == 3
    assert [found.kind.value for found in findings.listed] == ["checkpoint_missing"]


def test_a_file_that_does_not_begin_with_its_first_record_is_found() -> None:
    findings, _ = read(chained(4)[1:])
    assert {(found.kind.value, found.line) for found in findings.listed} >= {("changed", 1)}


def test_a_moved_block_is_told_as_moved_and_not_as_missing() -> None:
    lines = chained(10)
    findings, chain = read([*lines[:3], *lines[5:8], *lines[3:5], *lines[8:]])
    chain.end(1, is_copy=False)
    kinds = {found.kind.value for found in findings.listed}
    assert "reordered" in kinds
    assert "missing" not in kinds


def test_a_line_broken_in_two_is_malformed_twice_and_nothing_else() -> None:
    lines = chained(8)
    half = len(lines[4]) // 2
    findings, _ = read([*lines[:4], lines[4][:half] + b"\n", lines[4][half:], *lines[5:]])
    assert [(found.kind.value, found.line) for found in findings.listed] == [("malformed", 5), ("malformed", 6)]


def test_a_file_deleted_as_old_is_believed_once_the_record_that_says_so_is_under_a_checkpoint() -> None:
    lines = chained(2)
    prev = line_hash(lines[-1][:-1])
    name = records_file(WRITER, 1)
    pruned = DecisionRecord(event=Event.log, action="pruned", detail=name, seq=2, gateway=WRITER, prev_hash=prev)
    lines.append(canonical(pruned) + b"\n")
    _, chain = read(lines)
    assert (chain.pruned, chain.pruned_unsigned) == (set(), {name})
    hashes = [line_hash(line[:-1]) for line in lines]
    made = Checkpoint(
        kind=CheckpointKind.periodic,
        writer=WRITER,
        file=1,
        first=0,
        seq=2,
        hash=hashes[-1],
        root=tree_root([bytes.fromhex(one) for one in hashes]).hex(),
        ts=1,
        every=9,
        prev=ZERO_HASH,
    )
    _, chain = read(lines, CheckpointsOfWriter([made], by_seq={2: made}))
    assert (chain.pruned, chain.pruned_unsigned) == ({name}, set())
