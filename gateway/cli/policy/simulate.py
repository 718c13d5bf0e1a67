"""`patchbay policy simulate`: who has nowhere to go when regions are lost, or when a day has come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.cli.policy.bundle import bundle_in, fail, instant_of, now_s
from gateway.cli.policy.document import Document, Heading, Paragraph, Table
from gateway.cli.policy.formats import Format, give
from gateway.cli.policy.words import bundle_json, bundle_words, date
from policies.residency.bundles.instants import text_of
from policies.residency.review.what_if import Prospect, Reach, Sites, Strait, WhatIf, dated_changes, prospects
from policies.residency.vocabulary import DataClass
from regions.catalog_file import CatalogRefused, read_catalog

if TYPE_CHECKING:
    from collections.abc import Iterable

    from policies.residency.bundles.bundle import Bundle

_NONE = "none"
_MAX_NAMED = 3


def simulate(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    lose: Annotated[
        list[str] | None, typer.Option(help="A region of which nothing works any more; may be given several times.")
    ] = None,
    at: Annotated[str, typer.Option(help="The instant afterwards, such as 2027-06-30; default: now.")] = "",
    now: Annotated[str, typer.Option(help="The instant before; default: now.")] = "",
    catalog: Annotated[
        Path | None, typer.Option(help="Catalog of regions: which have engines, and on which machines.")
    ] = None,
    data_class: Annotated[
        DataClass | None, typer.Option(help="What everybody speaks about; default: as projects say, else personal.")
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Also list those for whom nothing changes.")] = False,
    form: Annotated[Format, typer.Option("--format", help="How to write it.")] = Format.table,
    out: Annotated[Path | None, typer.Option(help="Write it to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say where everybody could still be recognised if these regions were lost, or if it were that day.

    Exit codes: 0 everybody has somewhere to go; 1 somebody has not; 64 the bundle, the catalog or the command line is
    wrong; 66 no such folder or region.
    """
    read = bundle_in(bundle, as_json=as_json)
    lost = frozenset(lose or ())
    unknown = sorted(lost - {row.region for row in read.regions})
    if unknown:
        fail(f"the bundle has no region {', '.join(unknown)}", ExitCode.no_input)
    begin_s = instant_of(now) if now else now_s()
    what_if = WhatIf(
        now_s=begin_s,
        at_s=instant_of(at) if at else begin_s,
        lost=lost,
        sites=_sites(catalog),
        data_class=data_class,
    )
    found = [*prospects(read, what_if)]
    if as_json:
        give(json.dumps(_json(read, what_if, found)) + "\n", out)
    else:
        form.write(_document(read, what_if, found, has_everybody=everybody), out)
    if any(Strait.nowhere in each.straits for each in found):
        raise typer.Exit(ExitCode.differs)


def _sites(catalog: Path | None) -> Sites:
    if catalog is None:
        return Sites()
    try:
        read, _warnings = read_catalog(catalog)
    except CatalogRefused as refused:
        fail("\n".join(f"wrong catalog: {mistake}" for mistake in refused.mistakes), ExitCode.usage)
    return Sites({name: frozenset(pool.capacity for pool in spec.pools) for name, spec in read.regions.items()})


def _document(bundle: Bundle, what_if: WhatIf, found: list[Prospect], *, has_everybody: bool) -> Document:
    blocks: list[Heading | Paragraph | Table] = [
        Paragraph(f"{bundle_words(bundle)}, {_supposed(what_if)}"),
        Paragraph(_summary(found)),
    ]
    for strait in Strait:
        concerned = [each for each in found if strait in each.straits]
        if concerned:
            blocks += [Heading(f"{strait.value}: {_who_count(concerned)}"), _table(concerned)]
    rest = [each for each in found if not each.straits and each.is_touched]
    if rest:
        blocks += [Heading(f"fewer or other regions, no harm: {_who_count(rest)}"), _table(rest)]
    if has_everybody:
        same = [each for each in found if not each.straits and not each.is_touched]
        blocks += [Heading("as before"), _table(same)]
    changes = dated_changes(bundle, what_if.now_s, what_if.at_s)
    if changes:
        rows = tuple((date(at_s), text) for at_s, text in changes)
        blocks += [Heading("What begins and ends until then"), Table(("when", "what"), rows)]
    return Document("What if", tuple(blocks))


def _supposed(what_if: WhatIf) -> str:
    lost = f"without {', '.join(sorted(what_if.lost))}" if what_if.lost else "with all regions"
    if what_if.at_s == what_if.now_s:
        return f"{lost}, at {text_of(what_if.now_s)}"
    return f"{lost}, at {text_of(what_if.at_s)} beside {text_of(what_if.now_s)}"


def _summary(found: list[Prospect]) -> str:
    nowhere = [each for each in found if Strait.nowhere in each.straits]
    if nowhere:
        return f"{_who_count(nowhere)} would have NOWHERE TO GO."
    return "Everybody who has somewhere to go has somewhere to go then."


def _who_count(found: Iterable[Prospect]) -> str:
    names = sorted({name for each in found for name in each.names})
    return f"{len(names)} ({', '.join(names)})"


def _table(found: list[Prospect]) -> Table:
    return Table(
        (
            "who",
            "profile",
            "data",
            "speaker",
            "recognised in",
            "loses",
            "gains",
            "left",
            "running go on in",
            "checkpoints",
        ),
        tuple(
            (
                ", ".join(each.names),
                each.profile,
                each.data_class.value,
                "; ".join(each.speakers) or "any",
                _list(each.before.process),
                _list(each.before.process - each.after.process, every=True),
                _list(each.after.process - each.before.process, every=True),
                _list(each.after.process),
                _list(each.after.failover),
                _list(each.after.checkpoints),
            )
            for each in found
        ),
    )


def _list(regions: Iterable[str], *, every: bool = False) -> str:
    names = sorted(regions)
    return ", ".join(names) or _NONE if every or len(names) <= _MAX_NAMED else f"{len(names)} regions"


def _json(bundle: Bundle, what_if: WhatIf, found: list[Prospect]) -> dict[str, Any]:
    return {
        "bundle": bundle_json(bundle),
        "lost": sorted(what_if.lost),
        "now": text_of(what_if.now_s),
        "at": text_of(what_if.at_s),
        "nowhere": sorted({name for each in found if Strait.nowhere in each.straits for name in each.names}),
        "callers": [
            {
                "names": list(each.names),
                "profile": each.profile,
                "data_class": each.data_class,
                "speakers": list(each.speakers),
                "straits": [strait.name for strait in each.straits],
                "before": _reach_json(each.before),
                "after": _reach_json(each.after),
            }
            for each in found
        ],
        "changes": [{"at": text_of(at_s), "what": text} for at_s, text in _changes(bundle, what_if)],
    }


def _changes(bundle: Bundle, what_if: WhatIf) -> tuple[tuple[int, str], ...]:
    return dated_changes(bundle, what_if.now_s, what_if.at_s)


def _reach_json(reach: Reach) -> dict[str, list[str]]:
    return {
        "gateways": sorted(reach.gateways),
        "process": sorted(reach.process),
        "failover": sorted(reach.failover),
        "checkpoints": sorted(reach.checkpoints),
    }
