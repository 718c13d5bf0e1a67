"""What a run of the gateway's benchmark has measured."""

from __future__ import annotations

import msgspec

from tests.benchmarks.load_client import LoadResult
from tests.benchmarks.setup_client import SetUpResult


class Memory(msgspec.Struct, frozen=True):
    """KiB, of a process that has just started and of one that holds idle sessions."""

    base_kib: int
    per_session_kib: float


class Findings(msgspec.Struct):
    """By server; `loads` by number of sessions first. One entry a round."""

    machine: dict[str, str]
    loads: dict[int, dict[str, list[LoadResult]]]
    memory: dict[str, list[Memory]]
    set_ups: dict[str, list[SetUpResult]]
