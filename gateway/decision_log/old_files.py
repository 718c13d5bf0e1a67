"""Deletes sealed files that are older than they are to be kept; the log itself says which, before they go.

A file goes at a later look than the one that wrote its record: by then a checkpoint covers the record, and a verifier
believes no other one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from gateway.decision_log.left_behind import last_checkpoint
from policies.residency.record import DecisionRecord, Event
from policies.residency.record_chain.chain import PRUNED, parse_file_name
from policies.residency.record_chain.checkpoint import FINAL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gateway.decision_log.interface import DecisionLog

log = structlog.get_logger("decision_log")


def delete_old_files(
    directory: Path,
    record_to: DecisionLog,
    told: set[str],
    *,
    sealed_before_ms: int,
    is_copied: Callable[[str], bool],
) -> int:
    """Files of records go; their checkpoints, which are small, stay: the chain goes on over the gap. How many went.

    Args:
        told: names of files of which a record says that they go; grows here.

    Raises:
        OSError: the directory cannot be read.
    """
    num_deleted = 0
    if not record_to.is_writable:
        return num_deleted
    for path in sorted(directory.iterdir()):
        file = parse_file_name(path.name)
        if file is None or file.kind != "jsonl":
            continue
        final = last_checkpoint(directory, file.writer, file.number)
        if final is None or final.kind not in FINAL or final.ts >= sealed_before_ms or not is_copied(path.name):
            continue
        if path.name not in told:
            record_to.record(DecisionRecord(event=Event.log, action=PRUNED, detail=path.name))
            told.add(path.name)
            continue
        try:
            path.unlink()
        except OSError as error:
            log.warning("decision_log.not_deleted", file=path.name, why=error.strerror)
            continue
        told.discard(path.name)
        log.info("decision_log.deleted", file=path.name)
        num_deleted += 1
    return num_deleted
