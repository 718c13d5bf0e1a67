"""`patchbay token revoke` and `patchbay token revocations`: what operators decide about tokens, kept in Redis."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from gateway.admission.revocation_log import BEGINNING, LogFull, RevocationLog
from gateway.admission.revocations import Revocation, Revocations, Undone, jti_scope, subject_scope, tenant_scope
from gateway.admission.settings import RevocationSettings, TokenSettings
from gateway.cli.exit_codes import ExitCode
from gateway.dev_keys import state_directory
from gateway.redis_link.client import RedisLink
from gateway.redis_link.errors import RedisAway
from gateway.redis_link.settings import RedisSettings
from gateway.running_regions import newest
from gateway.settings import SettingsRefused, read_tree

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.admission.revocations import Scope

Result = TypeVar("Result")
_MOST_LEEWAY_S = 300
"""A token may be accepted for so long after its `exp`: the greatest `tokens.leeway_s`."""
_SHOWN_HASH_CHARS = 12

app = typer.Typer(help="Revocations of tokens that stand in this region.", no_args_is_help=True)

ConfigOption = Annotated[
    Path | None, typer.Option(help="Settings file of the gateway; default: the region that `patchbay up` runs here.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class _Refused(Exception):
    """What was asked cannot be done as it was asked."""

    def __init__(self, text: str, code: ExitCode) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class _Place:
    """Where revocations are kept, and for how long at most."""

    redis: RedisSettings
    max_life_s: int
    max_entries: int


def revoke(
    jti: Annotated[str, typer.Option(help="The one token of this name (its claim `jti`).")] = "",
    subject: Annotated[str, typer.Option(help="The tokens of this `sub`, with --tenant.")] = "",
    tenant: Annotated[str, typer.Option(help="The tokens of this tenant, or of its --subject.")] = "",
    issued_before: Annotated[
        str, typer.Option(help="Only tokens issued until then; default: now. `2026-01-31T12:00:00Z`, or Unix seconds.")
    ] = "",
    until: Annotated[
        str, typer.Option(help="When the revocation ends; default: when the last of the tokens has expired.")
    ] = "",
    note: Annotated[str, typer.Option(help="Why; `revocations list` shows it.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Revoke tokens: new sessions are refused and running ones end within 5 s, on every gateway of the region."""

    async def work(records: RevocationLog, place: _Place) -> Revocation:
        now_s = await records.now_s()
        covered_s = now_s if not issued_before else _instant_s(issued_before, "--issued-before")
        if covered_s > now_s:
            raise _Refused("--issued-before must not lie in the future", ExitCode.usage)
        longest_s = (now_s if jti else covered_s) + place.max_life_s + _MOST_LEEWAY_S
        until_s = longest_s if not until else _instant_s(until, "--until")
        if not now_s < until_s <= longest_s:
            raise _Refused(f"--until must lie after now, and not after {_shown_instant(longest_s)}", ExitCode.usage)
        # One token is named as such, whenever it was issued.
        made = Revocation(
            secrets.token_hex(8), _scope(jti, subject, tenant), until_s if jti else covered_s, until_s, now_s, note
        )
        await records.append([made])
        return made

    _check_what_is_meant(jti, subject, tenant, issued_before, note)
    made = _with_log(config, work)
    if as_json:
        print(json.dumps(_as_dict(made)))
    else:
        print(f"{made.id}: revoked {_shown_scope(made.scope)}, until {_shown_instant(made.until_s)}")


