"""Names in the documentation exist, and what exists is documented: options, settings, metrics, events, messages."""

from __future__ import annotations

import ast
import functools
import json
import re
from typing import TYPE_CHECKING, Any, get_args, get_origin

import msgspec
import pytest
import typer.main
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from engines.interface import EndReason, LossReason, MoveReason
from engines.server.options import _parser as engine_parser
from gateway.admission.geography_metrics import GeographyMetrics
from gateway.admission.metrics import AdmissionMetrics
from gateway.cli.app import app
from gateway.cli.exit_codes import ExitCode
from gateway.decision_log.metrics import DecisionLogMetrics
from gateway.decision_log.settings import DirectoryCopySettings, S3CopySettings
from gateway.errors import Reason
from gateway.escrow.metrics import EscrowMetrics
from gateway.limits.metrics import LimiterMetrics
from gateway.limits.plans_metrics import PlansMetrics
from gateway.logs import LIBRARY_EVENT
from gateway.metering.exporter.metrics import ExporterMetrics
from gateway.metering.journal_metrics import JournalMetrics
from gateway.metering.sinks.settings import AnySinkSettings, SinkSettings
from gateway.metrics import GatewayMetrics, LiveFigures
from gateway.operations.glass_metrics import GlassMetrics
from gateway.operations.metrics import OperationsMetrics
from gateway.residency.metrics import ResidencyMetrics
from gateway.resumption.metrics import ResumptionMetrics
from gateway.settings import GatewaySettings
from gateway.transcripts.metrics import TranscriptMetrics
from gateway.webtransport.edge_metrics import EdgeMetrics
from gateway.webtransport.quic.metrics import QuicMetrics
from gateway.wire.messages import (
    SERVER_MESSAGE_TYPES,
    Finalize,
    Finish,
    Gap,
    KeepAlive,
    Start,
)
from policies.facts import AudioEncoding
from policies.routing_facts import RegionSnapshot
from regions.capacity.metrics import CapacityMetrics
from regions.capacity.snapshot import CapacitySnapshot
from regions.catalog_metrics import CatalogMetrics
from regions.discovery.metrics import DiscoveryMetrics
from regions.links.certificates import CertificateMetrics
from regions.links.pool_metrics import PoolMetrics
from regions.orders.metrics import OrderMetrics
from regions.placement_metrics import PlacementMetrics
from regions.relay.metrics import RelayMetrics
from tests.docs.pages import PAGES, ROOT, all_blocks, anchors, code_words, links, named_rows, prose, rows, section

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

pytestmark = pytest.mark.unit

DOCS = ROOT / "docs"
TOP_FOLDERS = ("gateway", "regions", "engines", "policies", "tests", "docs", "scripts", "requirements")
FILE_ENDINGS = (".md", ".py", ".toml", ".txt")


