"""`patchbay policy matrix`: who may be processed where."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.cli.policy.bundle import bundle_in, fail, instant_of, now_s
from gateway.cli.policy.document import Document, Heading, Paragraph, Table
from gateway.cli.policy.formats import Format, csv_text, give
from gateway.cli.policy.words import bundle_json, bundle_words, date, values_words
from policies.residency.bundles.instants import text_of
from policies.residency.review.matrix import MEANINGS, Matrix, MatrixAsked, matrices
from policies.residency.vocabulary import Action, DataClass, LegalBasis
from policies.routing_facts import CapacityClass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.residency.bundles.bundle import Bundle
    from policies.residency.review.matrix import MatrixCell
    from policies.residency.review.question_space import Who

UNKNOWN_COUNTRY = "unknown"
_COUNTRY = re.compile(r"[A-Z]{2}")
_NUMBERED_FROM = 9
"""Regions of which the heads of columns are numbers: more do not fit beside each other."""


def matrix(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    action: Annotated[
        list[Action] | None, typer.Option(help="What is done; default: process. May be given several times.")
    ] = None,
    data_class: Annotated[
        list[DataClass] | None, typer.Option(help="What is spoken about; default: as the project says, else personal.")
    ] = None,
    capacity: Annotated[CapacityClass | None, typer.Option(help="Only this class of machines; default: both.")] = None,
    subject: Annotated[
        list[str] | None,
        typer.Option(
            help="Country of the speaker (several: he is in all), or unknown. Default: everybody who is known."
        ),
    ] = None,
    consent: Annotated[
        bool | None, typer.Option(help="Whether the speaker consented; default: where the profile asks for it.")
    ] = None,
    legal_basis: Annotated[LegalBasis, typer.Option(help="Legal basis.")] = LegalBasis.unstated,
    break_glass: Annotated[bool, typer.Option("--break-glass", help="With an emergency permission.")] = False,
    project: Annotated[str, typer.Option(help="Only callers of this project, ORG/PROJECT.")] = "",
    at: Annotated[str, typer.Option(help="At which instant, such as 2027-06-30; default: now.")] = "",
    rules: Annotated[bool, typer.Option(help="Say the deciding rules.")] = False,
    form: Annotated[Format, typer.Option("--format", help="How to write it.")] = Format.table,
    out: Annotated[Path | None, typer.Option(help="Write it to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show who may do what where, at one instant.

    Exit codes: 0 shown; 64 the bundle or the command line is wrong; 66 no such folder or project.
    """
    read = bundle_in(bundle, as_json=as_json)
    row = read.projects.get(project)
    if project and row is None:
        fail(f"the bundle has no project {project}", ExitCode.no_input)
    default_class = DataClass.personal if row is None or row.data_class is None else row.data_class
    countries = None if subject is None else countries_of(subject)
    if countries is None and row is not None and row.subject_country:
        countries = frozenset({row.subject_country})
    found = matrices(
        read,
        at_s=instant_of(at) if at else now_s(),
        actions=action or [Action.process],
        asked=[
            MatrixAsked(each, capacity, countries, consent, legal_basis, break_glass, project)
            for each in data_class or [default_class]
        ],
    )
    tables = [*found]
    if as_json:
        give(json.dumps({"bundle": bundle_json(read), "matrices": [_matrix_json(each) for each in tables]}) + "\n", out)
    elif form is Format.csv:
        give(_csv(tables), out)
    else:
        form.write(_document(read, tables, has_rules=rules), out)


def countries_of(said: list[str]) -> frozenset[str]:
    """Two capital letters each; `unknown` alone is none. What is wrong ends the command."""
    if said == [UNKNOWN_COUNTRY]:
        return frozenset()
    for country in said:
        if not _COUNTRY.fullmatch(country):
            fail(f"--subject {country}: say a country as two capital letters, such as DE", ExitCode.usage)
    return frozenset(said)


def _document(bundle: Bundle, tables: list[Matrix], *, has_rules: bool) -> Document:
    blocks: list[Heading | Paragraph | Table] = [Paragraph(f"{bundle_words(bundle)}, at {text_of(tables[0].at_s)}")]
    used = {cell.mark for table in tables for cell in table.cells.values()}
    for table in tables:
        blocks += [Heading(f"{table.action}, {table.data_class} data"), *_grid(table)]
        noted = tuple(_notes(table))
        if noted:
            blocks += [Paragraph("Allowed only:"), Table(("who", "region", "for"), noted)]
        if has_rules:
            blocks += [Paragraph("Decided by:"), Table(("who", "regions", "", "rules"), tuple(_rule_rows(table)))]
    legend = ", ".join(f"{mark.value} {said}" for mark, said in MEANINGS.items() if mark in used)
    return Document("Who may go where", (*blocks, Paragraph(""), Paragraph(legend)))


def _grid(table: Matrix) -> Iterator[Table | Paragraph]:
    is_numbered = len(table.regions) > _NUMBERED_FROM
    heads = [str(number) for number, _ in enumerate(table.regions, 1)] if is_numbered else [*table.regions]
    if is_numbered:
        yield Paragraph("; ".join(f"{number} {region}" for number, region in zip(heads, table.regions, strict=True)))
    rows = tuple((who.name, *(table.cells[who, region].mark.value for region in table.regions)) for who in table.whos)
    yield Table(("", *heads), rows)


def _notes(table: Matrix) -> Iterator[tuple[str, str, str]]:
    """Where it depends on the speaker."""
    for who in table.whos:
        for region in table.regions:
            cell = table.cells[who, region]
            if cell.mark.name == "depends":
                yield (who.name, region, _allowed_words(table, cell))


def _allowed_words(table: Matrix, cell: MatrixCell) -> str:
    return " or ".join(values_words({**table.every, **values}, table.every) for values in cell.allowed)


def _rule_rows(table: Matrix) -> Iterator[tuple[str, str, str, str]]:
    for who in table.whos:
        alike: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        for region in table.regions:
            cell = table.cells[who, region]
            alike.setdefault((cell.mark.value, cell.rules), []).append(region)
        for (mark, rules), regions in alike.items():
            yield (who.name, ", ".join(regions), mark, ", ".join(rules) or "none")


def _flat(tables: list[Matrix]) -> Iterator[tuple[Matrix, Who, str, MatrixCell]]:
    for table in tables:
        for (who, region), cell in table.cells.items():
            yield table, who, region, cell


def _csv(tables: list[Matrix]) -> str:
    columns = ("action", "data class", "profile", "who", "region", "answer", "only for", "rules")
    rows = tuple(
        (
            table.action.value,
            table.data_class.value,
            who.profile,
            who.name,
            region,
            MEANINGS[cell.mark],
            _allowed_words(table, cell),
            ", ".join(cell.rules),
        )
        for table, who, region, cell in _flat(tables)
    )
    return csv_text(Table(columns, rows))


def _matrix_json(table: Matrix) -> dict[str, Any]:
    return {
        "action": table.action,
        "data_class": table.data_class,
        "at": date(table.at_s),
        "regions": list(table.regions),
        "callers": [
            {
                "who": who.name,
                "profile": who.profile,
                "projects": list(who.projects),
                "answers": {
                    region: {
                        "answer": table.cells[who, region].mark.name,
                        "rules": list(table.cells[who, region].rules),
                        "only_for": [
                            {name: sorted(values) for name, values in box.items()}
                            for box in table.cells[who, region].allowed
                        ],
                    }
                    for region in table.regions
                },
            }
            for who in table.whos
        ],
    }
