"""The TOML of a catalog, as pydantic reads it. What a single value may be is checked here; what values say together, in
regions.catalog_checks.
"""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints, ValidationError

from policies.routing_facts import CapacityClass, RegionState
from regions.catalog import Location, PoolSpec, RegionSpec
from regions.watched_file import FileRefused

DIGEST_CHARS = 16
_NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"
"""As gateway.settings has it for `region`: another could never match."""

_Name = Annotated[str, StringConstraints(pattern=_NAME)]
_Text = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[ -~]+$")]
_Jurisdiction = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
_HOST_AND_PORT = r"^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):\d{1,5}$"
_HostAndPort = Annotated[str, StringConstraints(max_length=300, pattern=_HOST_AND_PORT)]
_Url = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class LocationTable(BaseModel, frozen=True, extra="forbid"):
    latitude: float = Field(ge=-90, le=90, allow_inf_nan=False)
    longitude: float = Field(ge=-180, le=180, allow_inf_nan=False)


class ModelTable(BaseModel, frozen=True, extra="forbid"):
    name: _Text
    version: str = Field(default="", max_length=128)


class PoolTable(BaseModel, frozen=True, extra="forbid"):
    name: _Text
    capacity: CapacityClass
    models: tuple[ModelTable, ...]
    accelerator: str = Field(default="", max_length=128)
    zone: str = Field(default="", max_length=128)
    cost_permille: int = Field(default=1_000, ge=0, le=1_000_000, strict=True)

    def spec(self) -> PoolSpec:
        return PoolSpec(
            name=self.name,
            capacity=self.capacity,
            accelerator=self.accelerator,
            models=tuple((model.name, model.version) for model in self.models),
            cost_permille=self.cost_permille,
            zone=self.zone,
        )


class RegionTable(BaseModel, frozen=True, extra="forbid"):
    name: _Name
    country: str
    location: LocationTable
    operator: _Text
    jurisdictions: tuple[_Jurisdiction, ...] = ()
    gateways: tuple[_Url, ...] = ()
    relays: tuple[_HostAndPort, ...] = ()
    state: RegionState = RegionState.active
    pools: tuple[PoolTable, ...] = ()

    def spec(self) -> RegionSpec:
        return RegionSpec(
            name=self.name,
            location=Location(self.location.latitude, self.location.longitude),
            country=self.country,
            jurisdictions=frozenset(self.jurisdictions),
            operator=self.operator,
            gateways=self.gateways,
            relays=self.relays,
            pools=tuple(pool.spec() for pool in self.pools),
            state=self.state,
        )


class CatalogDocument(BaseModel, frozen=True, extra="forbid"):
    """A whole catalog; docs/regions.md."""

    cost_reference: str = Field(default="", max_length=200)
    regions: tuple[RegionTable, ...] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """What a catalog says, name by name as it stands there: a name may be there twice. `digest` as in Catalog."""

    regions: tuple[RegionSpec, ...]
    cost_reference: str
    digest: str


def parse(text: str) -> Listing:
    """Raises FileRefused: every value that cannot be, or the first place that is not TOML."""
    try:
        tree = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: not TOML, or an integer too long to read
        raise FileRefused([f"not TOML: {error}"]) from None
    try:
        document = CatalogDocument.model_validate(tree)
    except ValidationError as error:
        raise FileRefused(
            [_mistake(tree, found["loc"], found["type"], found["msg"]) for found in error.errors()]
        ) from None
    said = document.model_dump_json()
    return Listing(
        regions=tuple(table.spec() for table in document.regions),
        cost_reference=document.cost_reference,
        digest=hashlib.sha256(said.encode()).hexdigest()[:DIGEST_CHARS],
    )


def _mistake(tree: dict[str, Any], loc: tuple[int | str, ...], kind: str, text: str) -> str:
    place = place_of(tree, loc)
    match kind:
        case "extra_forbidden":
            said = "is not known here"
        case "missing":
            said = "is required"
        case "string_pattern_mismatch" if loc[-1] == "name" and len(loc) == 3:
            said = "must be 1 to 63 small letters, digits and hyphens, and begin with none of the last"
        case "string_pattern_mismatch" if "relays" in loc:
            said = "must be host:port"
        case _:
            said = text.replace("Input should", "must").replace("valid dictionary", "table").replace("tuple", "list")
    return f"{place}: {said}"


def place_of(tree: Any, loc: tuple[int | str, ...]) -> str:
    """Where in the file, with the names of tables instead of their numbers where they have names."""
    parts: list[str] = []
    here: Any = tree
    for key in loc:
        try:
            here = here[key]
        except (KeyError, IndexError, TypeError):
            here = None
        name = here.get("name") if isinstance(key, int) and isinstance(here, dict) else None
        parts.append(name if isinstance(name, str) and name else str(key))
    return ".".join(parts)
