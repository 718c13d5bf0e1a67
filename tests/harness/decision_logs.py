"""Decision logs made by the real writer, as mappings of bytes that a test may change, and what was found in them."""

from __future__ import annotations

import functools
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.decision_log.chain_writer import ChainLimits, ChainWriter
from gateway.decision_log.left_behind import writers_seen
from gateway.decision_log.signing import Signer, create_signing_key, load_public_keys
from policies.residency.record import DecisionRecord, Event, RecordContext
from policies.residency.record_chain.chain import writer_name
from policies.residency.record_chain.verify import verify_log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from policies.residency.record_chain.log_findings import Verified
    from policies.residency.record_chain.verify_checkpoints import Keys, LogFiles

EVERY = 7
NOW_MS = 1_790_000_000_000


def record(number: int, *, session: str = "") -> DecisionRecord:
    return DecisionRecord(
        event=Event.placement,
        session=session or f"session-{number % 5}",
        org="acme" if number % 2 else "globex",
        project="dictation",
        action="process",
        trigger="initial",
        candidate_regions=("eu-1", "eu-2"),
        chosen="eu-1",
        decision="Allow",
        determining_policy_ids=("P01-eu-strict-in-eu",),
        profile="eu-strict",
        context=RecordContext(data_class="personal", subject="FR"),
        latency_us=number,
        detail='with "quotes", ünïcode and \x01',
    )


@dataclass(frozen=True)
class SigningKeys:
    signer: Signer
    keys: Keys


@functools.cache
def signing_keys(name: str = "region") -> SigningKeys:
    """The same pair for the same name, as long as the process lives."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        return SigningKeys(create_signing_key(path), load_public_keys([path.with_name(f"{name}.pub")]))


def writer_in(
    directory: Path,
    writer_id: str = "0123456789abcdef",
    *,
    every: int = EVERY,
    rotate_bytes: int = 1 << 30,
    signer: Signer | None = None,
    now_ms: int = NOW_MS,
) -> ChainWriter:
    writer = writer_name("eu-1", writer_id)
    limits = ChainLimits(every, 10_000, rotate_bytes, 1 << 40)
    signer = signing_keys().signer if signer is None else signer
    return ChainWriter(
        directory, writer, limits, signer, now_ms=lambda: now_ms, seen=lambda: writers_seen(directory, but=writer)
    )


def write(chain: ChainWriter, records: int, *, rotate_after: int = 0) -> None:
    """As the log's thread does it."""
    for number in range(records):
        chain.check()
        if chain.room() <= 0:
            chain.checkpoint()
        chain.write([(NOW_MS + number, record(number))])
        if chain.is_rotation_due or (rotate_after and number % rotate_after == rotate_after - 1):
            chain.rotate()
            chain.check()


@functools.cache
def _log(records: int, rotate_after: int, closed: bool) -> Mapping[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        for writer_id in ("00000000000000aa", "00000000000000bb"):
            chain = writer_in(Path(folder), writer_id)
            write(chain, records, rotate_after=rotate_after)
            if closed:
                chain.close()
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def made_log(records: int = 40, *, rotate_after: int = 15, closed: bool = True) -> dict[str, bytes]:
    """Two writers, the second of which saw the first, with several files each."""
    return dict(_log(records, rotate_after, closed))


def verified(
    files: Mapping[str, bytes], *, copies: tuple[Mapping[str, bytes], ...] = (), keys: Keys | None = None
) -> Verified:
    return verify_log(
        opened_lines(files),
        signing_keys().keys if keys is None else keys,
        copies=[opened_lines(copy) for copy in copies],
    )


def opened_lines(files: Mapping[str, bytes]) -> LogFiles:
    """Cut at line feeds alone, as files are read."""
    return {name: functools.partial(_lines, content) for name, content in files.items()}


def _lines(content: bytes) -> list[bytes]:
    lines = [line + b"\n" for line in content.split(b"\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def places(found: Verified) -> set[tuple[str, str, int]]:
    """Kind, file and line of each finding."""
    return {(finding.kind.value, finding.file, finding.line) for finding in found.findings}
