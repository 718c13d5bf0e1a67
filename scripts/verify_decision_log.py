#!/usr/bin/env python3
"""Verifies a decision log of Patchbay without Patchbay: Python 3.11 or later, and `cryptography` for signatures.

    python verify_decision_log.py DIRECTORY --key REGION.pub [--copy DIRECTORY] [--is-copy]
    python verify_decision_log.py EXPORT.jsonl --key REGION.pub

Prints each finding with its file, line and kind. Exit codes: 0 intact, 1 not intact, 2 it could not be read. The format
is described in docs/audit.md. This file shares no code with Patchbay, on purpose: read it before you believe it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

ZERO = "0" * 64
NAME = re.compile(
    r"([a-z0-9][a-z0-9-]{0,62})\.([0-9a-f]{16})\.([0-9]{6,9})\.(jsonl|checkpoints|found|until-[0-9]{1,16})"
)
PREFIX = b"patchbay decision log checkpoint\n"
NEEDED = {"v": int, "seq": int, "ts": int, "gateway": str, "event": str, "action": str, "detail": str, "prev_hash": str}
CHECKPOINT = {
    "v": int,
    "kind": str,
    "writer": str,
    "file": int,
    "first": int,
    "seq": int,
    "hash": str,
    "root": str,
    "ts": int,
    "every": int,
    "key_id": str,
    "prev": str,
    "torn_bytes": int,
    "by": str,
    "seen": list,
    "signature": str,
}
PEM = re.compile(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)


class Wrong(Exception):
    """A line is not what it should be."""


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def canonical(value: Any) -> bytes:
    """RFC 8785 for objects, arrays, strings and whole numbers."""
    return ENCODE(value).encode()


def no_fraction(text: str) -> Any:
    raise Wrong(f"{text} is no whole number")


ENCODE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
DECODE = json.JSONDecoder(parse_float=no_fraction, parse_constant=no_fraction).decode


def fields_of(line: bytes, needed: dict[str, type]) -> dict[str, Any]:
    try:
        fields = DECODE(line.decode())
        is_canonical = canonical(fields) == line
    except (ValueError, RecursionError):
        raise Wrong("it is no JSON") from None
    if not is_canonical:
        raise Wrong("it is not in canonical form")
    if not isinstance(fields, dict) or any(type(fields.get(name)) is not kind for name, kind in needed.items()):
        raise Wrong("it lacks what it should have")
    return fields


class Keys:
    def __init__(self, paths: list[Path]) -> None:
        self.by_id: dict[str, Ed25519PublicKey] = {}
        for path in paths:
            for pem in PEM.findall(path.read_text()):
                key = load_pem_public_key(pem.encode())
                if not isinstance(key, Ed25519PublicKey):
                    raise SystemExit(f"{path}: no Ed25519 key")
                self.by_id[sha256(key.public_bytes_raw())[:16]] = key

    def fault(self, checkpoint: dict[str, Any]) -> str | None:
        if not self.by_id:
            return None
        if not checkpoint["key_id"]:
            return "checkpoint_unsigned"
        key = self.by_id.get(checkpoint["key_id"])
        if key is None:
            return "checkpoint_key"
        try:
            signature = bytes.fromhex(checkpoint["signature"])
            key.verify(signature, PREFIX + canonical({**checkpoint, "signature": ""}))
        except (ValueError, InvalidSignature):
            return "checkpoint_signature"
        return None


def leaves(entries: list[bytes]) -> list[bytes]:
    return [hashlib.sha256(b"\x00" + entry).digest() for entry in entries]


def tree_root(entries: list[bytes]) -> str:
    """RFC 9162 §2.1.1, split at the largest power of two below the number of entries."""
    if not entries:
        return sha256(b"")
    level = leaves(entries)
    while len(level) > 1:
        paired = [hashlib.sha256(b"\x01" + level[at] + level[at + 1]).digest() for at in range(0, len(level) - 1, 2)]
        level = paired + ([level[-1]] if len(level) % 2 else [])
    return level[0].hex()


def path_root(entry: bytes, index: int, size: int, path: list[bytes]) -> str:
    """RFC 9162 §2.1.3.2; empty where the path is none of that tree."""
    if not 0 <= index < size:
        return ""
    node, last = leaves([entry])[0], size - 1
    for sibling in path:
        if last == 0:
            return ""
        if index & 1 or index == last:
            node = hashlib.sha256(b"\x01" + sibling + node).digest()
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            node = hashlib.sha256(b"\x01" + node + sibling).digest()
        index, last = index >> 1, last >> 1
    return node.hex() if last == 0 else ""


Files = dict[tuple[str, int, str], Path]


def files_of(directory: Path) -> Files:
    files: Files = {}
    for path in directory.iterdir():
        name = NAME.fullmatch(path.name)
        if name and path.is_file() and not path.is_symlink() and len(name[3]) == max(6, len(str(int(name[3])))):
            files[(f"{name[1]}/{name[2]}", int(name[3]), name[4])] = path
    return files


def file_name(writer: str, number: int, kind: str = "jsonl") -> str:
    return f"{writer.replace('/', '.')}.{number:06d}.{kind}"


class Log:
    """What was found."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str, int, str]] = []
        self.notes: list[str] = []
        self.num_records = 0
        self.num_unproven = 0
        self.pruned: set[str] = set()

    def add(self, kind: str, file: str, line: int, text: str) -> None:
        self.found.append((kind, file, line, text))


