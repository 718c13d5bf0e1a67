"""The commands by which operators empty a region, a pool or an engine, and take that back: the same for all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from gateway.cli.admin_client import AdminClient, AdminRefused, failed
from gateway.cli.engine_admin import EngineRefused, engine_address
from gateway.cli.exit_codes import ExitCode
from gateway.cli.order_shown import find_order, instant, show_plan, state_words, target_name
from gateway.cli.order_watch import Watching

if TYPE_CHECKING:
    from collections.abc import Callable

Name = Annotated[str, typer.Argument(help="Its name; of an engine its address, instance or number.")]
Why = Annotated[str, typer.Option(help="Why; it is kept with the order and in the audit log.")]
AdminUrl = Annotated[str, typer.Option(help="Where a gateway serves its metrics. Default: the region that runs here.")]
Token = Annotated[
    str,
    typer.Option(
        envvar="PATCHBAY_OPERATOR_TOKEN", show_envvar=False, help="Operator's token; better in PATCHBAY_OPERATOR_TOKEN."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON; nothing is shown while it lasts.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and change nothing.")]
Watch = Annotated[bool, typer.Option(help="Wait, and show how far it is, until it is empty.")]
Pace = Annotated[int, typer.Option(help="Sessions to move in a second; 0: as fast as it goes.", min=0, max=10_000)]
Within = Annotated[int, typer.Option(help="Seconds after which it should be empty.", min=1, max=86_400)]
WithClients = Annotated[
    bool, typer.Option("--with-clients", help="Clients of the region's gateways are sent elsewhere too.")
]


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is asked for, as typed."""

    scope: str
    kind: str
    name: str
    reason: str
    pace: int
    within_s: int
    with_clients: bool = False


@dataclass(frozen=True, slots=True)
class _Manner:
    """How it is asked."""

    admin_url: str
    token: str
    dry_run: bool
    watch: bool
    as_json: bool


def add_order_commands(app: typer.Typer, scope: str) -> None:
    """`scope`: region, pool or engine."""
    app.command("drain", help=_DRAIN.format(scope))(_ordering(scope, "drain"))
    app.command("disable", help=_DISABLE.format(scope))(_ordering(scope, "disable"))
    app.command("undrain", help=_UNDRAIN.format(scope))(_undraining(scope))
    app.command("stop", help=_STOP.format(scope))(_acting(scope, "stop"))
    app.command("resume", help=_RESUME.format(scope))(_resuming(scope, "resume"))
    app.command("confirm", help=_CONFIRM.format(scope))(_resuming(scope, "confirm"))
    app.command("watch", help=_WATCH.format(scope))(_watching(scope))


_DRAIN = "Empty a {}: nothing new, and what is there moves away. Undo it with `undrain`."
_DISABLE = "Empty a {} at once: nothing new, and what is there has to go, wherever that is. Undo it with `undrain`."
_UNDRAIN = "Take back what was ordered of a {}: it takes sessions again."
_STOP = "Move nobody more out of a {}; nothing new comes to it all the same."
_RESUME = "Go on emptying a {} that was stopped."
_CONFIRM = "Confirm, as a second person, what another one ordered of a {}."
_WATCH = "Show how far the emptying of a {} is, until it is empty."


def _ordering(scope: str, kind: str) -> Callable[..., None]:
    def order(
        name: Name,
        reason: Why = "",
        dry_run: DryRun = False,
        watch: Watch = True,
        pace: Pace = 0,
        within: Within = 60,
        token: Token = "",
        admin_url: AdminUrl = "",
        as_json: AsJson = False,
    ) -> None:
        wish = _Wish(scope, kind, name, reason, pace, within)
        _give(wish, _Manner(admin_url, token, dry_run, watch, as_json))

    def order_region(
        name: Name,
        reason: Why = "",
        dry_run: DryRun = False,
        watch: Watch = True,
        pace: Pace = 0,
        within: Within = 60,
        with_clients: WithClients = False,
        token: Token = "",
        admin_url: AdminUrl = "",
        as_json: AsJson = False,
    ) -> None:
        wish = _Wish(scope, kind, name, reason, pace, within, with_clients)
        _give(wish, _Manner(admin_url, token, dry_run, watch, as_json))

    return order_region if scope == "region" else order


