"""Verifies a decision log: every writer's chain against its checkpoints, against other writers, against copies.

Whoever has the signing key and may write every copy can write another log. Everybody else is found out, but for the
records after a writer's last checkpoint: `num_unsigned` of them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from policies.residency.record_chain.chain import checkpoints_file, parse_file_name, records_file
from policies.residency.record_chain.clean_file import file_job, read_clean
from policies.residency.record_chain.log_findings import Finding, FindingKind, Findings, Verified
from policies.residency.record_chain.verify_chain import ChainOfWriter
from policies.residency.record_chain.verify_checkpoints import CheckpointReader, CheckpointsOfWriter, witnesses_of_copy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from policies.residency.record_chain.clean_file import CleanFile, FileJob
    from policies.residency.record_chain.verify_checkpoints import Keys, LogFiles, Witness

    ReadAhead = Callable[[Sequence[FileJob]], Iterable[CleanFile | None]]


def verify_log(
    files: LogFiles,
    keys: Keys,
    *,
    copies: Sequence[LogFiles] = (),
    is_copy: bool = False,
    ahead: ReadAhead | None = None,
) -> Verified:
    """Read all of it once.

    Args:
        files: of the directory, by name; each is opened when its turn comes.
        copies: second copies of the same log.
        is_copy: `files` is a second copy itself: what its writers had not sealed yet is not there.
        ahead: reads files of records as `read_clean` does, and gives what it found in the order of the jobs.
    """
    findings = Findings()
    if not keys:
        findings.notes.append("no public key was given: signatures of checkpoints were not checked")
    reader = CheckpointReader(files, keys, findings)
    checkpoints = reader.read()
    heard = list(reader.witnesses)
    for copy in copies:
        of_copy = witnesses_of_copy(copy, keys, findings)
        _missing_checkpoints(of_copy, checkpoints, findings)
        heard += of_copy
    witnesses: dict[str, dict[int, list[Witness]]] = defaultdict(lambda: defaultdict(list))
    for witness in heard:
        witnesses[witness.writer][witness.seq].append(witness)
    numbers = _numbers_of_records(files)
    in_copies = [_numbers_of_records(copy) for copy in copies]
    last_heard: dict[str, int] = defaultdict(int)
    """By writer, the highest number of a file that a checkpoint names."""
    for witness in heard:
        last_heard[witness.writer] = max(last_heard[witness.writer], witness.file)
    chains = []
    writers = []
    jobs = [
        file_job(writer, number, checkpoints.get(writer, CheckpointsOfWriter()), witnesses[writer])
        for writer in sorted(numbers)
        for number in sorted(numbers[writer])
    ]
    read = iter(ahead(jobs) if ahead is not None else (read_clean(job, files[job.name]()) for job in jobs))
    for writer in sorted({*numbers, *checkpoints, *(name for found in in_copies for name in found)}):
        of_writer = checkpoints.get(writer, CheckpointsOfWriter())
        of_witnesses = dict(witnesses[writer])
        of_witnesses.pop(-1, None)  # a checkpoint of a file in which there was no record yet
        chain = ChainOfWriter(writer, of_writer, of_witnesses, findings)
        there = sorted(numbers.get(writer, ()))
        for number in there:
            lines = files[records_file(writer, number)]
            chain.file(number, lines, is_last=number == there[-1], clean=next(read))
        in_any = {number for found in in_copies for number in found.get(writer, ())}
        last_number = max({0, last_heard[writer], *there, *in_any, *(one.file for one in of_writer.all)})
        writers.append(chain.end(last_number, is_copy=is_copy))
        chains.append(chain)
    _missing(chains, witnesses, findings, is_copy=is_copy)
    return Verified(findings.listed, tuple(findings.notes), tuple(writers), findings.num_found)


def _missing_checkpoints(
    of_copy: Iterable[Witness], checkpoints: Mapping[str, CheckpointsOfWriter], findings: Findings
) -> None:
    """Those that a copy has and the log has not."""
    missing = {
        (witness.writer, witness.file, witness.seq)
        for witness in of_copy
        if witness.line and (witness.writer not in checkpoints or witness.line not in checkpoints[witness.writer].lines)
    }
    for writer, number, seq in sorted(missing):
        name = checkpoints_file(writer, number)
        text = f"a copy has a checkpoint at record {seq} that is not here"
        findings.add(Finding(FindingKind.checkpoint_missing, name, 0, writer, seq, text))


def _numbers_of_records(files: LogFiles) -> dict[str, set[int]]:
    numbers: dict[str, set[int]] = defaultdict(set)
    for name in files:
        if (file := parse_file_name(name)) is not None and file.kind == "jsonl":
            numbers[file.writer].add(file.number)
    return numbers


def _missing(
    chains: Iterable[ChainOfWriter],
    witnesses: dict[str, dict[int, list[Witness]]],
    findings: Findings,
    *,
    is_copy: bool,
) -> None:
    """Files and writers that are not there, but for those that a writer says it deleted."""
    there = set()
    pruned: set[str] = set()
    unsigned: set[str] = set()
    missing: list[Finding] = []
    for chain in chains:
        there.add(chain.writer)
        pruned |= chain.pruned
        unsigned |= chain.pruned_unsigned
        missing += chain.missing_files
    for finding in missing:
        if finding.file in pruned:
            findings.notes.append(f"{finding.file}: deleted as old")
        elif finding.file in unsigned:
            text = f"{finding.text}; a record under no checkpoint says that it was deleted as old"
            findings.add(replace(finding, text=text))
        else:
            findings.add(finding)
    for writer in sorted(set(witnesses) - there):
        who = next(iter(witnesses[writer].values()))[0].who
        if is_copy:
            findings.notes.append(f"{writer}: no file of it is here, and {who} knows it")
        else:
            text = f"no file of it is left, and {who} knows it"
            findings.add(Finding(FindingKind.missing_writer, "", 0, writer, None, text))
