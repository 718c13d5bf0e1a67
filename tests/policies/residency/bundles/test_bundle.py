"""A bundle is read whole or refused with all its mistakes, whatever bytes it is made of."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.residency.bundles.bundle import BundleRefused, files_digest, read_bundle
from policies.residency.bundles.instants import seconds_of
from tests.harness.residency_bundle import (
    DATES,
    OPERATORS,
    PROJECTS,
    REGIONS,
    operator_row,
    project_row,
    region_row,
    residency_files,
    rule,
)

pytestmark = pytest.mark.unit

PERMIT = "permit (principal, action, resource)"


def mistakes_of(files: dict[str, bytes]) -> list[str]:
    with pytest.raises(BundleRefused) as refused:
        read_bundle(files)
    return refused.value.mistakes


def test_a_sound_bundle_is_read_with_everything_in_it() -> None:
    files = residency_files(
        more_files=[("scenarios/a.yaml", b"[]"), ("signatures/x.sig", b"?"), ("README.md", b"\xff")]
    )
    bundle = read_bundle(files)
    assert (bundle.name, bundle.version) == ("test", "1")
    assert bundle.issued_at_s == seconds_of("2026-01-01T00:00:00Z")
    assert bundle.digest == files_digest(files)
    assert len({bundle.digest, bundle.policy_digest, bundle.entities_digest, bundle.schema_digest}) == 4
    assert list(bundle.rules)[:2] == ["P01-eu-in-eu", "P02-eea-in-eea"]
    assert next(iter(bundle.rule_ids.items())) == ("policy0", "P01-eu-in-eu")
    assert bundle.profiles["eu-strict"].is_restricted
    assert set(bundle.projects) == {"acme/calls", "acme/one-region", "acme/no-aws", "clinic/notes"}
    assert len(bundle.regions) == 7
    assert bundle.scenario_files == {"scenarios/a.yaml": b"[]"}
    assert bundle.vocabulary["Provider"] == ("aws", "azure", "sovereign")


def test_rules_are_numbered_across_files_as_cedar_numbers_them() -> None:
    files = residency_files(more_files=[("rules/aaa.cedar", rule("A", f"{PERMIT};").encode())])
    bundle = read_bundle(files)
    assert list(bundle.rule_ids.values())[:2] == ["A", "P01-eu-in-eu"]
    assert list(bundle.rule_ids) == [f"policy{number}" for number in range(17)]


def test_instants_are_those_of_rules_rows_and_the_bundle_itself() -> None:
    given_notice = "effective_from = 2026-02-01T00:00:00Z\nexpires_at = 2026-08-01T00:00:00Z\n"
    given_notice += "notice_given_at = 2026-02-10T00:00:00Z\nnotice_days = 10\n"
    bundle = read_bundle(residency_files(operators=OPERATORS + operator_row("New", "aws", "", given_notice)))
    sunset = seconds_of("2026-10-01T00:00:00Z")
    assert bundle.instants() == tuple(
        sorted(
            [
                *map(
                    seconds_of,
                    [
                        "2025-01-01T00:00:00Z",
                        "2026-01-01T00:00:00Z",
                        "2026-02-20T00:00:00Z",
                        "2026-08-01T00:00:00Z",
                        "2027-01-01T00:00:00Z",
                        "2028-01-01T00:00:00Z",
                    ],
                ),
                sunset,
                sunset + 1,
            ]
        )
    )


def test_mistakes_of_all_files_are_told_at_once() -> None:
    files = residency_files(
        expires_at="2025-01-01T00:00:00Z",
        more_rules=rule("P01-eu-in-eu", f"{PERMIT};")
        + rule("X1", f"{PERMIT} when {{ resource.hipaaEligable }};")
        + rule("X2", 'forbid (principal in Asr::Profile::"eu-strictt", action, resource);')
        + rule("X3", f"{PERMIT} when {{ principal.onlyRegions.contains(resource) }};")
        + rule("X4", 'forbid (principal, action == Asr::Action::"proces", resource);')
        + rule("X5", 'forbid (principal, action, resource) when { context.dataClass == Asr::DataClass::"PHI" };')
        + rule("X6", 'forbid (principal, action, resource == Asr::Region::"eu-centrl-1");'),
        regions=REGIONS + region_row("eu-west-2", "IE", "Amazonas"),
        projects=PROJECTS + project_row("acme/x", "eaa"),
    )
    told = mistakes_of(files)
    for said in (
        "bundle.toml: `expires_at` is not after `issued_at`",
        "rules/more.cedar line 1 (P01-eu-in-eu): the same @id stands in rules/all.cedar line 2",
        "rules/more.cedar line 3 (X1): attribute `hipaaEligable` on entity type `Asr::Region` not found",
        'rules/more.cedar line 5 (X2): entity `Asr::Profile::"eu-strictt"` is of an enumerated entity type',
        "rules/more.cedar line 7 (X3): unable to guarantee safety of access to optional attribute `onlyRegions`",
        "rules/more.cedar line 9 (X4): ",
        'rules/more.cedar line 11 (X5): entity `Asr::DataClass::"PHI"`',
        "rules/more.cedar line 13 (X6): unknown region 'eu-centrl-1'",
        "regions.toml: row 8 (eu-west-2 Amazonas): unknown operator 'Amazonas'",
        "projects.toml: acme/x: unknown profile 'eaa'",
    ):
        assert any(said in one for one in told), (said, told)
    assert not any("policy1" in one for one in told)


@pytest.mark.parametrize("path", ["bundle.toml", "schema.cedarschema", "regions.toml", "rules/all.cedar"])
def test_a_file_that_is_missing_empty_or_no_text_is_told(path: str) -> None:
    files = residency_files()
    assert any(one.startswith(path[:5]) for one in mistakes_of({name: files[name] for name in files if name != path}))
    assert mistakes_of(files | {path: b""})
    assert mistakes_of(files | {path: b"\xff\xfe"}) == [
        f"{path} line 1: is not UTF-8 at byte 0: save the file as UTF-8"
    ]
    assert mistakes_of(files | {path: b"# a\n# \xe2\x80\xae b\n" + files[path]}) == [
        f"{path} line 2: has a character that nobody sees, <U+202E>"
    ]


def test_a_mark_that_an_editor_begins_a_file_with_does_no_harm() -> None:
    plain, files = read_bundle(residency_files()), residency_files()
    marked = read_bundle({path: b"\xef\xbb\xbf" + content for path, content in files.items()})
    assert marked.rules == plain.rules
    assert marked.regions == plain.regions
    assert marked.digest != plain.digest


def test_a_head_that_fits_nothing_is_told_with_how_heads_are_written() -> None:
    text = 'permit (principal == Asr::Profile::"eea", action == Asr::Action::"relay", resource);'
    (told,) = mistakes_of(residency_files(more_rules=rule("X", text)))
    assert "(X)" in told
    assert "A profile is written `principal in" in told


def test_a_bundle_without_projects_is_sound() -> None:
    files = residency_files()
    del files["projects.toml"]
    assert read_bundle(files).projects == {}


def test_twenty_thousand_projects_are_read() -> None:
    rows = [
        project_row(f"org{number}/p", "eea", 'only_regions = ["no-east-1"]' if number % 2 else "")
        for number in range(20_000)
    ]
    assert len(read_bundle(residency_files(projects="".join(rows))).projects) == 20_000


def test_two_rows_in_force_for_one_region_are_refused() -> None:
    row = region_row("eu-central-1", "DE", "Microsoft", "", DATES)
    told = mistakes_of(residency_files(regions=REGIONS + row))
    assert told == [
        "regions.toml: row 8 (eu-central-1 Microsoft): is in force for 'eu-central-1' together with "
        "regions.toml: row 1 (eu-central-1 Amazon)"
    ]


_PATHS = sorted(residency_files())
_HOSTILE = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=60).map(str.encode),
    st.sampled_from(
        [b"\0", b"[[" * 300, b"{" * 300, b'"', b"1" * 5_000, b"rows = 1", b"[[rows]]\n", b";", b"@id", b"enum []"]
    ),
)


@settings(max_examples=25)
@given(
    path=st.sampled_from(_PATHS),
    at=st.floats(0, 1),
    length=st.integers(0, 40),
    junk=_HOSTILE,
    is_whole=st.booleans(),
)
def test_hostile_bytes_are_a_bundle_or_refused_and_nothing_else(
    path: str, at: float, length: int, junk: bytes, is_whole: bool
) -> None:
    files = residency_files()
    content = files[path]
    begin = int(at * len(content))
    files[path] = junk if is_whole else content[:begin] + junk + content[begin + length :]
    with contextlib.suppress(BundleRefused):
        assert read_bundle(files).rules


@settings(max_examples=15)
@given(files=st.dictionaries(st.text(max_size=12) | st.sampled_from(_PATHS), st.binary(max_size=30), max_size=12))
def test_any_files_are_a_bundle_or_refused(files: dict[str, bytes]) -> None:
    with pytest.raises(BundleRefused):
        read_bundle(files)
