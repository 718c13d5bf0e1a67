"""`patchbay policy explain`: why something is allowed or denied, and the story of a session from its records."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.cli.policy.bundle import bundle_in, fail, instant_of, now_s
from gateway.cli.policy.explain_report import explanation_document, explanation_json, story_document, story_json
from gateway.cli.policy.formats import Format, give
from gateway.cli.policy.matrix import countries_of
from gateway.decision_log.reading import read_records
from gateway.dev_keys import state_directory
from gateway.running_regions import newest
from policies.residency.decision import Question, Situation
from policies.residency.record import Event
from policies.residency.review.explain import explain as explain_question
from policies.residency.review.session_story import story_of
from policies.residency.vocabulary import Action, DataClass, LegalBasis, Trigger
from policies.routing_facts import CapacityClass

if TYPE_CHECKING:
    from policies.residency.bundles.bundle import Bundle
    from policies.residency.review.session_story import Story

_HYPOTHETICAL = "explain BUNDLE needs --profile or --project, --region and --action; explain SESSION_ID a --log"


def explain(
    what: Annotated[str, typer.Argument(metavar="SESSION_ID | BUNDLE", help="A session's id, or a bundle's folder.")],
    log: Annotated[
        Path | None,
        typer.Option(help="Of a session: directory of the decision log; default: of the region that runs here."),
    ] = None,
    bundle: Annotated[
        list[Path] | None,
        typer.Option(help="Of a session: a bundle that may have decided, for its rules in words; several times."),
    ] = None,
    profile: Annotated[str, typer.Option(help="The caller's profile; default: the project's.")] = "",
    project: Annotated[str, typer.Option(help="The caller's project, ORG/PROJECT.")] = "",
    region: Annotated[str, typer.Option(help="Where.")] = "",
    action: Annotated[Action | None, typer.Option(help="What is done there.")] = None,
    data_class: Annotated[DataClass | None, typer.Option(help="Default: the project's, else personal.")] = None,
    subject: Annotated[
        list[str] | None,
        typer.Option(
            help="Country of the speaker; several: he is in all; unknown. Default: the project's, else unknown."
        ),
    ] = None,
    consent: Annotated[bool, typer.Option(help="Whether the speaker consented.")] = False,
    legal_basis: Annotated[LegalBasis | None, typer.Option(help="Default: the project's, else unstated.")] = None,
    capacity: Annotated[CapacityClass, typer.Option(help="Class of the engine's machine.")] = CapacityClass.reserved,
    trigger: Annotated[
        Trigger | None, typer.Option(help="Why it is asked; default: failover for a failover, else initial.")
    ] = None,
    draining: Annotated[bool, typer.Option("--draining", help="The region is being emptied.")] = False,
    break_glass: Annotated[bool, typer.Option("--break-glass", help="With an emergency permission.")] = False,
    at: Annotated[str, typer.Option(help="At which instant, such as 2027-06-30; default: now.")] = "",
    form: Annotated[Format, typer.Option("--format", help="How to write it.")] = Format.table,
    out: Annotated[Path | None, typer.Option(help="Write it to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Explain one decision, or tell a session's story.

    Exit codes: 0 explained, whatever was decided; 64 the bundle or the command line is wrong; 66 no such session,
    folder or project.
    """
    if log is not None or not Path(what).is_dir():
        story = _story(what, log or _log_here(), [bundle_in(each, as_json=as_json) for each in bundle or ()])
        if as_json:
            give(json.dumps(story_json(story)) + "\n", out)
        else:
            form.write(story_document(story), out)
        return
    read = bundle_in(Path(what), as_json=as_json)
    if action is None or not region or not (profile or project):
        fail(_HYPOTHETICAL, ExitCode.usage)
    row = read.projects.get(project)
    if project and row is None:
        fail(f"the bundle has no project {project}", ExitCode.no_input)
    countries = frozenset() if subject is None else countries_of(subject)
    if subject is None and row is not None and row.subject_country:
        countries = frozenset({row.subject_country})
    situation = Situation(
        profile=profile or (row.profile if row is not None else ""),
        project=project,
        data_class=data_class or (row.data_class if row is not None else None) or DataClass.personal,
        subject_countries=countries,
        has_consent=consent,
        legal_basis=legal_basis or (row.legal_basis if row is not None else None) or LegalBasis.unstated,
    )
    usual = Trigger.failover if action is Action.failover else Trigger.initial
    question = Question(situation, action, region, capacity, trigger or usual, draining, break_glass)
    found = explain_question(read, question, instant_of(at) if at else now_s())
    if as_json:
        give(json.dumps(explanation_json(read, found)) + "\n", out)
    else:
        form.write(explanation_document(read, found), out)


def _log_here() -> Path:
    """Where the region that runs on this machine writes its decisions down."""
    running = newest(state_directory(os.environ)) or {}
    if "decisions" not in running:
        fail(f"no region of `patchbay up` runs here that keeps a log of its own. {_HYPOTHETICAL}", ExitCode.usage)
    return Path(running["decisions"])


def _story(session: str, log: Path, bundles: list[Bundle]) -> Story:
    try:
        records = [*read_records(log, session=session)]
        if not records:
            fail(f"no record of session {session} in {log}", ExitCode.no_input)
        changes = [each for each in read_records(log) if each.event is Event.policy_change]
    except OSError as error:
        fail(f"cannot read {log}: {error.strerror}", ExitCode.no_input)
    return story_of(records, changes, bundles)
