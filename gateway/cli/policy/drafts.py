"""Drafts for `patchbay policy init --catalog`: rows and scenarios for the regions of a catalog, for people to check.

Nothing drafted is approved: `patchbay policy lint` says so until somebody has put his name to each row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.residency.bundles.bundle import read_bundle
from policies.residency.bundles.instants import text_of
from policies.residency.checks.lint_rows import NOBODY_YET, TO_BE_FILLED_IN
from policies.residency.deciding.engine import ResidencyEngine
from policies.residency.decision import Question, Situation
from policies.residency.vocabulary import Action

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from policies.residency.bundles.bundle import Bundle
    from regions.catalog import Catalog

_TERM_S = 365 * 86_400
_PROVIDERS = ("aws", "azure", "gcp")
_EMPTY_PROJECTS = """\
# Projects with terms of their own. A project without a row goes by the profile of its token alone. A row only narrows:
#
#   [[projects]]
#   project = "ORG/PROJECT"
#   profile = "eea"
#   only_regions = ["a-region"]           # takes regions away
#   no_providers = ["aws"]                # the same
#   data_class = "personal"               # what holds where neither token nor request say more
#   subject_country = "DE"
#   legal_basis = "contract"
#   key_region = "a-region"               # words are stored there or nowhere
#   legal_hold = true                     # stored words are not erased
#   transcripts = { region = "a-region", days = 30 }
"""


def drafted_files(starter: Mapping[str, bytes], catalog: Catalog, *, begin_s: int) -> dict[str, bytes]:
    """The starter set with the catalog's regions and operators, without its example projects and scenarios."""
    files = {path: data for path, data in starter.items() if not path.startswith("scenarios/")}
    dates = f"effective_from = {text_of(begin_s)}\nexpires_at = {text_of(begin_s + _TERM_S)}\n"
    approval = f'approved_by = "{NOBODY_YET}"\napproved_at = {text_of(begin_s)}\n'
    files["operators.toml"] = _operators(catalog, dates + approval).encode()
    files["regions.toml"] = _regions(catalog, dates + approval).encode()
    files["projects.toml"] = _EMPTY_PROJECTS.encode()
    files["scenarios/drafted.yaml"] = _scenarios(read_bundle(files), at_s=begin_s).encode()
    return files


def _operators(catalog: Catalog, below: str) -> str:
    rows = ["# DRAFT, from the catalog. Fill in contact, certifications and basis, and put your name to each row.\n"]
    for operator in sorted({region.operator for region in catalog.regions.values()}):
        provider = next((name for name in _PROVIDERS if name in operator.casefold()), "independent")
        rows.append(
            f'[[rows]]\noperator = "{_plain(operator)}"\nprovider = "{provider}"\ncontact = "{TO_BE_FILLED_IN}"\n'
            f'is_sovereign = false\ncertifications = []\nbasis = "{TO_BE_FILLED_IN}"\n{below}'
        )
    return "\n".join(rows)


def _regions(catalog: Catalog, below: str) -> str:
    rows = ["# DRAFT, from the catalog. Check where each region is and who runs it, and put your name to each row.\n"]
    rows += [
        f'[[rows]]\nregion = "{region.name}"\ncountry = "{region.country}"\n'
        f'operator = "{_plain(region.operator)}"\ncertifications = []\n{below}'
        for region in sorted(catalog.regions.values(), key=lambda region: region.name)
    ]
    return "\n".join(rows)


def _plain(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _scenarios(bundle: Bundle, *, at_s: int) -> str:
    lines = [
        "# DRAFT: what the rules decide for a speaker at home in each region, not what you want them to decide.",
        "# Read each line. Where it says what you want, keep it; where not, write what you want and mend the rule.",
        "",
        f"at: {text_of(at_s)}",
        "",
        "scenarios:",
    ]
    engine = ResidencyEngine(bundle, at_s)
    for profile in sorted(bundle.profiles):
        lines += [
            f'  - name: "{profile}, recognised in each region, a speaker of that country who agreed"',
            f"    profile: {profile}",
            "    action: process",
            "    consent: true",
            "    steps:",
            *_steps(engine, profile),
            "",
        ]
    return "\n".join(lines[:-1]) + "\n"


def _steps(engine: ResidencyEngine, profile: str) -> Iterator[str]:
    for region, facts in sorted(engine.regions.items()):
        situation = Situation(profile, subject_countries=frozenset({facts.country}), has_consent=True)
        decision = engine.decide(Question(situation, Action.process, region))
        expect = "allow" if decision.is_allowed else "deny"
        rules = f"[{', '.join(decision.rules)}]" if len(decision.rules) > 1 else ", ".join(decision.rules) or "none"
        yield f'      - {{region: {region}, subject: ["{facts.country}"], expect: {expect}, rule: {rules}}}'