class Checkpoints:
    """Of one directory, by writer, in their order; with what they say of any writer's records."""

    def __init__(self, files: Files, keys: Keys, log: Log, *, is_copy: bool = False) -> None:
        self.of: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.lines: set[str] = set()
        self.says: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        self.last_file: dict[str, int] = defaultdict(int)
        self._keys, self._log = keys, log
        prev: dict[str, str | None] = defaultdict(lambda: ZERO)
        last: dict[str, int] = defaultdict(int)
        for writer, number, kind in files:
            if kind != "found":
                last[writer] = max(last[writer], number)
        order = {"checkpoints": 0, "found": 1}
        for (writer, number, kind), path in sorted(
            files.items(), key=lambda one: (*one[0][:2], order.get(one[0][2], 2))
        ):
            if kind in order or (is_copy and kind.startswith("until-")):
                with path.open("rb") as lines:
                    for at, line in enumerate(lines, start=1):
                        is_last = number >= last[writer]
                        prev[writer] = self._read(writer, number, kind, path.name, at, line, prev[writer], is_last)

    def _read(  # noqa: PLR0913
        self, writer: str, number: int, kind: str, name: str, at: int, line: bytes, prev: str | None, is_last: bool
    ) -> str | None:
        if not line.endswith(b"\n"):
            if is_last and kind == "checkpoints":
                self._log.notes.append(f"{name}: its last line was not written whole")
            else:
                self._log.add("checkpoint_malformed", name, at, "the line has no end")
            return prev
        try:
            checkpoint = fields_of(line[:-1], CHECKPOINT)
            if set(checkpoint) != set(CHECKPOINT):
                raise Wrong("it is no checkpoint")
        except Wrong as wrong:
            self._log.add("checkpoint_malformed", name, at, str(wrong))
            return None
        fault = self._keys.fault(checkpoint)
        if fault:
            self._log.add(fault, name, at, "nobody whose key was given signed it so")
            return None
        own = self.of[writer]
        digest = sha256(line[:-1])
        if kind.startswith("until-"):
            self._take(checkpoint, digest)
            return prev
        if (checkpoint["writer"], checkpoint["file"]) != (writer, number):
            self._log.add("checkpoint_chain", name, at, "it is one of another file")
            return digest
        follows = not own or prev is None or checkpoint["first"] == own[-1]["seq"] + 1
        if (prev is not None and checkpoint["prev"] != prev) or not follows:
            self._log.add("checkpoint_chain", name, at, "it does not follow the checkpoint before it")
        own.append(checkpoint)
        self._take(checkpoint, digest)
        return digest

    def _take(self, checkpoint: dict[str, Any], digest: str) -> None:
        writer = checkpoint["writer"]
        self.lines.add(digest)
        self.says[writer][checkpoint["seq"]].add(checkpoint["hash"])
        self.last_file[writer] = max(self.last_file[writer], checkpoint["file"])
        for seen in checkpoint["seen"]:
            self.says[seen["writer"]][seen["seq"]].add(seen["hash"])


