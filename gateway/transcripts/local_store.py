"""Words kept on this machine: encrypted, one folder for each subject, bounded.

    DIRECTORY/REGION/lock                  held while subjects come and go
    DIRECTORY/REGION/PSEUDONYM/key         the subject's key (gateway.transcripts.subject_keys)
    DIRECTORY/REGION/PSEUDONYM/SESSION.ID.words    (gateway.transcripts.sealed_words)
    DIRECTORY/REGION/.gone-ID/             of a subject that is erased: nobody looks there; its key goes, then its files

These must stay true:
  - No name of a subject and no word is in the clear, in a file or in the name of one. Only their user can read files.
  - A batch is in its file as a whole, or nothing of it is.
  - Erasing takes a subject's folder out of sight, then its key, then its words. Cut off anywhere, the subject is there
    as it was or nothing of it can be read here; the next sweep goes on from there, and a new key can be made.
  - A session of one subject is never written under the key of another, or under one that was destroyed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from gateway.transcripts import subject_keys
from gateway.transcripts.interface import StoreFailed, Swept
from gateway.transcripts.sealed_words import MAX_HEADER_BYTES, new_sealer, open_words, read_header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from gateway.transcripts.interface import KeptFinal, KeptSession, Transcript
    from gateway.transcripts.region_keys import RegionKeys
    from gateway.transcripts.sealed_words import WordSealer

_SUFFIX = ".words"
_GONE = ".gone-"
_PSEUDONYM = re.compile(r"[0-9a-f]{32}")
_SESSION = re.compile(r"[A-Za-z0-9_-]{1,80}")


@dataclass(slots=True)
class _Open:
    path: Path
    sealer: WordSealer
    num_bytes: int
    is_broken: bool = False


class LocalTranscriptStore:
    """A TranscriptStore. Several processes of one user may share the directory."""

    def __init__(
        self, directory: Path, region: str, keys: RegionKeys, *, max_bytes: int, max_session_bytes: int
    ) -> None:
        """Raises OSError: the directory cannot be made."""
        self._folder = directory / region
        self._keys = keys
        self._max_bytes = max_bytes
        self._max_session_bytes = max_session_bytes
        self._open: dict[str, _Open] = {}
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.num_bytes = self._measure()
        """Of all that is stored, as far as this process knows."""

    # --- keeping --------------------------------------------------------------------------------------------

    def begin(self, session: KeptSession, subject_id: str) -> None:
        if not _SESSION.fullmatch(session.session):
            raise StoreFailed("damaged")
        pseudonym = self._keys.pseudonym(session.project, subject_id)
        folder = self._folder / pseudonym
        with self._locked(fcntl.LOCK_SH):
            try:
                folder.mkdir(mode=0o700, exist_ok=True)
            except OSError:
                raise StoreFailed("disk") from None
            key = subject_keys.key_of(folder, self._keys)
            sealer = new_sealer(key, msgspec.structs.replace(session, subject=pseudonym))
            self._make_room(len(sealer.header))
            path = folder / f"{session.session}.{secrets.token_hex(4)}{_SUFFIX}"
            try:
                subject_keys.write_whole(path, sealer.header)
                subject_keys.sync_folder(folder)
            except OSError:
                raise StoreFailed("disk") from None
        self.num_bytes += len(sealer.header)
        self._open[session.session] = _Open(path, sealer, len(sealer.header))

    def keep(self, session_id: str, finals: Sequence[KeptFinal]) -> None:
        opened = self._open.get(session_id)
        if opened is None or opened.is_broken:
            raise StoreFailed("erased")
        frame = opened.sealer.seal(tuple(finals))
        if opened.num_bytes + len(frame) > self._max_session_bytes:
            raise StoreFailed("full")
        self._append(opened, frame)

    def end(self, session_id: str, *, is_complete: bool) -> None:
        opened = self._open.pop(session_id, None)
        if opened is not None and not opened.is_broken:
            self._append(opened, opened.sealer.seal((), is_last=True, is_complete=is_complete))

    def _append(self, opened: _Open, frame: bytes) -> None:
        self._make_room(len(frame))
        try:
            descriptor = os.open(opened.path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            opened.is_broken = True
            raise StoreFailed("erased") from None
        except OSError:
            raise StoreFailed("disk") from None
        try:
            try:
                os.lseek(descriptor, opened.num_bytes, os.SEEK_SET)
                _write_all(descriptor, frame)
                os.fsync(descriptor)
            except OSError:
                with contextlib.suppress(OSError):  # else the next one is written over it, at the same place
                    os.ftruncate(descriptor, opened.num_bytes)
                raise StoreFailed("disk") from None
        finally:
            os.close(descriptor)
        opened.sealer.taken()
        opened.num_bytes += len(frame)
        self.num_bytes += len(frame)

    def _make_room(self, num_bytes: int) -> None:
        if self.num_bytes + num_bytes > self._max_bytes:
            raise StoreFailed("full")

    # --- reading --------------------------------------------------------------------------------------------

    def sessions(self) -> list[KeptSession]:
        found = [kept for _path, kept in self._headers()]
        return sorted(found, key=lambda kept: (kept.begun_at_s, kept.session))

    def read(self, session_id: str) -> list[Transcript]:
        if not _SESSION.fullmatch(session_id):
            return []
        found = []
        for folder in self._subjects():
            for path in sorted(folder.glob(f"{session_id}.*{_SUFFIX}")):
                try:
                    raw = path.read_bytes()
                except FileNotFoundError:
                    continue
                except OSError:
                    raise StoreFailed("disk") from None
                found.append(open_words(raw, subject_keys.existing_key(folder, self._keys)))
        return sorted(found, key=lambda one: one.finals[0].start_ms if one.finals else 0)

    # --- erasing --------------------------------------------------------------------------------------------

    def erase(self, project: str, subject_id: str) -> int:
        folder = self._folder / self._keys.pseudonym(project, subject_id)
        with self._locked(fcntl.LOCK_EX):
            if not folder.is_dir():
                return 0
            try:
                pieces = len(list(folder.glob(f"*{_SUFFIX}")))
                self._destroy(folder)
            except OSError:
                raise StoreFailed("disk") from None
        self.num_bytes = self._measure()
        return pieces

    def sweep(self, now_s: float, may_erase: Callable[[KeptSession], bool]) -> Swept:
        erased: list[KeptSession] = []
        held: list[KeptSession] = []
        with self._locked(fcntl.LOCK_EX):
            try:
                for folder in self._folder.glob(f"{_GONE}*"):
                    _forget(folder)
                for path, kept in self._headers():
                    if now_s < kept.keep_until_s:
                        continue
                    if not may_erase(kept):
                        held.append(kept)
                        continue
                    path.unlink(missing_ok=True)
                    erased.append(kept)
                for folder in self._subjects():
                    # Without its key nobody reads what is left.
                    if not any(folder.glob(f"*{_SUFFIX}")) or not (folder / subject_keys.FILE_NAME).exists():
                        self._destroy(folder)
            except OSError:
                raise StoreFailed("disk") from None
        self.num_bytes = self._measure()
        return Swept(tuple(erased), tuple(held))

    def rewrap(self) -> int:
        with self._locked(fcntl.LOCK_EX):
            count, failed = 0, None
            for folder in self._subjects():
                try:
                    count += subject_keys.rewrap(folder, self._keys)
                except StoreFailed as error:
                    failed = error  # one that is damaged holds up no other
        if failed is not None:
            raise failed
        return count

    def _destroy(self, folder: Path) -> None:
        """Raises OSError."""
        gone = self._folder / f"{_GONE}{secrets.token_hex(8)}"
        folder.rename(gone)
        subject_keys.sync_folder(self._folder)
        _forget(gone)

    # --- what is there --------------------------------------------------------------------------------------

    def _subjects(self) -> list[Path]:
        return [path for path in self._folder.iterdir() if _PSEUDONYM.fullmatch(path.name)]

    def _headers(self) -> Iterator[tuple[Path, KeptSession]]:
        """Of files that can be understood; what cannot is left where it is, and counts as stored."""
        for folder in self._subjects():
            for path in folder.glob(f"*{_SUFFIX}"):
                with contextlib.suppress(StoreFailed, FileNotFoundError), path.open("rb") as file:
                    yield path, read_header(file.read(MAX_HEADER_BYTES))[0]

    def _measure(self) -> int:
        total = 0
        for folder in self._subjects():
            for path in folder.glob(f"*{_SUFFIX}"):
                with contextlib.suppress(FileNotFoundError):
                    total += path.stat().st_size
        return total

    @contextlib.contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        try:
            descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            raise StoreFailed("disk") from None
        try:
            fcntl.flock(descriptor, how)
            yield
        finally:
            os.close(descriptor)


def _forget(gone: Path) -> None:
    """Raises OSError."""
    subject_keys.destroy(gone)
    shutil.rmtree(gone)


def _write_all(descriptor: int, raw: bytes) -> None:
    left = memoryview(raw)
    while left:
        left = left[os.write(descriptor, left) :]
