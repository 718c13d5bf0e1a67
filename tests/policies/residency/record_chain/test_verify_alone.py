"""The verifier that an auditor runs without us says what ours says."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gateway.decision_log.opened_files import log_files
from gateway.decision_log.signing import create_signing_key, load_public_keys
from policies.residency.record_chain.verify import verify_log
from tests.harness.decision_logs import write, writer_in

if TYPE_CHECKING:
    from gateway.decision_log.signing import Signer
    from policies.residency.record_chain.verify_checkpoints import Keys

SCRIPT = Path(__file__).parents[4] / "scripts" / "verify_decision_log.py"
MUTATIONS = 60
LONG_MUTATIONS = 1_000


def load_script() -> Any:
    spec = importlib.util.spec_from_file_location("verify_decision_log", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(name="made")
def _made(tmp_path: Path) -> tuple[Path, Signer, Keys, Any]:
    signer = create_signing_key(tmp_path / "key")
    directory = tmp_path / "log"
    directory.mkdir()
    for writer_id in ("00000000000000aa", "00000000000000bb"):
        chain = writer_in(directory, writer_id, signer=signer)
        write(chain, 30, rotate_after=12)
        if writer_id.endswith("aa"):
            chain.close()
    module = load_script()
    return directory, signer, load_public_keys([tmp_path / "key.pub"]), module


def same_answer(directory: Path, key: Path, keys: Keys, script: Any, copy: Path | None = None) -> bool:
    copies = [] if copy is None else [copy]
    ours = verify_log(log_files(directory), keys, copies=[log_files(one) for one in copies])
    theirs = script.verify_log(directory, script.Keys([key]), copies)
    assert ours.is_intact == (not theirs.found), (ours.findings, theirs.found)
    assert ours.num_records == theirs.num_records
    our_places = {(_sort_of(one.kind.value), one.file, one.line) for one in ours.findings if one.file}
    their_places = {(_sort_of(kind), file, line) for kind, file, line, _ in theirs.found if file}
    if copy is None:
        assert our_places == their_places
    return ours.is_intact


def _sort_of(kind: str) -> str:
    """A checkpoint that is none, or that nobody signed: which of the two depends on who knows which words."""
    unreadable = ("checkpoint_malformed", "checkpoint_signature", "checkpoint_key", "checkpoint_unsigned")
    return "checkpoint" if kind in unreadable else kind


def mutate(directory: Path, rng: random.Random) -> str:
    """One change to one file; gives what was done."""
    path = rng.choice(sorted(directory.iterdir()))
    content = path.read_bytes()
    lines = content.splitlines(keepends=True)
    what = rng.choice(["byte", "take", "double", "move", "cut", "append", "delete", "insert"])
    at = rng.randrange(len(lines))
    if what == "byte":
        changed = bytearray(content)
        changed[rng.randrange(len(changed))] ^= rng.randrange(1, 256)
        content = bytes(changed)
    elif what == "cut":
        content = content[: rng.randrange(len(content))]
    elif what == "append":
        content += rng.choice([b"{}\n", b"torn", lines[at]])
    else:
        line = lines.pop(at)
        if what == "double":
            lines[at:at] = [line, line]
        elif what == "move":
            lines.insert(rng.randrange(len(lines) + 1), line)
        elif what == "insert":
            lines[at:at] = [line.replace(b"eu-1", b"us-1"), line]
        content = b"".join(lines)
    if what == "delete":
        path.unlink()
    else:
        path.write_bytes(content)
    return f"{what} {path.name} {at}"


def test_both_find_the_same_at_the_same_places(
    made: tuple[Path, Signer, Keys, Any], tmp_path: Path, is_long: bool
) -> None:
    directory, _, keys, script = made
    key = tmp_path / "key.pub"
    assert same_answer(directory, key, keys, script)
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    copy = tmp_path / "copy"
    copy.mkdir()
    for name, content in before.items():
        (copy / name).write_bytes(content)
    rng = random.Random(11)
    num_intact = 0
    for _ in range(LONG_MUTATIONS if is_long else MUTATIONS):
        did = mutate(directory, rng)
        try:
            num_intact += same_answer(directory, key, keys, script)
            same_answer(directory, key, keys, script, copy)
        except AssertionError as wrong:
            raise AssertionError(f"{did}: {wrong}") from wrong
        for path in directory.iterdir():
            path.unlink()
        for name, content in before.items():
            (directory / name).write_bytes(content)
    assert num_intact < (LONG_MUTATIONS if is_long else MUTATIONS) / 4, "few mutations are in what nobody signed yet"