class Chain:
    """One writer's records, in their files."""

    def __init__(self, writer: str, own: list[dict[str, Any]], says: dict[int, set[str]], log: Log) -> None:
        self.writer, self.log, self.says = writer, log, says
        self.own = own
        self.by_seq = {one["seq"]: one for one in reversed(own)}
        self.final = {one["file"]: one for one in own if one["kind"] in ("sealed", "closed", "found")}
        self.next: int | None = 0
        self.link: str | None = ZERO
        self.gaps: dict[int, tuple[str, int]] = {}
        self.entries: list[bytes] = []
        self.is_whole, self.malformed, self.is_over = True, 0, False
        self.at, self.last = ("", 0), ""
        self.number = 0
        self.missing: list[str] = []
        self.pruned: set[str] = set()

    def skip(self, number: int) -> None:
        self.missing.append(file_name(self.writer, number))
        final = self.final.get(number)
        self.next = final["seq"] + 1 if final else None
        self.link = final["hash"] if final else None
        self.entries, self.is_whole = [], final is not None

    def file(self, number: int, path: Path, *, is_last: bool) -> None:
        name = path.name
        if self.is_over:
            self.log.add("appended", name, 0, "its writer had closed its log before")
        for missing in range(self.number + 1, number):
            self.skip(missing)
        self.number = number
        torn = 0
        with path.open("rb") as lines:
            for at, raw in enumerate(lines, start=1):
                if not raw.endswith(b"\n"):
                    torn = len(raw)
                    break
                self._line(raw[:-1], name, at)
        self._end_of_file(number, name, torn, is_last=is_last)

    def _line(self, line: bytes, name: str, at: int) -> None:
        try:
            record = fields_of(line, NEEDED)
        except Wrong as wrong:
            self.log.add("malformed", name, at, str(wrong))
            self.malformed += 1
            self.is_whole = False
            return
        digest = sha256(line)
        fits = (record["seq"], record["prev_hash"], record["gateway"]) == (self.next, self.link, self.writer)
        if not (fits and not self.malformed) and not self._stands(record, digest, name, at):
            return
        self._about_the_log(record, name, at)
        seq = record["seq"]
        self.next, self.malformed, self.at, self.last = seq + 1, 0, (name, at), digest
        self.link = None if self.link == "spoilt" else digest
        self.log.num_records += 1
        self.entries.append(bytes.fromhex(digest))
        self._hear(seq, digest, name, at)
        checkpoint = self.by_seq.get(seq)
        if checkpoint is not None:
            is_comparable = self.is_whole and len(self.entries) == seq - checkpoint["first"] + 1
            if is_comparable and digest == checkpoint["hash"]:
                if tree_root(self.entries) == checkpoint["root"]:
                    self.log.pruned |= self.pruned
                else:
                    self.log.add("checkpoint_root", name, at, "its checkpoint has another root")
            self.pruned = set()
            self.entries, self.is_whole = [], True

    def _hear(self, seq: int, digest: str, name: str, at: int) -> None:
        if any(said != digest for said in self.says.get(seq, ())):
            self.log.add("checkpoint_hash", name, at, f"a checkpoint names another hash of record {seq}")

    def _about_the_log(self, record: dict[str, Any], name: str, at: int) -> None:
        if record["event"] == "log" and record["action"] == "pruned":
            self.pruned.add(record["detail"])  # believed once a checkpoint covers it
        first = (
            ("log", "began", "") if self.number == 1 else ("log", "continued", file_name(self.writer, self.number - 1))
        )
        if at == 1 and (record["event"], record["action"], record["detail"]) != first:
            self.is_whole = False
            self.log.add("changed", name, at, "a file does not begin so")

    def _stands(self, record: dict[str, Any], digest: str, name: str, at: int) -> bool:
        """Something may be wrong with it. Whether it counts as the next record all the same."""
        seq, prev, expected = record["seq"], record["prev_hash"], self.next
        self.is_whole = False
        if record["gateway"] != self.writer:
            is_changed = (seq, prev) == (expected, self.link)
            self.log.add("changed" if is_changed else "foreign", name, at, "it names another writer")
            self.link = "spoilt" if is_changed else self.link
            return is_changed
        if expected is None:
            return True
        if self.malformed and seq >= expected:
            if seq > expected + self.malformed:
                self._gap(expected + self.malformed, seq, name, at)
            elif seq == expected and self.link is not None and prev != self.link:
                self._changed(seq, name, at)
            return True
        if seq == expected:
            if self.link is not None and prev != self.link:
                self._changed(seq, name, at)
            return True
        if prev == self.link:
            self.log.add("changed", name, at, f"its number is {seq}, where {expected} should be")
            self.log.num_records += 1
            self.next, self.link = expected + 1, None
            return False
        if seq > expected:
            self._gap(expected, seq, name, at)
            return True
        if seq in self.gaps:
            del self.gaps[seq]
            self.log.add("reordered", name, at, f"record {seq} should stand before")
            self._hear(seq, digest, name, at)
        elif digest == self.last:
            self.log.add("duplicated", name, at, "it is the record before, once more")
        else:
            self.log.add("inserted", name, at, f"there is another record {seq} before")
        return False

    def _gap(self, first: int, until: int, name: str, at: int) -> None:
        if until - first > 10_000_000:
            self.log.add("missing", name, at, f"records {first} to {until - 1} are missing")
            return
        self.gaps.update((seq, (name, at)) for seq in range(first, until))

    def _changed(self, seq: int, name: str, at: int) -> None:
        file, line = self.at
        place = (name, at) if seq == 0 or not file else (file, line)
        self.log.add("changed", *place, f"it is not what {name}:{at} follows, or that one was changed")

    def _end_of_file(self, number: int, name: str, torn: int, *, is_last: bool) -> None:
        final = self.final.get(number)
        line = self.at[1] if self.at[0] == name else 0
        if final is None:
            if not is_last:
                self.log.add("unsealed_file", name, 0, "another file follows, and this one has no last checkpoint")
            if torn and is_last:
                self.log.notes.append(f"{name}: unsealed tail: {torn} bytes of a record not written whole")
            elif torn:
                self.log.add("truncated", name, line + 1, "the line has no end")
            return
        self.is_over = final["kind"] != "sealed"
        if self.next is not None and self.next - 1 > final["seq"]:
            self.log.add("appended", name, line, f"the file ended with record {final['seq']}, and goes on")
        if torn != final["torn_bytes"]:
            kind = "appended" if torn > final["torn_bytes"] else "truncated"
            self.log.add(kind, name, line + 1, f"{torn} bytes without an end, not {final['torn_bytes']}")

    def end(self, last_file: int, has_files: bool, *, is_copy: bool) -> None:
        for number in range(self.number + 1, last_file + 1):
            if not is_copy or number in self.final:
                self.skip(number)
        by_place: dict[tuple[str, int], list[int]] = defaultdict(list)
        for seq, place in self.gaps.items():
            by_place[place].append(seq)
        for (name, at), missing in by_place.items():
            self.log.add("missing", name, at, f"records {min(missing)} to {max(missing)} are missing before it")
        beyond = [] if self.next is None else [seq for seq in self.says if seq >= self.next]
        if beyond and (has_files or not self.missing):
            file, line = self.at
            text = f"it ends before record {self.next}; record {max(beyond)} is known"
            if is_copy:
                self.log.notes.append(f"{self.writer}: {text}")
            else:
                self.log.add("truncated", file or file_name(self.writer, 1), line + 1, text)
        if self.next is not None:
            last, every = (self.own[-1]["seq"], self.own[-1]["every"]) if self.own else (-1, 1)
            unsigned = self.next - 1 - last
            if unsigned > every:
                self.log.add("checkpoint_missing", *self.at, f"{unsigned} records follow the last checkpoint")
            elif unsigned > 0:
                self.log.notes.append(f"{self.writer}: {unsigned} records are under no checkpoint yet")