def _give(wish: _Wish, manner: _Manner) -> None:
    try:
        if not wish.reason and not manner.dry_run:
            raise AdminRefused("say why with --reason: it is kept with the order and in the audit log", ExitCode.usage)
        client = AdminClient(manner.admin_url, manner.token)
        name = resolved(wish.scope, wish.name)
        body: dict[str, Any] = {
            "scope": wish.scope,
            "kind": wish.kind,
            "reason": wish.reason,
            "pace_per_s": wish.pace,
            "within_ms": wish.within_s * 1_000,
            "with_clients": wish.with_clients,
            "dry_run": manner.dry_run,
        }
        body |= {"region": name} if wish.scope == "region" else {"name": name}
        answer = client.post("/v1/orders", body)
        if manner.dry_run:
            _show_dry_run(answer["plan"], as_json=manner.as_json)
            return
        _follow(client, wish.scope, answer, watch=manner.watch, as_json=manner.as_json)
    except AdminRefused as refused:
        failed(refused)


def _show_dry_run(plan: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(plan))
    else:
        show_plan(Console(), plan)
    if not plan["suffices"]:
        raise typer.Exit(ExitCode.not_yet)


def _follow(client: AdminClient, scope: str, answer: dict[str, Any], *, watch: bool, as_json: bool) -> None:
    """Say what an act came to; watch what is in force."""
    order, outcome = answer["order"], answer["outcome"]
    name = target_name(order)
    if outcome == "pending":
        if as_json:
            print(json.dumps(answer))
        else:
            _say_pending(scope, name, answer)
        raise typer.Exit(ExitCode.not_yet)
    if not as_json:
        already = "already " if outcome == "already" else ""
        print(f"{name} is {already}{state_words(order)} (order {order['id']})")
    if not watch or order["state"] != "in_force":
        if as_json:
            print(json.dumps(answer))
        elif order["state"] == "in_force":
            print(f"  to watch it: patchbay {scope} watch {name}    to undo it: patchbay {scope} undrain {name}")
        return
    code, seen = Watching(client, scope, is_shown=not as_json).until_empty(order)
    if as_json:
        print(json.dumps(answer | {"order": seen}))
    if code is not ExitCode.ok:
        raise typer.Exit(code)


def _say_pending(scope: str, name: str, answer: dict[str, Any]) -> None:
    order = answer["order"]
    left = ", ".join(answer.get("needs_second_person_for", [])) or "a jurisdiction"
    print(f"NOTHING HAPPENS YET: this would leave {left} without a region, so a second person has to confirm it.")
    print(f"  somebody else, with a token of their own:  patchbay {scope} confirm {name}")
    if order["expires_at_unix_ms"]:
        print(f"  until:                                     {instant(order['expires_at_unix_ms'])}")
    print(f"  to take it back:                           patchbay {scope} undrain {name}")


def _undraining(scope: str) -> Callable[..., None]:
    def undrain(
        name: Name, reason: Why = "", token: Token = "", admin_url: AdminUrl = "", as_json: AsJson = False
    ) -> None:
        try:
            client = AdminClient(admin_url, token)
            order = _find(client, scope, name)
            if order is None:
                _say_nothing_to_undo(client, scope, name, as_json=as_json)
                return
            answer = client.post(f"/v1/orders/{order['id']}/withdraw", {"reason": reason})
            if as_json:
                print(json.dumps(answer))
                return
            other = _other_order(client, scope, resolved(scope, name))
        except AdminRefused as refused:
            failed(refused)
        if other:
            print(f"{name} still takes no sessions: order {other} holds it too (order {order['id']} withdrawn)")
            return
        print(f"{name} takes sessions again; what has moved stays where it is (order {order['id']} withdrawn)")

    return undrain


