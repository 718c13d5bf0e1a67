"""Records taken out of a log, each with a path to a signed checkpoint: shown to be in it without the others.

A file of lines. The first says what was asked for; `{"checkpoint": ...}` comes before the records under it;
`{"record": ..., "proof": ...}` holds one record, and where it stands under which checkpoint, or null where none covers
it yet. An export shows that its records are in the log; that there are no others is shown by the log alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from policies.residency.record_chain.chain import NotCanonical, canonical, read_record
from policies.residency.record_chain.checkpoint import Checkpoint, decode_checkpoint
from policies.residency.record_chain.merkle import root_of_path
from policies.residency.record_chain.verify_checkpoints import fault_of_signature

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from policies.residency.record_chain.verify_checkpoints import Keys

EXPORT_VERSION = 1


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What an export was made of; empty and None: not asked for. Times in Unix milliseconds."""

    v: int = EXPORT_VERSION
    made_at: int
    session: str = ""
    org: str = ""
    project: str = ""
    since: int = 0
    until: int | None = None


class Proof(msgspec.Struct, frozen=True):
    """`checkpoint`: number of the last record that it covers. `path`: RFC 9162 §2.1.3, in hexadecimal digits."""

    writer: str
    checkpoint: int
    path: tuple[str, ...]


def asked_line(asked: Asked) -> bytes:
    return canonical({"export": asked})


def checkpoint_line(checkpoint: Checkpoint) -> bytes:
    return canonical({"checkpoint": checkpoint})


def record_line(line: bytes, proof: Proof | None) -> bytes:
    """`line`: of the log, as it stands there."""
    return canonical({"record": msgspec.Raw(line), "proof": proof})


@dataclass(frozen=True, slots=True)
class ExportFinding:
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class ExportVerified:
    """`num_unproven`: of which the export says that no checkpoint covered them yet: so would who changed one."""

    asked: Asked | None
    num_records: int
    num_unproven: int
    findings: tuple[ExportFinding, ...]

    @property
    def is_proven(self) -> bool:
        """Each record is in the log as it stands here."""
        return not self.findings and not self.num_unproven


class _Broken(Exception):
    """What is wrong with a line."""


def verify_export(lines: Iterable[bytes], keys: Keys) -> ExportVerified:
    """Check each record's path and each checkpoint's signature. `keys` must not be empty: nothing else proves anything.

    Args:
        lines: with their ends.
    """
    asked: Asked | None = None
    checkpoints: dict[tuple[str, int], Checkpoint] = {}
    findings: list[ExportFinding] = []
    seen: set[tuple[str, int]] = set()
    num_records = num_unproven = 0
    for number, raw in enumerate(lines, start=1):
        try:
            fields = _fields(raw)
            if "export" in fields:
                asked = _asked(fields["export"])
            elif "checkpoint" in fields:
                checkpoint = _checkpoint(fields["checkpoint"], keys)
                checkpoints[(checkpoint.writer, checkpoint.seq)] = checkpoint
            else:
                num_records += 1
                num_unproven += 0 if _is_proven(fields, checkpoints, seen) else 1
        except _Broken as broken:
            findings.append(ExportFinding(number, str(broken)))
    if asked is None:
        findings.append(ExportFinding(1, "it does not say what was asked for"))
    return ExportVerified(asked, num_records, num_unproven, tuple(findings))


def _fields(raw: bytes) -> Mapping[str, Any]:
    if not raw.endswith(b"\n"):
        raise _Broken("the line has no end")
    try:
        fields = msgspec.json.decode(raw[:-1])
        is_canonical = canonical(fields) == raw[:-1]
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise _Broken("it is no JSON") from None
    kinds = ({"export"}, {"checkpoint"}, {"record", "proof"})
    if not is_canonical or not isinstance(fields, dict) or set(fields) not in kinds:
        raise _Broken("it is no line of an export")
    return fields


def _asked(fields: object) -> Asked:
    try:
        return msgspec.convert(fields, Asked)
    except msgspec.ValidationError:
        raise _Broken("what was asked for cannot be read") from None


def _checkpoint(fields: object, keys: Keys) -> Checkpoint:
    try:
        checkpoint = decode_checkpoint(canonical(fields))
    except NotCanonical as wrong:
        raise _Broken(str(wrong)) from None
    fault = fault_of_signature(checkpoint, keys)
    if fault is not None:
        raise _Broken(f"{fault.value.replace('_', ' ')}: nobody whose key was given signed this checkpoint so")
    return checkpoint


def _is_proven(
    fields: Mapping[str, Any], checkpoints: Mapping[tuple[str, int], Checkpoint], seen: set[tuple[str, int]]
) -> bool:
    """False: it says itself that no checkpoint covers it. `seen`: records by writer and number. Raises _Broken."""
    line = canonical(fields["record"])
    try:
        read_record(line)
    except NotCanonical as wrong:
        raise _Broken(str(wrong)) from None
    seq, writer = fields["record"]["seq"], fields["record"]["gateway"]
    if (writer, seq) in seen:
        raise _Broken(f"record {seq} stands here twice")
    seen.add((writer, seq))
    if fields["proof"] is None:
        return False
    try:
        proof = msgspec.convert(fields["proof"], Proof)
        path = [bytes.fromhex(sibling) for sibling in proof.path]
    except (msgspec.ValidationError, ValueError):
        raise _Broken("its proof cannot be read") from None
    checkpoint = checkpoints.get((proof.writer, proof.checkpoint))
    if checkpoint is None or writer != checkpoint.writer:
        raise _Broken(f"record {seq}: there is no such checkpoint before it")
    entry = hashlib.sha256(line).digest()
    size = checkpoint.seq - checkpoint.first + 1
    root = root_of_path(entry, seq - checkpoint.first, size, path)
    if root is None or root.hex() != checkpoint.root:
        raise _Broken(f"record {seq} is not under its checkpoint: it, or its proof, was changed")
    return True