def hear_copy(own: Checkpoints, copy: Path, keys: Keys, log: Log) -> None:
    there = files_of(copy)
    theirs = Checkpoints(there, keys, log, is_copy=True)
    if theirs.lines - own.lines:
        log.add("checkpoint_missing", "", 0, f"{copy} has checkpoints that are not here")
    for writer, said in theirs.says.items():
        for seq, hashes in said.items():
            own.says[writer][seq] |= hashes
    for writer, number in [*theirs.last_file.items(), *((one[0], one[1]) for one in there if one[2] == "jsonl")]:
        own.last_file[writer] = max(own.last_file[writer], number)


def verify_log(directory: Path, keys: Keys, copies: list[Path], *, is_copy: bool = False) -> Log:
    log = Log()
    files = files_of(directory)
    if not keys.by_id:
        log.notes.append("no key was given: signatures were not checked")
    own = Checkpoints(files, keys, log)
    says, last_file = own.says, own.last_file
    for copy in copies:
        hear_copy(own, copy, keys, log)
    numbers: dict[str, list[int]] = defaultdict(list)
    for writer, number, kind in sorted(files):
        if kind == "jsonl":
            numbers[writer].append(number)
    missing: list[str] = []
    known = {*numbers, *own.of, *last_file}
    for writer in sorted(known):
        chain = Chain(writer, own.of.get(writer, []), {seq: h for seq, h in says[writer].items() if seq >= 0}, log)
        for number in numbers.get(writer, []):
            chain.file(number, files[(writer, number, "jsonl")], is_last=number == numbers[writer][-1])
        chain.end(max(last_file[writer], chain.number), writer in numbers, is_copy=is_copy)
        missing += chain.missing
    for name in missing:
        if name in log.pruned:
            log.notes.append(f"{name}: deleted as old")
        else:
            log.add("missing_file", name, 0, "the file is missing")
    for writer in sorted(set(says) - known):
        if is_copy:
            log.notes.append(f"{writer}: no file of it is here, and another writer saw it")
        else:
            log.add("missing_writer", "", 0, f"no file of {writer} is left, and another writer saw it")
    return log


