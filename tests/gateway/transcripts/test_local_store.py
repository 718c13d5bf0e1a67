"""Promises of the local store: what is on the disk tells nobody anything, and what was erased stays erased."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from gateway.transcripts import subject_keys
from gateway.transcripts.interface import StoreFailed
from gateway.transcripts.local_store import LocalTranscriptStore
from gateway.transcripts.region_keys import add_key, read_region_keys
from tests.gateway.transcripts.transcript_world import HERE, NOON_S, kept_final, kept_session, store_in

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


def _with_words(folder: Path, *texts: str, session: str = "s1", subject: str = "patient-7") -> LocalTranscriptStore:
    store = store_in(folder)
    store.begin(kept_session(session), subject)
    for number, text in enumerate(texts):
        store.keep(session, [kept_final(text, number * 1_000)])
    store.end(session, is_complete=True)
    return store


def _texts(store: LocalTranscriptStore, session: str = "s1") -> list[str]:
    return [one.text for piece in store.read(session) for one in piece.finals]


def test_nothing_on_the_disk_names_the_subject_or_holds_a_word(tmp_path: Path) -> None:
    store = _with_words(tmp_path, "the rain in spain")
    assert _texts(store) == ["the rain in spain"]
    for path in (tmp_path / "words").rglob("*"):
        said = path.name.encode() + (path.read_bytes() if path.is_file() else b"")
        assert b"rain" not in said
        assert b"patient" not in said


def test_only_its_user_can_read_it(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        _with_words(tmp_path, "words")
    finally:
        os.umask(old)
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "words").rglob("*") if path.is_file()}
    assert modes == {0o600}
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "words").rglob("*") if path.is_dir()} == {0}


def test_a_session_that_was_cut_off_gives_the_batches_that_were_written(tmp_path: Path) -> None:
    store = _with_words(tmp_path, "one", "two")
    (path,) = (tmp_path / "words").rglob("*.words")
    whole = path.read_bytes()
    seen = set()
    for length in range(whole.index(b"\n") + 1, len(whole) + 1):
        path.write_bytes(whole[:length])
        (piece,) = store.read("s1")
        seen.add((tuple(one.text for one in piece.finals), piece.is_complete))
    assert seen == {((), False), (("one",), False), (("one", "two"), False), (("one", "two"), True)}


def test_what_was_changed_does_not_open(tmp_path: Path) -> None:
    store = _with_words(tmp_path, "one", "two")
    (path,) = (tmp_path / "words").rglob("*.words")
    whole = path.read_bytes()
    for place in (whole.index(b"eu-central"), whole.index(b"\n") + 12, len(whole) - 1):
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(bytes(changed))
        with pytest.raises(StoreFailed, match="damaged"):
            store.read("s1")


def test_an_erased_subject_cannot_be_read_from_a_copy_of_its_words(tmp_path: Path) -> None:
    """Who copied the files, and not the key of the subject, has nothing."""
    store = _with_words(tmp_path, "one")
    (words,) = (tmp_path / "words").rglob("*.words")
    backup = tmp_path / "backup.words"
    shutil.copy(words, backup)
    assert store.erase("acme/clinic", "patient-7") == 1
    assert store.erase("acme/clinic", "patient-7") == 0
    store.begin(kept_session("s2"), "patient-7")
    folder = next(path for path in (tmp_path / "words" / HERE).iterdir() if path.is_dir())
    shutil.copy(backup, folder / words.name)
    with pytest.raises(StoreFailed, match="damaged"):
        store.read("s1")


def test_an_erasure_that_was_cut_off_is_finished_by_the_next_sweep(tmp_path: Path) -> None:
    store = _with_words(tmp_path, "one")
    folder = next(path for path in (tmp_path / "words" / HERE).iterdir() if path.is_dir())
    (folder / "key").unlink()
    folder.rename(folder.with_name(".gone-1"))
    store.sweep(NOON_S, lambda _kept: False)
    assert [path.name for path in (tmp_path / "words" / HERE).iterdir()] == ["lock"]


@pytest.mark.parametrize("dies_in", ["destroy", "rmtree"])
def test_an_erasure_that_dies_anywhere_leaves_a_subject_that_can_be_kept_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_in: str
) -> None:
    store = _with_words(tmp_path, "one")
    with monkeypatch.context() as patch:

        def die(_path: Path) -> None:
            raise OSError("killed")

        patch.setattr(subject_keys if dies_in == "destroy" else shutil, dies_in, die)
        with pytest.raises(StoreFailed, match="disk"):
            store.erase("acme/clinic", "patient-7")
    assert store.read("s1") == []
    store.begin(kept_session("s2"), "patient-7")
    store.keep("s2", [kept_final("two")])
    assert _texts(store, "s2") == ["two"]
    store.sweep(NOON_S, lambda _kept: False)
    assert _texts(store, "s2") == ["two"]
    assert len(list((tmp_path / "words" / HERE).iterdir())) == 2, "the lock, and the subject as it is now"


def test_words_whose_key_is_gone_are_swept_whatever_their_term(tmp_path: Path) -> None:
    store = _with_words(tmp_path, "one")
    next((tmp_path / "words" / HERE).glob("*/key")).unlink()
    store.sweep(NOON_S, lambda _kept: False)
    assert [path.name for path in (tmp_path / "words" / HERE).iterdir()] == ["lock"]


def test_one_damaged_key_holds_up_the_rotation_of_no_other(tmp_path: Path) -> None:
    store = _with_words(tmp_path, "one")
    store.begin(kept_session("s2"), "patient-8")
    add_key(tmp_path / "region.keys")
    paths = sorted((tmp_path / "words" / HERE).glob("*/key"))
    for damaged in paths:
        raw = damaged.read_bytes()
        damaged.write_bytes(b"damaged")
        with pytest.raises(StoreFailed, match="damaged"):
            store_in(tmp_path).rewrap()
        damaged.write_bytes(raw)
    assert store_in(tmp_path).rewrap() == 0, "each was put under the new key while the other one was damaged"


def test_two_gateways_of_a_machine_share_a_subject_and_a_session(tmp_path: Path) -> None:
    one, other = store_in(tmp_path), store_in(tmp_path)
    one.begin(kept_session("s1"), "patient-7")
    one.keep("s1", [kept_final("before", 0)])
    other.begin(kept_session("s1"), "patient-7")
    other.keep("s1", [kept_final("after", 5_000)])
    other.end("s1", is_complete=True)
    assert _texts(one) == ["before", "after"]
    assert len(list((tmp_path / "words" / HERE).glob("*/key"))) == 1
    assert other.erase("acme/clinic", "patient-7") == 2
    with pytest.raises(StoreFailed, match="erased"):
        one.keep("s1", [kept_final("too late")])


def test_keys_of_a_region_are_rotated_and_the_old_one_may_go(tmp_path: Path) -> None:
    _with_words(tmp_path, "one")
    key_file = tmp_path / "region.keys"
    assert add_key(key_file) == "k2"
    store = store_in(tmp_path)
    assert _texts(store) == ["one"]
    assert (store.rewrap(), store.rewrap()) == (1, 0)
    lines = [line for line in key_file.read_text().splitlines() if not line.startswith("k1 ")]
    key_file.write_text("\n".join(lines) + "\n")
    assert _texts(store_in(tmp_path)) == ["one"]


def test_without_the_key_of_the_region_nothing_opens(tmp_path: Path) -> None:
    _with_words(tmp_path, "one")
    stolen = tmp_path / "other.keys"
    add_key(stolen)
    thief = LocalTranscriptStore(
        tmp_path / "words", HERE, read_region_keys(stolen), max_bytes=10**9, max_session_bytes=10**6
    )
    with pytest.raises(StoreFailed, match="damaged"):
        thief.read("s1")


def test_bounds_of_a_session_and_of_all_hold_and_what_is_there_stays(tmp_path: Path) -> None:
    store = store_in(tmp_path, max_session_bytes=1_000)
    store.begin(kept_session("s1"), "patient-7")
    store.keep("s1", [kept_final("kept")])
    with pytest.raises(StoreFailed, match="full"):
        store.keep("s1", [kept_final("x" * 2_000)])
    store.keep("s1", [kept_final("kept too")])
    assert _texts(store) == ["kept", "kept too"]
    full = store_in(tmp_path, max_bytes=store.num_bytes + 10)
    with pytest.raises(StoreFailed, match="full"):
        full.begin(kept_session("s2"), "patient-7")


@pytest.mark.parametrize("session", ["../s1", "s*", "", "s1/../s1"])
def test_a_name_leads_nowhere_else(tmp_path: Path, session: str) -> None:
    store = _with_words(tmp_path, "one")
    assert store.read(session) == []
    with pytest.raises(StoreFailed):
        store.begin(kept_session(session), "patient-7")


def test_a_file_that_nobody_understands_is_left_and_counts(tmp_path: Path) -> None:
    store = _with_words(tmp_path, "one")
    folder = next(path for path in (tmp_path / "words" / HERE).iterdir() if path.is_dir())
    (folder / "s9.00000000.words").write_bytes(b"\xff" * 100)
    assert [kept.session for kept in store.sessions()] == ["s1"]
    assert store_in(tmp_path).num_bytes == store.num_bytes + 100
