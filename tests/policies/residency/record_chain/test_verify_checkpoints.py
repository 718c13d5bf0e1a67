from __future__ import annotations

import msgspec
import pytest

from policies.residency.record_chain.chain import until_file
from policies.residency.record_chain.checkpoint import CheckpointKind, decode_checkpoint, encode_checkpoint
from policies.residency.record_chain.log_findings import Findings
from policies.residency.record_chain.verify_checkpoints import CheckpointReader, is_closed, witnesses_of_copy
from tests.harness.decision_logs import made_log, opened_lines, signing_keys

pytestmark = pytest.mark.unit

WRITER = "eu-1/00000000000000aa"
NAME = "eu-1.00000000000000aa.000001.checkpoints"
LOG = made_log()


def read(files: dict[str, bytes]) -> tuple[Findings, CheckpointReader]:
    findings = Findings()
    reader = CheckpointReader(opened_lines(files), signing_keys().keys, findings)
    reader.read()
    return findings, reader


def test_checkpoints_are_read_in_order_with_what_they_say_of_others() -> None:
    findings = Findings()
    reader = CheckpointReader(opened_lines(LOG), signing_keys().keys, findings)
    by_writer = reader.read()
    assert findings.num_found == 0
    assert sorted(by_writer) == [WRITER, "eu-1/00000000000000bb"]
    of_writer = by_writer[WRITER]
    assert sorted(of_writer.final) == [1, 2, 3]
    assert is_closed(of_writer.last)
    assert not is_closed(of_writer.all[0])
    assert not is_closed(None)
    assert any(
        witness.writer == WRITER and witness.who.startswith("eu-1/00000000000000bb") for witness in reader.witnesses
    )


def test_a_torn_last_line_is_a_note_in_the_last_file_and_a_finding_before() -> None:
    last = NAME.replace("000001", "000003")
    findings, _ = read({**LOG, last: LOG[last] + b"{"})
    assert (findings.num_found, len(findings.notes)) == (0, 1)
    findings, _ = read({**LOG, NAME: LOG[NAME] + b"{"})
    assert [found.kind.value for found in findings.listed] == ["checkpoint_malformed"]


def test_a_checkpoint_that_is_no_checkpoint_is_found() -> None:
    findings, _ = read({**LOG, NAME: b"{}\n" + LOG[NAME]})
    assert ("checkpoint_malformed", 1) in {(found.kind.value, found.line) for found in findings.listed}


def test_one_of_another_file_is_found() -> None:
    other = NAME.replace("000001", "000002")
    findings, _ = read({**LOG, NAME: LOG[NAME] + LOG[other].splitlines(keepends=True)[0]})
    assert "checkpoint_chain" in {found.kind.value for found in findings.listed}


def test_an_unsigned_one_is_found_where_a_key_is_given() -> None:
    lines = LOG[NAME].splitlines()
    bare = msgspec.structs.replace(decode_checkpoint(lines[0]), key_id="", signature="")
    findings, _ = read({**LOG, NAME: encode_checkpoint(bare) + b"\n" + b"\n".join(lines[1:]) + b"\n"})
    assert ("checkpoint_unsigned", 1) in {(found.kind.value, found.line) for found in findings.listed}


def test_single_checkpoints_of_a_copy_are_witnesses_and_are_checked() -> None:
    made = next(
        checkpoint
        for checkpoint in map(decode_checkpoint, LOG[NAME].splitlines())
        if checkpoint.kind is CheckpointKind.periodic
    )
    name = until_file(WRITER, 1, made.seq)
    findings = Findings()
    witnesses = witnesses_of_copy(opened_lines({name: encode_checkpoint(made) + b"\n"}), signing_keys().keys, findings)
    assert [(one.writer, one.seq, one.hash) for one in witnesses] == [(WRITER, made.seq, made.hash)]
    assert findings.num_found == 0
    for wrong in (b"{}", encode_checkpoint(msgspec.structs.replace(made, seq=made.seq + 1)) + b"\n"):
        assert witnesses_of_copy(opened_lines({name: wrong}), signing_keys().keys, findings) == []
    assert findings.num_found == 2
