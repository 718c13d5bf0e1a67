"""A real Triton server with the embedded model, for tests that stay away where scripts/triton.sh has not been."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engines.backends.triton.backend import TritonBackend
from engines.backends.triton.entry_config import EntryOptions
from engines.backends.triton.repository import write_entry
from engines.backends.triton.server import TritonServer
from engines.contract import BackendKind, BackendSettings
from tests.harness import triton

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Opener = Callable[..., TritonBackend]

EMBEDDED = Path(__file__).parents[2] / "engines" / "models" / "embedded"

collect_ignore_glob = [] if triton.is_set_up() else ["test_*.py"]


@pytest.fixture(scope="session")
def embedded() -> Path:
    return EMBEDDED


@pytest.fixture(scope="session")
def written_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Has `asr`, with room for 16 sequences: to be copied."""
    repository = tmp_path_factory.mktemp("written") / "repository"
    write_entry(EMBEDDED, repository, EntryOptions(sequences=16), name="asr")
    return repository


@pytest.fixture(scope="session")
def shared_triton(written_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[triton.Triton]:
    """Has `asr` with room for 64 sequences, `two` for two, and `brief`, for one, that forgets it after 0.8 s."""
    repository = tmp_path_factory.mktemp("triton") / "repository"
    written = written_repository / "asr"
    copy_entry(written, repository / "asr", {"sequences: 16": "sequences: 64"})
    copy_entry(written, repository / "two", {"sequences: 16": "sequences: 2"})
    copy_entry(written, repository / "brief", {"sequences: 16": "sequences: 1", "60000000": "800000"})
    server = triton.Triton(repository)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def copy_entry(entry: Path, copied: Path, changes: dict[str, str]) -> None:
    """Copy an entry under another name with another configuration; checking the model anew takes seconds."""
    shutil.copytree(entry, copied)
    config = copied / "config.pbtxt"
    text = config.read_text()
    for old, new in (changes | {f'name: "{entry.name}"': f'name: "{copied.name}"'}).items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    config.write_text(text)


@pytest.fixture
def new_triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., triton.Triton]]:
    """Starts servers of a test's own over a repository; they stop with the test."""
    started: list[triton.Triton] = []

    def start(repository: Path, *, is_explicit: bool = False) -> triton.Triton:
        server = triton.Triton(repository, is_explicit=is_explicit)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def open_triton() -> Iterator[Opener]:
    """Opens backends, which are closed with the test."""
    opened: list[TritonBackend] = []

    def open_backend(
        address: str, model: str, *, max_slots: int = 8, step_timeout_s: float = 10.0, min_idle_ms: int = 60_000
    ) -> TritonBackend:
        server = TritonServer(address, model, min_idle_ms=min_idle_ms, load_timeout_s=5.0)
        settings = BackendSettings(kind=BackendKind.triton, server=address, max_slots=max_slots)
        try:
            backend = TritonBackend(server, settings, step_timeout_s=step_timeout_s)
        except BaseException:
            server.close(within_s=0.0)
            raise
        opened.append(backend)
        return backend

    yield open_backend
    for backend in opened:
        backend.close()
