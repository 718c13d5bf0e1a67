"""The engine's command line."""

from __future__ import annotations

import argparse
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from pydantic import ValidationError

from engines.contract import BackendKind, BackendSettings
from engines.preemption.settings import DEFAULT_MACHINE_FILE, BadSource, PreemptionSettings, read_sources
from engines.recognition.scripted import Script
from engines.registration.lease import is_address
from policies.preemption import NoticeKind
from policies.routing_facts import CapacityClass

if TYPE_CHECKING:
    from collections.abc import Mapping

EMBEDDED_MODEL = Path(__file__).parent.parent / "models" / "embedded"
REGISTER_VARIABLE = "PATCHBAY_REGISTER"
"""URLs, with spaces between them: what `--register` says and others could see in the list of processes."""
_WILDCARDS = ("0.0.0.0", "[::]", "::", "*")
_REGION = r"[a-z0-9][a-z0-9-]{0,62}"
_SCHEMES = ("redis://", "rediss://", "unix://")


class BadOptions(Exception):
    """The command line cannot be used; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class RegistrationOptions:
    """How the engine registers itself. `advertise`: what gateways dial; port 0 stands for the one it listens on."""

    urls: tuple[str, ...] = field(repr=False)
    prefix: str
    region: str
    advertise: str
    capacity: CapacityClass
    zone: str
    accelerator: str
    lease_ms: int


@dataclass(frozen=True, slots=True)
class GrantOptions:
    """Streams need a placement grant. `capacity`: as in EngineOptions."""

    keys: Path
    region: str
    capacity: CapacityClass | None


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """`recogniser` is `ctc` or `scripted`; `script` matters to the second alone. The first of `models` is the default.

    `model_folders`: where more models may be loaded from while the engine runs.
    """

    listen: str
    models: tuple[Path, ...]
    model_folders: tuple[Path, ...]
    recogniser: str
    backend: BackendSettings
    max_batch: int
    busy_permille: int
    replay_share_permille: int
    skips_silence: bool
    pool: str
    script: Script
    prints_json: bool
    ends_with_parent: bool
    may_dump_core: bool
    heartbeat_interval_ms: int
    silent_intervals: int
    drain_deadline_ms: int
    stuck_after_ms: int
    registration: RegistrationOptions | None = None
    capacity: CapacityClass | None = None
    """Of its machine, as the command line says it; None: it does not."""
    grants: GrantOptions | None = None
    preemption: PreemptionSettings = field(default_factory=PreemptionSettings)
    drains_on: frozenset[NoticeKind] = frozenset()


def parse_options(arguments: list[str], environment: Mapping[str, str] = os.environ) -> EngineOptions:
    """Read the command line.

    Raises:
        BadOptions: an option is unknown or out of its range.
    """
    values = _parser().parse_args(arguments)
    listen: str = values.listen
    if not is_address(listen):
        raise BadOptions(f"--listen must be unix:/path or host:port, not {listen}")
    return EngineOptions(
        listen=listen,
        models=tuple(values.model or [EMBEDDED_MODEL]),
        model_folders=tuple(values.model_folder),
        recogniser=values.recogniser,
        backend=BackendSettings(
            kind=BackendKind(values.backend),
            max_slots=values.slots,
            threads=values.threads,
            max_batch=values.max_batch,
            device_index=values.device,
            server=values.triton,
            cache_folder=values.cache,
        ),
        max_batch=values.max_batch,
        busy_permille=values.busy_permille,
        replay_share_permille=values.replay_share_permille,
        skips_silence=not values.hear_silence,
        pool=values.pool,
        script=_script(values.script),
        prints_json=values.json,
        ends_with_parent=values.exit_with_parent,
        may_dump_core=values.core_dumps,
        heartbeat_interval_ms=values.heartbeat_interval_ms,
        silent_intervals=values.silent_intervals,
        drain_deadline_ms=values.drain_deadline_ms,
        stuck_after_ms=values.stuck_after_ms,
        registration=_registration(values, environment),
        capacity=CapacityClass(values.capacity) if values.capacity else None,
        grants=_grants(values),
        preemption=_preemption(values),
        drains_on=frozenset(NoticeKind(kind) for kind in values.drain_on),
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadOptions(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m engines", description="A streaming speech recognition engine.", allow_abbrev=False)
    add = parser.add_argument
    add("--listen", default="127.0.0.1:0", help="unix:/path or host:port; port 0 takes any")
    add(
        "--model",
        type=Path,
        action="append",
        help="folder or file of a model, once for each; default: the embedded one",
    )
    add("--model-folder", type=Path, action="append", default=[], help="models in here may be loaded while it runs")
    add("--recogniser", choices=("ctc", "scripted"), default="ctc")
    add("--backend", choices=[kind.value for kind in BackendKind], default=BackendKind.onnx.value)
    add("--slots", type=_whole(1, 10_000), default=32, help="streams of each model at once")
    add("--threads", type=_whole(0, 256), default=1, help="threads of one model step; 0: one for each core")
    add("--device", type=_whole(0, 63), default=0, help="which GPU")
    add("--triton", default="", help="host:port of the Triton server, for --backend triton")
    add("--cache", default="", help="folder for TensorRT's engine files; default: beside the model")
    add("--busy-permille", type=_whole(0, 1_000), default=800, help="how busy streams may make it; 0: only slots count")
    add("--replay-share-permille", type=_whole(1, 1_000), default=250, help="of all slots' compute, for catching up")
    add("--max-batch", type=_whole(0, 10_000), default=0, help="streams in one step; 0: all slots")
    add("--hear-silence", action="store_true", help="run the models in silence before speech too")
    add("--pool", default="default", help="name of the pool in load reports")
    add("--script", default="", help="k=v,... for the scripted recogniser")
    add("--json", action="store_true", help="print one line of JSON when ready")
    add("--exit-with-parent", action="store_true", help="drain when the parent process dies")
    add("--core-dumps", action="store_true", help="a crash may write memory, audio included, to a disk")
    add("--heartbeat-interval-ms", type=_whole(20, 60_000), default=500)
    add("--silent-intervals", type=_whole(2, 1_000), default=6, help="of a gateway's heartbeat, and it is gone")
    add("--drain-deadline-ms", type=_whole(0, 600_000), default=15_000)
    add("--stuck-after-ms", type=_whole(100, 600_000), default=10_000, help="a step that lasts longer ends the engine")
    add("--register", action="append", metavar="URL", help="Redis to register in, once for each")
    add("--register-prefix", default="patchbay", help="before every key in it")
    add("--region", default="", help="name of the region that it registers for, and is in")
    add("--advertise", default="", help="address that gateways dial; port 0: the one it listens on")
    add("--capacity", choices=[kind.value for kind in CapacityClass], help="of its machine; registers as reserved")
    add("--grant-keys", type=Path, metavar="DIR", help="streams need a grant by one of these keys, REGION.pem")
    add("--zone", default="", help="availability zone of the machine")
    add("--accelerator", default="", help="what it computes on, such as l4")
    add("--preemption", default="", metavar="SOURCES", help="aws, gcp, azure, http:HOST:PORT, with commas between them")
    add(
        "--preemption-endpoint", default="", metavar="URL", help="of the metadata service, if it is not the cloud's own"
    )
    add("--preemption-poll-ms", type=_whole(0, 60_000), default=0, help="0: as often as the cloud advises")
    add("--preemption-notice-s", type=_whole(0, 600), default=0, help="GCP: the notice duration of the machine")
    add("--machine-name", default="", help="Azure: this machine in events; default: as the metadata service says")
    add("--machine-file", type=Path, default=DEFAULT_MACHINE_FILE, help="Azure: shared by the engines of a machine")
    add("--no-acknowledge", action="store_true", help="Azure: never let an event begin before its time")
    add(
        "--drain-on",
        choices=(NoticeKind.rebalance.value, NoticeKind.maintenance.value),
        action="append",
        default=[],
        help="empty the engine at such a notice too",
    )
    add("--lease-ms", type=_whole(300, 600_000), default=10_000, help="gone from the registry so long after it died")
    return parser


def _registration(values: argparse.Namespace, environment: Mapping[str, str]) -> RegistrationOptions | None:
    urls: list[str] = values.register or environment.get(REGISTER_VARIABLE, "").split()
    if not urls:
        return None
    if not all(url.startswith(_SCHEMES) for url in urls):
        raise BadOptions("--register must be redis://, rediss:// or unix://")
    if not re.fullmatch(_REGION, values.region):
        raise BadOptions("--register needs --region, the region's name: small letters, digits and hyphens")
    if not re.fullmatch(r"[a-z0-9_-]{1,32}", values.register_prefix):
        raise BadOptions("--register-prefix must be 1 to 32 small letters, digits or any of _ -")
    advertise: str = values.advertise or values.listen
    if not is_address(advertise):
        raise BadOptions(f"--advertise must be unix:/path or host:port, not {advertise}")
    if advertise.rpartition(":")[0] in _WILDCARDS:
        raise BadOptions(f"--advertise must say what gateways dial: nobody can dial {advertise}")
    return RegistrationOptions(
        urls=tuple(urls),
        prefix=values.register_prefix,
        region=values.region,
        advertise=advertise,
        capacity=CapacityClass(values.capacity or CapacityClass.reserved),
        zone=values.zone,
        accelerator=values.accelerator,
        lease_ms=values.lease_ms,
    )


def _grants(values: argparse.Namespace) -> GrantOptions | None:
    keys: Path | None = values.grant_keys
    if keys is None:
        return None
    if not keys.is_dir():
        raise BadOptions(f"--grant-keys must be a folder, not {keys}")
    if not re.fullmatch(_REGION, values.region):
        raise BadOptions("--grant-keys needs --region, the region's name: small letters, digits and hyphens")
    return GrantOptions(keys, values.region, CapacityClass(values.capacity) if values.capacity else None)


def _preemption(values: argparse.Namespace) -> PreemptionSettings:
    try:
        sources = read_sources(values.preemption)
    except BadSource as mistake:
        raise BadOptions(str(mistake)) from None
    endpoint: str = values.preemption_endpoint
    if endpoint and not re.fullmatch(r"http://[A-Za-z0-9.\[\]:-]+", endpoint):
        raise BadOptions(f"--preemption-endpoint must be http://HOST:PORT, not {endpoint}")
    return PreemptionSettings(
        sources=sources,
        endpoint=endpoint,
        poll_ms=values.preemption_poll_ms,
        notice_ms=values.preemption_notice_s * 1_000,
        machine=values.machine_name,
        acknowledges=not values.no_acknowledge,
        machine_file=values.machine_file,
    )


class _whole:  # noqa: N801 - reads as a type where it is used
    """A whole number in a range, for argparse."""

    def __init__(self, least: int, most: int) -> None:
        self._least = least
        self._most = most

    def __call__(self, text: str) -> int:
        if text.isdecimal() and self._least <= int(text) <= self._most:
            return int(text)
        raise argparse.ArgumentTypeError(f"must be {self._least} to {self._most}, not {text}")


def _script(text: str) -> Script:
    pairs = [pair.partition("=") for pair in text.split(",") if pair]
    try:
        return Script.model_validate({key: value for key, _, value in pairs})
    except ValidationError as error:
        mistakes = "; ".join(f"{'.'.join(map(str, row['loc']))}: {row['msg']}" for row in error.errors())
        raise BadOptions(f"--script: {mistakes}") from error
