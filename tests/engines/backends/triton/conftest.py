"""A server that speaks Triton's API in this process, and backends over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engines.backends.triton.backend import TritonBackend
from engines.backends.triton.server import TritonServer
from engines.contract import BackendKind, BackendSettings
from tests.fakes.triton import FakeTriton

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def fake() -> Iterator[FakeTriton]:
    server = FakeTriton()
    yield server
    server.stop()


@pytest.fixture
def open_fake(fake: FakeTriton) -> Iterator[Callable[..., TritonBackend]]:
    """Opens backends over the fake server, which are closed with the test."""
    opened: list[TritonBackend] = []

    def open_backend(*, max_slots: int = 3, step_timeout_s: float = 5.0) -> TritonBackend:
        settings = BackendSettings(kind=BackendKind.triton, server=fake.address, max_slots=max_slots)
        server = TritonServer(fake.address, "asr", load_timeout_s=20.0)
        backend = TritonBackend(server, settings, step_timeout_s=step_timeout_s)
        opened.append(backend)
        return backend

    yield open_backend
    for backend in opened:
        backend.close()
