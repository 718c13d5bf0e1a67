"""Rows that do not belong together are told; where none is wrong, nothing is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.residency.bundles import row_checks
from policies.residency.bundles.mistakes import BundleRefused, Mistakes
from policies.residency.bundles.rows import JurisdictionRow, OperatorRow, Profile, Project, RegionRow, Transcripts
from policies.residency.bundles.rules import Rule

pytestmark = pytest.mark.unit

PROFILES = {"eea": Profile("eea", "t", "o", is_restricted=False, requires_consent=False)}


def told(mistakes: Mistakes) -> list[str]:
    try:
        mistakes.refuse_if_any()
    except BundleRefused as refused:
        return refused.mistakes
    return []


def region(name: str, begin_s: int, end_s: int, operator: str = "o", certifications: tuple[str, ...] = ()) -> RegionRow:
    return RegionRow(
        region=name,
        country="DE",
        operator=operator,
        certifications=frozenset(certifications),
        effective_from_s=begin_s,
        expires_at_s=end_s,
        approved_by="a",
        approved_at_s=0,
        where=f"{name} {begin_s}-{end_s}",
    )


def operator(begin_s: int, end_s: int, provider: str = "aws", notice_days: int | None = None) -> OperatorRow:
    return OperatorRow(
        operator="o",
        provider=provider,
        contact="c",
        is_sovereign=False,
        certifications=frozenset(),
        basis="b",
        notice_given_at_s=None if notice_days is None else begin_s,
        notice_days=notice_days or 0,
        effective_from_s=begin_s,
        expires_at_s=end_s,
        approved_by="a",
        approved_at_s=0,
        where=f"o {begin_s}-{end_s}",
    )


def jurisdiction(regime: str, scope: str, begin_s: int = 1, end_s: int = 9) -> JurisdictionRow:
    return JurisdictionRow(
        regime=regime,
        code="DE",
        scope=scope,
        basis="b",
        source_url="u",
        retrieved_at_s=0,
        effective_from_s=begin_s,
        expires_at_s=end_s,
        approved_by="a",
        approved_at_s=0,
        where=f"{regime} {scope} {begin_s}-{end_s}",
    )


spans = st.tuples(st.integers(1, 12), st.integers(1, 12)).map(sorted).filter(lambda span: span[0] < span[1])


@given(rows=st.lists(st.tuples(st.sampled_from("ab"), spans), max_size=5))
def test_two_rows_of_a_region_at_one_instant_are_told_and_only_they(rows: list[tuple[str, list[int]]]) -> None:
    mistakes = Mistakes()
    row_checks.check_regions([region(name, *span) for name, span in rows], ["o"], [], mistakes)
    has_overlap = any(
        sum(of == name and begin <= at_s < end for of, (begin, end) in rows) > 1 for name in "ab" for at_s in range(13)
    )
    assert bool(told(mistakes)) == has_overlap


def test_an_overlap_names_both_rows() -> None:
    mistakes = Mistakes()
    row_checks.check_operators([operator(1, 9), operator(5, 12)], ["aws"], [], mistakes)
    assert told(mistakes) == ["o 5-12: is in force for 'o' together with o 1-9"]


def test_an_operator_may_follow_itself_at_midnight() -> None:
    mistakes = Mistakes()
    row_checks.check_operators([operator(1, 5), operator(5, 9)], ["aws"], [], mistakes)
    row_checks.check_regions([region("r", 1, 5), region("r", 5, 9)], ["o"], [], mistakes)
    row_checks.check_jurisdictions([jurisdiction("EU", "all"), jurisdiction("EU", "dpf")], ["EU"], ["dpf"], mistakes)
    assert told(mistakes) == []


def test_words_that_nobody_knows_are_told() -> None:
    mistakes = Mistakes()
    row_checks.check_jurisdictions([jurisdiction("EUU", "all"), jurisdiction("EU", "dbf")], ["EU"], ["dpf"], mistakes)
    row_checks.check_operators([operator(1, 9, "awz"), operator(9, 12, notice_days=30)], ["aws"], [], mistakes)
    row_checks.check_regions([region("r", 1, 9, "nobody", ("pci", "dpf"))], ["o"], ["dpf"], mistakes)
    assert told(mistakes) == [
        "EUU all 1-9: unknown regime 'EUU'",
        "EU dbf 1-9: `scope` is 'dbf': it is 'all' or a certification of the schema",
        "o 1-9: unknown provider 'awz'",
        "o 9-12: the days of notice end after the row: it is never in force",
        "r 1-9: unknown operator 'nobody'",
        "r 1-9: unknown certification 'pci'",
    ]


def test_what_a_project_names_must_be_there() -> None:
    mistakes = Mistakes()
    projects = [
        Project("acme/a", "eea", frozenset({"r"}), frozenset({"aws"}), key_region="r", transcripts=Transcripts("r", 1)),
        Project("acme/b", "eaa", frozenset({"q"}), frozenset({"awz"}), key_region="p", transcripts=Transcripts("o", 1)),
    ]
    by_name = {project.project: project for project in projects}
    row_checks.check_projects(by_name, PROFILES, ["r"], ["aws"], mistakes)
    assert told(mistakes) == [
        "projects.toml: acme/b: unknown profile 'eaa'",
        "projects.toml: acme/b: unknown region 'o'",
        "projects.toml: acme/b: unknown region 'p'",
        "projects.toml: acme/b: unknown region 'q'",
        "projects.toml: acme/b: unknown provider 'awz'",
    ]


def test_a_region_or_project_that_a_rule_names_must_be_there() -> None:
    mistakes = Mistakes()
    named = [("Region", "r"), ("Region", "q"), ("Project", "acme/a"), ("Project", "profile:eea"), ("Project", "acme/z")]
    rule = Rule("F1", "forbid", {}, "rules/a.cedar", 3, "", named=frozenset([*named, ("Profile", "nobody")]))
    row_checks.check_names_in_rules([rule], ["r"], {"acme/a": Project("acme/a", "eea")}, ["eea"], mistakes)
    assert told(mistakes) == [
        "rules/a.cedar line 3 (F1): unknown project 'acme/z'",
        "rules/a.cedar line 3 (F1): unknown region 'q'",
    ]
