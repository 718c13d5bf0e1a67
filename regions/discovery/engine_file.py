"""Engines that stand in a file: `[[engines]]` tables in TOML, or a JSON object with a list `engines`."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ValidationError

from engines.registration.lease import is_address
from policies.routing_facts import CapacityClass
from regions.discovery.interface import EngineAddress
from regions.discovery.teller import Teller, log
from regions.watched_file import FileRefused, WatchedFile, read_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from regions.discovery.metrics import DiscoveryMetrics
    from regions.discovery.settings import FileDiscovery


def _address(text: str) -> str:
    if not is_address(text):
        raise ValueError("must be unix:/path or host:port")
    return text


class EngineTable(BaseModel, frozen=True, extra="forbid"):
    """As EngineAddress."""

    address: Annotated[str, AfterValidator(_address)]
    pool: str = ""
    capacity: CapacityClass = CapacityClass.reserved
    zone: str = ""
    accelerator: str = ""


class EnginesDocument(BaseModel, frozen=True, extra="forbid"):
    engines: tuple[EngineTable, ...] = ()


def read_engines(path: Path) -> tuple[EngineAddress, ...]:
    """Raises FileRefused: every mistake, with its place."""
    text = read_text(path)
    try:
        tree: Any = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileRefused([f"{path.name}: {error}"]) from None
    try:
        tables = EnginesDocument.model_validate(tree).engines
    except ValidationError as error:
        raise FileRefused(
            [
                f"{'.'.join(map(str, found['loc']))}: {found['msg'].removeprefix('Value error, ')}"
                for found in error.errors(include_url=False, include_input=False)
            ]
        ) from None
    places: dict[str, int] = {}
    mistakes = [
        f"engines.{number}.address: {table.address} is named twice"
        for number, table in enumerate(tables)
        if places.setdefault(table.address, number) != number
    ]
    if mistakes:
        raise FileRefused(mistakes)
    return tuple(EngineAddress(**table.model_dump()) for table in tables)


class EngineFile:
    """A Discovery.

    Raises:
        FileRefused: it cannot be used at start.
    """

    keeps_connected = False

    def __init__(self, settings: FileDiscovery, *, metrics: DiscoveryMetrics) -> None:
        self._teller = Teller(settings.kind, metrics)
        self._on_change: Callable[[tuple[EngineAddress, ...]], None] = lambda _: None
        self._file = WatchedFile(settings.path, read_engines, self, look_interval_ms=settings.look_interval_ms)

    async def run(self, on_change: Callable[[tuple[EngineAddress, ...]], None]) -> None:
        self._on_change = on_change
        self.took(self._file.content)
        await self._file.run()

    def took(self, content: tuple[EngineAddress, ...]) -> None:
        self._teller.tell(content, self._on_change)

    def rejected(self, refused: FileRefused) -> None:
        self._teller.failed("the file cannot be used")
        log.error("discovery.rejected", mistakes=list(refused.mistakes))
