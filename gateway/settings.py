"""All settings of one gateway process, in one frozen tree. The only file that reads the world for them.

A settings file is TOML; environment variables named `PATCHBAY__SECTION__KEY` go over it. Start-up fails with every
mistake listed.
"""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, Field, ValidationError, model_validator

from gateway.admission.geography_settings import GeographySettings
from gateway.admission.settings import SessionLimitSettings, TokenSettings
from gateway.audio.settings import AudioSettings
from gateway.console.settings import ConsoleSettings
from gateway.decision_log.settings import DecisionLogSettings
from gateway.escrow.settings import EscrowSettings
from gateway.limits.settings import LimitSettings
from gateway.logs import LogLevel
from gateway.metering.exporter.settings import ExporterSettings
from gateway.operations.settings import OperationsSettings
from gateway.residency.settings import ResidencySettings
from gateway.resumption.settings import ResumptionSettings
from gateway.session_settings import SessionSettings
from gateway.tracing import TracingSettings
from gateway.transcripts.settings import TranscriptSettings
from gateway.transports.settings import ListenSettings
from gateway.webtransport.settings import WebTransportSettings
from regions.capacity.settings import CapacitySettings
from regions.links.settings import PoolSettings
from regions.orders.settings import OrderSettings
from regions.settings import RegionsSettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_ENV_PREFIX = "PATCHBAY__"
EXIT_WRONG_SETTINGS = 64
"""EX_USAGE of sysexits.h."""


class DrainSettings(BaseModel, frozen=True, extra="forbid"):
    """The steps of a gateway's way out, in their order; see docs/operations.md."""

    announce_ms: int = Field(default=0, ge=0, le=120_000)
    """Readiness is off and sessions still come, until load balancers have noticed."""
    finish_ms: int = Field(default=60_000, ge=0, le=3_600_000)
    """Sessions may end their utterance, or the session."""


class HttpSettings(ListenSettings, frozen=True):
    port: int = Field(default=8080, ge=0, le=65_535)


class GrpcSettings(ListenSettings, frozen=True):
    port: int = Field(default=8081, ge=0, le=65_535)


class AdminSettings(ListenSettings, frozen=True):
    """Metrics, health and readiness; keep it off the internet."""

    port: int = Field(default=8082, ge=0, le=65_535)


class GatewaySettings(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """What `patchbay config schema` prints."""

    region: str = Field(default="local", pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    log_level: LogLevel = "info"
    core_dumps: bool = False
    """Whether a crash may write the memory of the process, audio and words included, to a disk."""
    http: HttpSettings = HttpSettings()
    grpc: GrpcSettings = GrpcSettings()
    admin: AdminSettings = AdminSettings()
    webtransport: WebTransportSettings | None = None
    """Sessions over HTTP/3, in processes of their own; without it, over WebSocket and gRPC alone."""
    engines: PoolSettings
    regions: RegionsSettings | None = None
    """Other regions, to which sessions may go and from which they may come; without it this one is alone."""
    capacity: CapacitySettings = CapacitySettings()
    tokens: TokenSettings
    admission: SessionLimitSettings = SessionLimitSettings()
    geography: GeographySettings = GeographySettings()
    residency: ResidencySettings | None = None
    """Where audio may be; without it every region of the catalog is permitted to everybody."""
    decision_log: DecisionLogSettings | None = None
    """Where decisions of policy are written down; without it nowhere."""
    limits: LimitSettings = LimitSettings()
    escrow: EscrowSettings | None = None
    """Regions that lend each other compute; without it each region has the whole of every plan."""
    metering: ExporterSettings | None = None
    sessions: SessionSettings = SessionSettings()
    audio: AudioSettings = AudioSettings()
    resumption: ResumptionSettings = ResumptionSettings()
    drain: DrainSettings = DrainSettings()
    orders: OrderSettings = OrderSettings()
    operations: OperationsSettings = OperationsSettings()
    transcripts: TranscriptSettings | None = None
    """Where words are stored, if a signed bundle says that they are; without it, nowhere."""
    console: ConsoleSettings = ConsoleSettings()
    tracing: TracingSettings = TracingSettings()

    @model_validator(mode="after")
    def _limits_fit_together(self) -> Self:
        longest_ms = self.sessions.max_utterance_ms + self.sessions.default_silence_ms
        if 0 < self.drain.finish_ms <= longest_ms:
            raise ValueError(
                f"drain.finish_ms must exceed the longest utterance and its pause ({longest_ms} ms), or be 0: "
                "a drain would cut words"
            )
        if not self.engines.addresses and self.engines.discovery is None and self.regions is None:
            raise ValueError("engines needs addresses or discovery: without [regions] nobody else can recognise")
        if self.escrow is not None and self.region not in self.escrow.addresses:
            raise ValueError(f"escrow.addresses lacks this region, {self.region}")
        strangers = set(self.operations.issuers) - {issuer.issuer for issuer in self.tokens.issuers}
        if strangers:
            raise ValueError(f"operations.issuers: tokens.issuers has no {', '.join(sorted(strangers))}")
        return self


class SettingsRefused(Exception):
    """The settings are wrong; `mistakes` lists each, with the place where it stands."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


def load(path: Path | None, environment: Mapping[str, str]) -> GatewaySettings:
    """Read a settings file and the environment over it.

    Raises:
        SettingsRefused: the file cannot be read, or says something that cannot be.
    """
    return validate(read_tree(path, environment))


def read_tree(path: Path | None, environment: Mapping[str, str]) -> dict[str, Any]:
    """The settings as they are given, without defaults. Raises SettingsRefused: the file cannot be read."""
    tree: dict[str, Any] = {}
    if path is not None:
        try:
            tree = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise SettingsRefused([f"{path}: {error.strerror}"]) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsRefused([f"{path}: {error}"]) from None
    for name, text in sorted(environment.items()):
        if name.startswith(_ENV_PREFIX):
            _put(tree, name[len(_ENV_PREFIX) :].lower().split("__"), text)
    return tree


def as_environment(settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings named `section__key` as the environment that `load` reads them from."""
    return {f"{_ENV_PREFIX}{name.upper()}": json.dumps(value) for name, value in settings.items()}


def validate(tree: dict[str, Any]) -> GatewaySettings:
    """Raises SettingsRefused."""
    try:
        return GatewaySettings.model_validate(tree)
    except ValidationError as error:
        raise SettingsRefused(
            [
                f"{'.'.join(map(str, mistake['loc'])) or 'settings'}: {mistake['msg']}"
                for mistake in error.errors(include_url=False, include_input=False)
            ]
        ) from None


def _put(tree: dict[str, Any], keys: list[str], text: str) -> None:
    """Set one leaf from the environment: JSON where it parses (numbers, lists, tables), else the text itself."""
    for key in keys[:-1]:
        below = tree.setdefault(key, {})
        if not isinstance(below, dict):
            below = tree[key] = {}
        tree = below
    try:
        tree[keys[-1]] = json.loads(text)
    except (ValueError, RecursionError):  # ValueError: no JSON, or an integer too long to read
        tree[keys[-1]] = text


def shown(settings: GatewaySettings) -> dict[str, Any]:
    """The tree as plain data, for people; secrets are stars."""
    tree: dict[str, Any] = settings.model_dump(mode="json")
    return tree