@app.command("list")
def list_them(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the revocations in force."""

    async def work(records: RevocationLog, _place: _Place) -> list[Revocation]:
        return list((await _standing(records))[0])

    found = sorted(_with_log(config, work), key=lambda one: one.made_at_s)
    if as_json:
        print(json.dumps([_as_dict(one) for one in found]))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("id", "revokes", "issued until", "ends", "note"):
        table.add_column(column)
    for one in found:
        covers = "" if one.scope[0] == "jti" else _shown_instant(one.issued_before_s)
        table.add_row(one.id, _shown_scope(one.scope), covers, _shown_instant(one.until_s), one.note)
    Console().print(table if found else "no revocations stand")


@app.command("undo")
def undo(
    revocation: Annotated[str, typer.Argument(help="Its id, as `revoke` and `list` show it.")],
    config: ConfigOption = None,
) -> None:
    """Undo a revocation: its tokens hold again until they expire. Sessions that ended stay ended."""

    async def work(records: RevocationLog, _place: _Place) -> None:
        standing, _ = await _standing(records)
        for one in standing:
            if one.id == revocation:
                await records.append([Undone(one.id, one.until_s)])
                return
        raise _Refused(f"no revocation {revocation} stands", ExitCode.data_rejected)

    _with_log(config, work)
    print(f"{revocation}: undone")


def _with_log(config: Path | None, work: Callable[[RevocationLog, _Place], Awaitable[Result]]) -> Result:
    """Do it with the region's revocations; ends the command with what is wrong."""

    async def connected() -> Result:
        place = _place(config)
        link = RedisLink(place.redis, client_name="patchbay-token")
        try:
            return await work(RevocationLog(link, max_life_s=place.max_life_s, max_entries=place.max_entries), place)
        finally:
            await link.aclose()

    try:
        return asyncio.run(connected())
    except _Refused as refused:
        _fail(str(refused), refused.code)
    except LogFull as full:
        _fail(str(full), ExitCode.data_rejected)
    except SettingsRefused as refused:
        _fail("\n".join(refused.mistakes), ExitCode.usage)
    except RedisAway as away:
        _fail(f"Redis cannot be asked: {away}", ExitCode.unavailable)


async def _standing(records: RevocationLog) -> tuple[Revocations, int]:
    """What is in force by Redis's clock, and what time it is there."""
    standing, now_s = Revocations(), await records.now_s()
    place, is_last = BEGINNING, False
    while not is_last:
        page = await records.after(place)
        place, is_last = page.through, page.is_last
        for news in page.news:
            standing.take(news, now_s=now_s)
    return standing, now_s


def _place(config: Path | None) -> _Place:
    """From the settings, or from the note of the region that runs here. Raises _Refused and SettingsRefused."""
    tree = read_tree(config, os.environ)
    redis = _part(tree, "limits").get("redis")
    if redis is None and config is None:
        note = newest(state_directory(os.environ)) or {}
        redis = {"urls": [note["redis"]]} if note.get("redis") else None
    if redis is None:
        raise _Refused(
            "no Redis: give the gateway's settings with --config, or set PATCHBAY__LIMITS__REDIS__URLS", ExitCode.usage
        )
    tokens = _part(tree, "tokens")
    try:
        return _Place(
            RedisSettings.model_validate(redis),
            int(tokens.get("max_life_s", TokenSettings.model_fields["max_life_s"].default)),
            RevocationSettings.model_validate(_part(tokens, "revocations")).max_entries,
        )
    except (ValidationError, ValueError, TypeError):
        raise _Refused(
            "limits.redis or tokens is not as it must be: see `patchbay config check`", ExitCode.usage
        ) from None


def _part(tree: dict[str, Any], name: str) -> dict[str, Any]:
    part = tree.get(name)
    return part if isinstance(part, dict) else {}


def _check_what_is_meant(jti: str, subject: str, tenant: str, issued_before: str, note: str) -> None:
    if bool(jti) == bool(tenant) or (subject and not tenant):
        _fail("give --jti, or --tenant, or --tenant and --subject", ExitCode.usage)
    if jti and issued_before:
        _fail("--issued-before is for --tenant and --subject: --jti names one token", ExitCode.usage)
    if len(note) > 200 or not note.isprintable():
        _fail("--note must be a printable text of at most 200 characters", ExitCode.usage)


def _scope(jti: str, subject: str, tenant: str) -> Scope:
    if jti:
        return jti_scope(jti)
    return subject_scope(tenant, subject) if subject else tenant_scope(tenant)


def _instant_s(text: str, option: str) -> int:
    """Unix seconds, or ISO 8601 with a zone."""
    try:
        if text.isdecimal():
            return int(text)
        instant = datetime.datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise _Refused(f"{option}: expected Unix seconds, or an instant like 2026-01-31T12:00:00Z", ExitCode.usage)
    return int(instant.timestamp())


def _shown_instant(at_s: int) -> str:
    return datetime.datetime.fromtimestamp(at_s, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _shown_scope(scope: Scope) -> str:
    match scope:
        case ("jti", digest):
            return f"token {digest[:_SHOWN_HASH_CHARS]}"
        case ("subject", tenant, digest):
            return f"subject {digest[:_SHOWN_HASH_CHARS]} of {tenant}"
        case _:
            return f"tenant {scope[-1]}"


def _as_dict(one: Revocation) -> dict[str, Any]:
    kind, *names = one.scope
    return {
        "id": one.id,
        "kind": kind,
        "names": names,
        "issued_before": _shown_instant(one.issued_before_s),
        "until": _shown_instant(one.until_s),
        "made_at": _shown_instant(one.made_at_s),
        "note": one.note,
    }


def _fail(text: str, code: ExitCode) -> NoReturn:
    sys.stderr.write(f"{text}\n")
    raise typer.Exit(code) from None