# --- links and files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in links(page):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = page if not path else (page.parent / path).resolve()
        if not found.exists() or (anchor and anchor not in anchors(found)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_named_in_the_documentation_exists(page: Path) -> None:
    named = {word for word in code_words(prose(page)) if re.fullmatch(r"[\w.*-]+(/[\w.*-]+)+/?", word)}
    missing = [word for word in named if word.split("/")[0] in TOP_FOLDERS and not list(ROOT.glob(word.rstrip("/")))]
    assert missing == []


def test_every_page_is_in_the_index() -> None:
    index = set(links(DOCS / "README.md"))
    assert [page.name for page in DOCS.glob("*.md") if page.name != "README.md" and page.name not in index] == []


# --- the command line -------------------------------------------------------------------------------------------


def commands(command: Any, path: str = "patchbay") -> Iterator[tuple[str, Any]]:
    """Every command below a group, by what a user types; typer's own classes carry no types worth naming."""
    is_group = hasattr(command, "list_commands")
    if not is_group or command.invoke_without_command:
        yield path, command
    for name in command.list_commands(None) if is_group else ():
        yield from commands(command.get_command(None, name), f"{path} {name}")


COMMANDS = dict(commands(typer.main.get_command(app)))


def options_of(command: Any) -> set[str]:
    """What `--help` shows."""
    return {
        name
        for parameter in command.params
        if parameter.param_type_name == "option" and not getattr(parameter, "hidden", False)
        for name in (*parameter.opts, *parameter.secondary_opts)
    } - {"--help"}


def test_every_command_and_no_other_has_a_section() -> None:
    sections = set(re.findall(r"^## `(patchbay [^`]+)`$", (DOCS / "cli.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert sections == set(COMMANDS)


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_of_a_command_and_no_other_is_documented(path: str) -> None:
    documented = {
        option
        for cells in rows(section(DOCS / "cli.md", f"## `{path}`"))
        for option in re.findall(r"`(--[\w-]+)`", cells[0])
    }
    assert documented == options_of(COMMANDS[path])


def test_every_option_that_a_block_uses_exists() -> None:
    unknown = []
    for block in all_blocks("sh"):
        for line in block.code.splitlines():
            for words in re.findall(r"\bpatchbay ((?:\w[\w-]* )*)(.*?)(?:[|>#)]|$)", line):
                path = "patchbay " + words[0].strip()
                known = max((known for known in COMMANDS if path.startswith(known)), key=len, default=None)
                command = None if known is None else COMMANDS[known]
                used = set(re.findall(r"(?<!\S)(--[\w-]+)", words[1]))
                if used and (command is None or not used <= options_of(command)):
                    unknown.append(f"{block.place}: {line}")
    assert unknown == []


def test_every_exit_code_and_no_other_is_documented() -> None:
    documented = {cells[1].strip("`"): int(cells[0]) for cells in rows(section(DOCS / "cli.md", "## Exit codes"))[2:]}
    assert documented == {code.name: code.value for code in ExitCode}


def test_every_option_of_an_engine_and_no_other_is_documented() -> None:
    actual = {
        option for action in engine_parser()._actions for option in action.option_strings if option.startswith("--")
    } - {"--help"}
    assert {name for name in named_rows(section(DOCS / "engines.md", "## Options")) if name.startswith("--")} == actual


def test_the_documented_defaults_of_an_engine_are_its_own() -> None:
    documented = named_rows(section(DOCS / "engines.md", "## Options"))
    for action in engine_parser()._actions:
        option = action.option_strings[-1]
        if option in documented and isinstance(action.default, str | int) and action.default is not False:
            assert documented[option][1].strip("`") == (str(action.default) or "none")


# --- settings -----------------------------------------------------------------------------------------------------


OPTIONAL_SECTIONS = (
    "IssuerSettings",
    "RedisSettings",
    "JournalSettings",
    "EscrowSettings",
    "ExporterSettings",
    "ResidencySettings",
    "TranscriptSettings",
    "DecisionLogSettings",
    "GrantSettings",
    "RegionsSettings",
    "WebTransportSettings",
)
"""Tables that may be left out or repeated, and whose settings have rows of their own."""


def leaves(model: type[BaseModel], defaults: BaseModel | None = None, above: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting and its default; those of tables that may be left out or repeated have the section's name."""
    for name, field in model.model_fields.items():
        path = f"{above}{name}"
        default = field.default if defaults is None else getattr(defaults, name)
        nested = field.annotation
        if isinstance(nested, type) and issubclass(nested, BaseModel):
            yield from leaves(nested, default if isinstance(default, BaseModel) else None, f"{path}.")
            continue
        yield path, default
        for inner in get_args(nested):
            if isinstance(inner, type) and issubclass(inner, BaseModel) and inner.__name__ in OPTIONAL_SECTIONS:
                yield from leaves(inner, None, f"{path}.")


SETTINGS = dict(leaves(GatewaySettings))
SINKS = get_args(get_args(AnySinkSettings)[0])


def test_every_setting_and_no_other_is_documented() -> None:
    documented = {
        name for name in named_rows(section(DOCS / "configuration.md", "## Every setting")) if name != "setting"
    }
    assert documented == set(SETTINGS)


def test_the_documented_defaults_are_the_settings_own() -> None:
    documented = named_rows(section(DOCS / "configuration.md", "## Every setting"))
    wrong = []
    for path, default in SETTINGS.items():
        said = documented[path][1].strip("`")
        actual = {PydanticUndefined: "required", None: "none"}.get(default, default) if _is_plain(default) else default
        if said != (actual if actual in ("required", "none") else json.dumps(actual)):
            wrong.append(f"{path}: {said}, not {actual}")
    assert wrong == []


@pytest.mark.parametrize("sink", SINKS, ids=lambda sink: kind_of_sink(sink))
def test_every_setting_of_a_sink_and_no_other_is_documented_with_its_default(sink: type[BaseModel]) -> None:
    common = set(named_rows(section(DOCS / "metering.md", "## Sinks").split("###")[0]))
    documented = named_rows(section(DOCS / "metering.md", f"### `{kind_of_sink(sink)}`"))
    assert set(documented) == {
        name
        for name, field in sink.model_fields.items()
        if name not in common or (name != "kind" and field.default != SinkSettings.model_fields[name].default)
    }
    for name, cells in documented.items():
        default = sink.model_fields[name].default
        plain = {PydanticUndefined: "required", None: "none"}.get(default) if _is_plain(default) else None
        assert cells[1].strip("`") == (plain or json.dumps(default)), name


def kind_of_sink(sink: type[BaseModel]) -> str:
    return str(get_args(sink.model_fields["kind"].annotation)[0])


def test_the_settings_that_every_sink_has_are_documented() -> None:
    common = named_rows(section(DOCS / "metering.md", "## Sinks").split("###")[0])
    assert set(common) == {*SinkSettings.model_fields, "kind"}


@pytest.mark.parametrize("copy", [DirectoryCopySettings, S3CopySettings], ids=kind_of_sink)
def test_every_setting_of_a_copy_and_no_other_is_documented_with_its_default(copy: type[BaseModel]) -> None:
    documented = named_rows(section(DOCS / "audit.md", f"### `{kind_of_sink(copy)}`"))
    assert set(documented) == set(copy.model_fields) - {"kind"}
    for name, cells in documented.items():
        default = copy.model_fields[name].default
        plain = {PydanticUndefined: "required", None: "none"}.get(default) if _is_plain(default) else None
        assert cells[1].strip("`") == (plain or json.dumps(default)), name


def _is_plain(default: object) -> bool:
    return default is None or default is PydanticUndefined


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_setting_named_in_the_documentation_exists(page: Path) -> None:
    """A dotted name that begins like a section of the settings is one, or a module, a file, a field of `start`."""
    sections = "|".join({path.split(".")[0] for path in SETTINGS if "." in path} | {"limits"})
    tables = {path.rpartition(".")[0] for path in SETTINGS} | {".".join(path.split(".")[:2]) for path in SETTINGS}
    named = {word for word in code_words(prose(page)) if re.fullmatch(rf"(?:{sections})(?:\.[a-z_]+)+", word)}
    events = set(logged_events("gateway", "regions", "engines"))  # some begin like a section of the settings
    others = {word for word in named if word in events or _is_in_the_code(word) or word.endswith(FILE_ENDINGS)}
    assert sorted(named - set(SETTINGS) - tables - others - set(fields_of(Start))) == []


def _is_in_the_code(word: str) -> bool:
    """A module, or a name in one, of a package or of a room of the gateway."""
    *rooms, _ = parts = word.split(".")
    return any(
        (top / "/".join(names)).with_suffix(".py").is_file() or (len(names) > 1 and (top / "/".join(names)).is_dir())
        for top in (ROOT, ROOT / "gateway")
        for names in (parts, rooms)
    )


def test_the_documented_limits_are_the_defaults() -> None:
    """In docs/protocol.md they stand in people's units."""
    units = {"s": 1_000, "h": 3_600_000, "MiB": 1_048_576, "bytes": 1, "": 1}
    for cells in rows(section(DOCS / "protocol.md", "## Limits"))[2:]:
        setting = cells[2].strip("`")
        if setting == "none":
            continue
        number, _, unit = cells[1].partition(" ")
        assert SETTINGS[setting] == int(number) * units[unit], cells
        assert all(reason in Reason.__members__ for reason in re.findall(r"`(\w+)`", cells[3])), cells


# --- metrics and logs -------------------------------------------------------------------------------------------


def exposed_metrics() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Kind and labels of every metric of ours by its name on the page."""
    metrics = GatewayMetrics()
    metrics.watch(lambda: LiveFigures(sessions=0, held_samples=0, queued_messages=0, waiting_bytes=0), list)
    PlansMetrics(metrics.registry)
    LimiterMetrics(metrics.registry)
    JournalMetrics(metrics.registry)
    ExporterMetrics(metrics.registry)
    AdmissionMetrics(metrics.registry)
    GeographyMetrics(metrics.registry)
    EscrowMetrics(metrics.registry)
    ResumptionMetrics(metrics.registry)
    ResidencyMetrics(metrics.registry)
    CatalogMetrics(metrics.registry)
    PoolMetrics(metrics.registry)
    DiscoveryMetrics(metrics.registry)
    CertificateMetrics(metrics.registry)
    RelayMetrics(metrics.registry)
    OrderMetrics(metrics.registry)
    PlacementMetrics(metrics.registry).watch(lambda: RegionSnapshot(0, ()))
    OperationsMetrics(metrics.registry)
    GlassMetrics(metrics.registry).watch(lambda: 0)
    TranscriptMetrics(metrics.registry)
    DecisionLogMetrics(metrics.registry)
    QuicMetrics(metrics.registry)
    EdgeMetrics(metrics.registry)
    CapacityMetrics(metrics.registry, lambda: CapacitySnapshot(0, 0, has_reports=True, fleets=()))
    found = {}
    for collector in metrics.registry._collector_to_names:
        for family in collector.collect():
            if family.name.startswith("patchbay_"):
                name = f"{family.name}_total" if family.type == "counter" else family.name
                labels: Sequence[str] = getattr(collector, "_labelnames", ()) or getattr(family, "_labelnames", ())
                found[name] = (family.type, tuple(labels))
    return found


def test_every_metric_and_no_other_is_documented_with_its_kind_and_labels() -> None:
    documented = {
        name: (cells[1], tuple(re.findall(r"`(\w+)`", cells[2])))
        for name, cells in named_rows(section(DOCS / "operations.md", "## Metrics")).items()
    }
    assert documented == exposed_metrics()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_metric_named_in_the_documentation_exists(page: Path) -> None:
    known = set(exposed_metrics())
    suffixes = re.compile(r"_(bucket|count|sum)$")
    named = set(re.findall(r"\bpatchbay_[a-z0-9_]+\b", page.read_text(encoding="utf-8")))
    assert sorted(name for name in named if name not in known and suffixes.sub("", name) not in known) == []


@functools.cache
def logged_events(*packages: str) -> dict[str, set[str]]:
    """The events that the code logs and their fields, read from the calls."""
    found: dict[str, set[str]] = {LIBRARY_EVENT: {"logger", "said"}}
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "recipe" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if _is_log_call(node):
                    event = node.args[0].value  # type: ignore[attr-defined]
                    fields = {keyword.arg for keyword in node.keywords if keyword.arg}  # type: ignore[attr-defined]
                    found.setdefault(event, set()).update(fields)
    return found


def _is_log_call(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("debug", "info", "warning", "error", "exception")
        and bool(node.args)
        and isinstance(node.args[0], ast.Constant)
        and "." in str(node.args[0].value)
    )


def test_every_log_event_and_no_other_is_documented() -> None:
    documented = {name for name in named_rows(section(DOCS / "operations.md", "## Logs")) if "." in name}
    assert documented == set(logged_events("gateway", "regions", "engines"))


def test_the_documented_fields_of_log_events_are_logged() -> None:
    """Fields that are bound to all lines of a session or engine stand above the tables."""
    bound = {"exc_info", "region", "epoch", "exception", "address", "pid", "model", "model_version", "models", "slots"}
    logged = logged_events("gateway", "regions", "engines")
    wrong = {}
    for event, cells in named_rows(section(DOCS / "operations.md", "## Logs")).items():
        documented = set(re.findall(r"`(\w+)`", cells[2]))
        if documented - bound != logged.get(event, set()) - bound:
            wrong[event] = (documented - bound) ^ (logged.get(event, set()) - bound)
    assert wrong == {}


# --- the protocol -------------------------------------------------------------------------------------------------


def fields_of(message: type[msgspec.Struct], above: str = "") -> Iterator[str]:
    for name, field in zip(message.__struct_fields__, msgspec.structs.fields(message), strict=True):
        nested = field.type
        if isinstance(nested, type) and issubclass(nested, msgspec.Struct):
            yield from fields_of(nested, f"{above}{name}.")
        else:
            yield f"{above}{name}"
            for inner in get_args(nested):
                if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
                    many = "[]" if get_origin(nested) is tuple else ""
                    yield from fields_of(inner, f"{above}{name}{many}.")


@pytest.mark.parametrize(
    "message",
    [Start, Gap, Finalize, Finish, KeepAlive, *SERVER_MESSAGE_TYPES],
    ids=lambda message: message.__struct_config__.tag,
)
def test_every_field_of_a_message_and_no_other_is_documented(message: type[msgspec.Struct]) -> None:
    text = section(DOCS / "protocol.md", f"### `{message.__struct_config__.tag}`")
    documented = {
        name
        for cells in rows(text)
        if cells[0].startswith("`") and cells[0].count("`") >= 2
        for name in re.findall(r"`([^`]+)`", cells[0])
    }
    assert documented == set(fields_of(message))


def test_every_way_in_which_an_utterance_ends_and_an_engine_is_lost_is_documented() -> None:
    ends = code_words(section(DOCS / "protocol.md", "### `utterance_end`"))
    assert {reason.value for reason in EndReason} - {"silence_without_speech"} <= ends
    told = {reason.value for reason in (*LossReason, *MoveReason)} - {LossReason.slow.value}  # `engine_slow` to clients
    assert told <= code_words(section(DOCS / "protocol.md", "### `migrated`"))


def test_every_encoding_and_no_other_is_documented() -> None:
    assert set(named_rows(section(DOCS / "audio.md", "## Formats"))) - {"audio.encoding"} == {
        encoding.value for encoding in AudioEncoding
    }
