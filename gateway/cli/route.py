"""`patchbay route`: where a caller would be placed now, and why not elsewhere, by a running gateway's live facts."""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from gateway.cli.exit_codes import ExitCode
from gateway.dev_keys import state_directory
from gateway.running_regions import newest

app = typer.Typer(help="Where sessions are placed, and why.", no_args_is_help=True)

_ADMIN_PATH = "/v1/route/explain"
_TIMEOUT_S = 5.0
_MAX_ANSWER_BYTES = 4_194_304
_PARTS = {"rtt": "round trip", "rtt_prior": "round trip", "queueing": "queueing", "spot": "spot", "cost": "cost"}
_COLUMNS = tuple(dict.fromkeys(_PARTS.values()))
_ASKED = ("tenant", "profile", "tier", "model", "language")
_BAD_REQUEST = 400


@app.callback()
def route() -> None:
    """Where sessions are placed, and why."""


@app.command()
def explain(
    tenant: Annotated[str, typer.Option(help="Whose session.")] = "",
    profile: Annotated[str, typer.Option(help="Residency profile of his token; none: the default one.")] = "",
    project: Annotated[str, typer.Option(help="Project within the tenant; asked of a policy bundle.")] = "",
    subject: Annotated[str, typer.Option(help="Country of whoever speaks; asked of a policy bundle.")] = "",
    data_class: Annotated[str, typer.Option(help="What is spoken about; asked of a policy bundle.")] = "",
    from_: Annotated[
        str,
        typer.Option(
            "--from",
            help="Seen from a region, a country, `latitude,longitude` or an IP address. Default: from the gateway.",
        ),
    ] = "",
    tier: Annotated[str, typer.Option(help="premium, standard or economy.")] = "standard",
    model: Annotated[str, typer.Option(help="Model that is asked for.")] = "",
    language: Annotated[str, typer.Option(help="Language that is asked for, BCP 47.")] = "",
    admin_url: Annotated[
        str, typer.Option(help="Where the gateway serves its metrics. Default: the region that runs here.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say where a session would be placed now, and why each other region is out.

    Exits with 0 where there is a place, 69 where there is none now or the gateway cannot be asked, 77 where the caller
    may not be served there at all, 64 where the question is wrong.
    """
    question = {
        "tenant": tenant,
        "profile": profile,
        "project": project,
        "subject": subject,
        "data_class": data_class,
        "from": from_,
        "tier": tier,
        "model": model,
        "language": language,
    }
    answer = _ask(admin_url or _running_here(), {name: value for name, value in question.items() if value})
    if as_json:
        print(json.dumps(answer))
    else:
        _show(Console(), answer)
    if answer.get("refused"):
        raise typer.Exit(ExitCode.not_permitted)
    if answer.get("chosen") is None:
        raise typer.Exit(ExitCode.unavailable)


def _running_here() -> str:
    region = newest(state_directory(os.environ))
    if region is None or "metrics" not in region:
        _fail("no region runs here: say with --admin-url where its metrics are", ExitCode.usage)
    return str(region["metrics"])


def _ask(admin_url: str, question: dict[str, str]) -> dict[str, Any]:
    base = admin_url.rstrip("/").removesuffix("/metrics")
    if urllib.parse.urlsplit(base).scheme not in ("http", "https"):
        _fail("--admin-url must begin with http:// or https://", ExitCode.usage)
    url = f"{base}{_ADMIN_PATH}?{urllib.parse.urlencode(question)}"
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:
            answer = json.loads(response.read(_MAX_ANSWER_BYTES))
    except urllib.error.HTTPError as error:
        if error.code == _BAD_REQUEST:
            _fail(_why(error), ExitCode.usage)
        _fail(f"the gateway answers {error.code}: is this its admin listener?", ExitCode.protocol_broken)
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError):
            _fail("the gateway's answer cannot be read", ExitCode.protocol_broken)
        _fail(f"the gateway cannot be asked: {getattr(error, 'reason', error)}", ExitCode.unavailable)
    if not isinstance(answer, dict) or "candidates" not in answer:
        _fail("the gateway's answer cannot be read", ExitCode.protocol_broken)
    return answer


def _why(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read(_MAX_ANSWER_BYTES))["error"])
    except (OSError, ValueError, KeyError, TypeError):
        return "the gateway did not understand the question"


def _fail(text: str, code: ExitCode) -> NoReturn:
    sys.stderr.write(f"{text}\n")
    raise typer.Exit(code)


def _show(console: Console, answer: dict[str, Any]) -> None:
    console.print(_headline(answer), soft_wrap=True, markup=False)
    asked = ", ".join(f"{name} {answer[name]}" for name in _ASKED if answer.get(name))
    permitted = ", ".join(answer["permitted"]) or "no region"
    console.print(f"{asked}; seen from {answer['seen_from']}; permitted: {permitted}", soft_wrap=True, markup=False)
    if answer.get("classes"):
        console.print(f"slots there: {', then '.join(answer['classes'])}", soft_wrap=True, markup=False)
    if answer["candidates"]:
        console.print(_candidates(answer))
    if answer["ruled_out"]:
        console.print(_ruled_out(answer))
    if "snapshot_age_ms" in answer:
        console.print(f"facts {answer['snapshot_age_ms']} ms old; milliseconds, lower is better", style="dim")


def _headline(answer: dict[str, Any]) -> str:
    refused = answer.get("refused")
    if refused:
        return f"refused by {answer['here']}: {refused['reason']}: {refused['detail']}"
    if answer["chosen"] is None:
        return f"nowhere now: {answer.get('refusal') or 'no region'}"
    kept = ", where it is" if answer.get("kept_current") else ""
    return f"in {answer['chosen']}{kept}"


def _candidates(answer: dict[str, Any]) -> Table:
    table = _table("", "region", "score", *_COLUMNS, "free slots", "report")
    for place, candidate in enumerate(answer["candidates"], 1):
        parts = dict.fromkeys(_COLUMNS, "")
        for name, value in candidate["parts_ms"].items():
            column = _PARTS.get(name)
            if column is not None:
                parts[column] = f"~{value:.1f}" if name == "rtt_prior" else f"{value:.1f}"
        table.add_row(
            str(place),
            f"{candidate['region']}, spills" if candidate.get("is_spilling") else candidate["region"],
            f"{candidate['score_ms']:.1f}",
            *(parts[column] for column in _COLUMNS),
            str(candidate["free_slots"]),
            _age(candidate.get("age_ms")),
        )
    return table


def _ruled_out(answer: dict[str, Any]) -> Table:
    table = _table("out", "why", "report")
    rules = answer.get("rules_against", {})
    for region in answer["ruled_out"]:
        why = region["reason"].replace("_", " ")
        if region["region"] in rules:
            why += f": {', '.join(rules[region['region']]) or 'no rule permits it'}"
        table.add_row(region["region"], why, _age(region.get("age_ms")))
    return table


def _table(*columns: str) -> Table:
    """Narrow, and what does not fit goes on below instead of being cut off."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def _age(age_ms: int | None) -> str:
    return "none" if age_ms is None else f"{age_ms / 1_000:.1f} s ago"