def _other_order(client: AdminClient, scope: str, name: str) -> str:
    """Which one still holds a pool or an engine; empty: none does, or it is a region."""
    if scope == "region":
        return ""
    states = {order["id"]: order["state"] for order in client.get("/v1/orders")["orders"]}
    for row in client.get(f"/v1/{scope}s")[f"{scope}s"]:
        if name in _names(row):
            return row["order"] if states.get(row["order"], "pending") != "pending" else ""
    return ""


def _say_nothing_to_undo(client: AdminClient, scope: str, name: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"outcome": "already", "order": None}))
        return
    print(f"nothing was ordered of {name}: there is nothing to undo")
    if scope == "region":
        for region in client.get("/v1/regions")["regions"]:
            if region["name"] == name and region["state"] != "active":
                print(f"it is {region['state']} by its catalog, or because it says so itself")


def _acting(scope: str, act: str) -> Callable[..., None]:
    def do(name: Name, reason: Why = "", token: Token = "", admin_url: AdminUrl = "", as_json: AsJson = False) -> None:
        try:
            client = AdminClient(admin_url, token)
            order = _must_find(client, scope, name)
            answer = client.post(f"/v1/orders/{order['id']}/{act}", {"reason": reason})
        except AdminRefused as refused:
            failed(refused)
        if as_json:
            print(json.dumps(answer))
            return
        print(f"{name}: {state_words(answer['order'])}")
        print(f"  to go on: patchbay {scope} resume {name}    to undo it: patchbay {scope} undrain {name}")

    return do


def _resuming(scope: str, act: str) -> Callable[..., None]:
    def do(
        name: Name,
        reason: Why = "",
        watch: Watch = True,
        token: Token = "",
        admin_url: AdminUrl = "",
        as_json: AsJson = False,
    ) -> None:
        try:
            client = AdminClient(admin_url, token)
            order = _must_find(client, scope, name)
            if act == "confirm" and not as_json and order["state"] == "pending":
                print(f"{order['given_by']} ordered: {order['kind']} {name}, because: {order['reason']}")
            answer = client.post(f"/v1/orders/{order['id']}/{act}", {"reason": reason})
            _follow(client, scope, answer, watch=watch, as_json=as_json)
        except AdminRefused as refused:
            failed(refused)

    return do


def _watching(scope: str) -> Callable[..., None]:
    def watch(name: Name, admin_url: AdminUrl = "", as_json: AsJson = False) -> None:
        try:
            client = AdminClient(admin_url)
            order = _must_find(client, scope, name)
            if order["state"] == "pending":
                if not as_json:
                    _say_pending(scope, name, {"order": order})
                raise typer.Exit(ExitCode.not_yet)
            code, seen = Watching(client, scope, is_shown=not as_json).until_empty(order)
        except AdminRefused as refused:
            failed(refused)
        if as_json:
            print(json.dumps(seen))
        if code is not ExitCode.ok:
            raise typer.Exit(code)

    return watch


def _find(client: AdminClient, scope: str, name: str) -> dict[str, Any] | None:
    said = client.get("/v1/orders")
    meant = resolved(scope, name)
    found = find_order(said["orders"], scope, meant if scope == "region" else said["here"], meant)
    if found is None and scope == "engine":  # it may have been ordered by its other name
        rows = client.get("/v1/engines")["engines"]
        others = {other for row in rows if meant in _names(row) for other in _names(row)} - {"", meant}
        found = next(filter(None, (find_order(said["orders"], scope, said["here"], other) for other in others)), None)
    return found


def _names(row: dict[str, Any]) -> tuple[str, ...]:
    """Of an engine or a pool."""
    return tuple(row[field] for field in ("name", "address", "instance") if row.get(field))


def _must_find(client: AdminClient, scope: str, name: str) -> dict[str, Any]:
    order = _find(client, scope, name)
    if order is None:
        raise AdminRefused(f"nothing is ordered of {name}; `patchbay {scope} list` shows what is", ExitCode.no_input)
    return order


def resolved(scope: str, name: str) -> str:
    """An engine of the region that runs here may be called by its number."""
    if scope != "engine" or not name.isdecimal():
        return name
    try:
        return engine_address(name)
    except EngineRefused as refused:
        raise AdminRefused(str(refused), refused.exit_code) from None
