"""Which sources an engine watches, read from its command line. Loads nothing that asks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

CLOUDS = ("aws", "gcp", "azure")
DEFAULT_MACHINE_FILE = Path("/tmp/patchbay-machine.lock")
"""In a container, or where each service has a /tmp of its own, name one that all engines of the machine share."""


class BadSource(Exception):
    """It names no source; the text says what was expected."""


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """`kind`: one of CLOUDS, or `http` with where it listens."""

    kind: str
    host: str = ""
    port: int = 0


@dataclass(frozen=True, slots=True)
class PreemptionSettings:
    """What `--preemption` and the options beside it say.

    Attributes:
        endpoint: of the cloud's metadata service; empty: where the cloud has it.
        poll_ms: 0: as often as the cloud advises.
        notice_ms: Google alone: the preemption notice duration that the machine was made with.
        machine: Azure alone: this machine's name in events; empty: as the metadata service says.
        acknowledges: Azure alone.
        machine_file: shared by the engines of this machine, so that the last one acknowledges.
    """

    sources: tuple[SourceSpec, ...] = ()
    endpoint: str = ""
    poll_ms: int = 0
    notice_ms: int = 0
    machine: str = ""
    acknowledges: bool = True
    machine_file: Path = DEFAULT_MACHINE_FILE


def read_sources(text: str) -> tuple[SourceSpec, ...]:
    """Of `aws,http:127.0.0.1:9300`.

    Raises:
        BadSource: one of them is none.
    """
    return tuple(_source(part.strip()) for part in text.split(",") if part.strip())


def _source(text: str) -> SourceSpec:
    if text in CLOUDS:
        return SourceSpec(text)
    address = re.fullmatch(r"http:(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})", text)
    if address is None or int(address["port"]) > 65_535:
        raise BadSource(f"--preemption must be aws, gcp, azure or http:HOST:PORT, not {text}")
    return SourceSpec("http", address["host"].strip("[]"), int(address["port"]))
