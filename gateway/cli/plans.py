"""`patchbay plans`: check a plans file, show it, and explain what holds for one caller and why."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.cli.exit_codes import ExitCode
from gateway.cli.plan_rows import FIELDS, Row, override_rows, plan_rows, rows_of
from gateway.limits.plans_file import PlansRefused, Reading, built_in_plans, read_plans
from policies.facts import Caller
from policies.plan_book import UnknownPlan, key_pseudonym

if TYPE_CHECKING:
    from policies.plan_book import PlanBook

app = typer.Typer(help="Check, show and explain plans and their limits.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="Plans file (TOML).")]
FileOrBuiltIn = Annotated[Path | None, typer.Argument(help="Plans file (TOML); default: the built-in plan.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def validate(file: File, as_json: AsJson = False) -> None:
    """Say every mistake in a plans file; exit 64 if there is one. Warnings do not count."""
    reading = _read(file, as_json=as_json)
    book, warnings = reading.book, [str(warning) for warning in reading.warnings]
    if as_json:
        print(
            json.dumps(
                {
                    "rating_version": book.rating_version,
                    "plans": list(book.plans),
                    "orgs": len(book.orgs),
                    "warnings": warnings,
                }
            )
        )
        return
    for warning in warnings:
        sys.stderr.write(f"warning: {warning}\n")
    print(
        f"the plans are good: {_number(len(book.plans), 'plan')}, {_number(len(book.orgs), 'org')}, "
        f"rating version {book.rating_version}"
    )


@app.command()
def show(file: FileOrBuiltIn = None, as_json: AsJson = False) -> None:
    """Show what each plan grants, and what orgs, projects and keys change."""
    book = _book(file, as_json=as_json)
    plans, overrides = plan_rows(book), override_rows(book)
    if as_json:
        print(
            json.dumps(
                {
                    "rating_version": book.rating_version,
                    "default_plan": book.default_plan,
                    "fallback_plan": book.fallback_plan,
                    "plans": {name: {row.field: row.value for row in rows} for name, rows in plans.items()},
                    "overrides": [_plain(row) for row in overrides],
                }
            )
        )
        return
    console = Console()
    table = Table("", *(escape(name) for name in plans), title=f"rating version {book.rating_version}")
    values = [{row.field: row.value for row in rows} for rows in plans.values()]
    for field in FIELDS:
        if any(field in of_plan for of_plan in values):
            table.add_row(f"[bold]{field}", *(_shown(of_plan.get(field, "")) for of_plan in values))
    console.print(table)
    if overrides:
        _print_rows(console, overrides, "what is changed")


@app.command()
def explain(
    tenant: Annotated[str, typer.Option(help="The token's tenant: the org.")],
    file: FileOrBuiltIn = None,
    project: Annotated[str, typer.Option(help="The token's project.")] = "",
    key: Annotated[str, typer.Option(help="The token's subject.")] = "",
    plan: Annotated[str, typer.Option(help="The plan that the token names.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show what holds for one caller, and which place of the file says each value; exit 77 if he would be refused."""
    book = _book(file, as_json=as_json)
    said = book.explain(Caller(tenant, project, key, plan, frozenset(), "", 0))
    if isinstance(said, UnknownPlan):
        named = f"the plan {plan} is not known" if plan else "the token names no plan, and there is no default_plan"
        sys.stderr.write(f"unknown_plan: {named}\n")
        raise typer.Exit(ExitCode.not_permitted)
    rows = rows_of(said)
    if as_json:
        principal = {"org": tenant, "project": project, "key": key_pseudonym(key)}
        print(
            json.dumps(
                {
                    "rating_version": book.rating_version,
                    "principal": principal,
                    "values": [_plain(row) for row in rows],
                }
            )
        )
        return
    title = " ".join(part for part in (tenant, project, key) if part)
    _print_rows(Console(), rows, f"{title}, rating version {book.rating_version}")


def _read(file: Path, *, as_json: bool) -> Reading:
    try:
        return read_plans(file)
    except PlansRefused as refused:
        mistakes = [str(mistake) for mistake in refused.mistakes]
        if as_json:
            print(json.dumps({"mistakes": mistakes}))
        for mistake in mistakes:
            sys.stderr.write(f"wrong plan: {mistake}\n")
        raise typer.Exit(ExitCode.usage) from None


def _book(file: Path | None, *, as_json: bool) -> PlanBook:
    return built_in_plans() if file is None else _read(file, as_json=as_json).book


def _print_rows(console: Console, rows: list[Row], title: str) -> None:
    table = Table(title=escape(title))
    for name in ("limit or rule", "value", "said by"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(f"[bold]{row.field}", _shown(row.value), escape(row.place))
    console.print(table)


def _plain(row: Row) -> dict[str, str | int | bool]:
    return {"field": row.field, "value": row.value, "place": row.place}


def _shown(value: str | int | bool) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else escape(str(value))


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