def verify_export(path: Path, keys: Keys) -> Log:
    log = Log()
    checkpoints: dict[tuple[str, int], dict[str, Any]] = {}
    seen: set[tuple[str, int]] = set()
    has_asked = False
    with path.open("rb") as lines:
        for at, raw in enumerate(lines, start=1):
            try:
                if not raw.endswith(b"\n"):
                    raise Wrong("the line has no end")
                fields = fields_of(raw[:-1], {})
                if set(fields) == {"export"}:
                    has_asked = True
                elif set(fields) == {"checkpoint"}:
                    checkpoint = fields_of(canonical(fields["checkpoint"]), CHECKPOINT)
                    if keys.fault(checkpoint):
                        raise Wrong("nobody whose key was given signed this checkpoint so")
                    checkpoints[(checkpoint["writer"], checkpoint["seq"])] = checkpoint
                elif set(fields) == {"record", "proof"}:
                    log.num_records += 1
                    check_proof(fields, checkpoints, seen, log)
                else:
                    raise Wrong("it is no line of an export")
            except (Wrong, KeyError, TypeError, ValueError) as wrong:
                log.add("export", path.name, at, str(wrong))
    if not has_asked:
        log.add("export", path.name, 1, "it does not say what was asked for")
    return log


def check_proof(
    fields: dict[str, Any],
    checkpoints: dict[tuple[str, int], dict[str, Any]],
    seen: set[tuple[str, int]],
    log: Log,
) -> None:
    line = canonical(fields["record"])
    record, proof = fields_of(line, NEEDED), fields["proof"]
    if (record["gateway"], record["seq"]) in seen:
        raise Wrong("it stands here twice")
    seen.add((record["gateway"], record["seq"]))
    if proof is None:
        log.num_unproven += 1
        log.notes.append(f"record {record['seq']} of {record['gateway']}: no checkpoint covered it yet")
        return
    checkpoint = checkpoints.get((proof["writer"], proof["checkpoint"]))
    if checkpoint is None or record["gateway"] != checkpoint["writer"]:
        raise Wrong("there is no such checkpoint before it")
    path = [bytes.fromhex(sibling) for sibling in proof["path"]]
    size = checkpoint["seq"] - checkpoint["first"] + 1
    entry = hashlib.sha256(line).digest()
    if path_root(entry, record["seq"] - checkpoint["first"], size, path) != checkpoint["root"]:
        raise Wrong("it is not under its checkpoint")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Verify a decision log of Patchbay, or an export of one.")
    parser.add_argument("path", type=Path)
    parser.add_argument("--key", type=Path, action="append", default=[], help="public key of a region (PEM)")
    parser.add_argument("--copy", type=Path, action="append", default=[], help="second copy of the log")
    parser.add_argument("--is-copy", action="store_true", help="the directory is a second copy itself")
    asked = parser.parse_args(arguments)
    try:
        keys = Keys(asked.key)
        if asked.path.is_dir():
            log = verify_log(asked.path, keys, asked.copy, is_copy=asked.is_copy)
        elif not keys.by_id:
            print("an export proves nothing without a key", file=sys.stderr)
            return 2
        else:
            log = verify_export(asked.path, keys)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    for note in log.notes:
        print(f"note: {note}")
    for kind, file, line, text in log.found:
        print(f"FOUND {file}:{line}: {kind}: {text}")
    verdict = "NOT INTACT" if log.found else "NOT PROVEN" if log.num_unproven else "intact"
    print(f"{verdict}: {log.num_records} records")
    return 0 if verdict == "intact" else 1


if __name__ == "__main__":
    sys.exit(main())
