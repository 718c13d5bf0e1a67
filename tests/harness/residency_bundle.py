"""A small bundle for tests: two rules' worth of Europe, one of America, and knobs for what a test is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

ISSUED_AT = "2026-01-01T00:00:00Z"
EXPIRES_AT = "2027-01-01T00:00:00Z"
NOON_S = 1_780_315_200
"""2026-06-01T12:00:00Z, well inside."""

SCHEMA = """\
namespace Asr {
  entity Profile enum ["eu-strict", "eea", "global", "us-health"];
  entity Jurisdiction enum ["EU", "EEA", "US", "EMBARGO"];
  entity DataClass enum ["public", "personal", "special-category", "phi", "card-holder", "government", "minors"];
  entity LegalBasis enum [
    "unstated", "contract", "consent", "legal-obligation", "vital-interests", "public-task", "legitimate-interest"
  ];
  entity Trigger enum ["initial", "failover", "drain", "rebalance"];
  entity Capacity enum ["reserved", "spot"];
  entity Certification enum ["hipaa-baa", "pci-dss", "dpf"];
  entity Provider enum ["aws", "azure", "sovereign"];

  entity Region in [Jurisdiction] {
    country: String,
    operator: String,
    provider: Provider,
    isSovereign: Bool,
    certifications: Set<Certification>,
  };
  entity Project in [Profile] {
    org: String,
    onlyRegions?: Set<Region>,
    noProviders: Set<Provider>,
    requiresConsent: Bool,
    isRestricted: Bool,
    keyRegion?: Region,
    legalHold: Bool,
  };

  type Facts = {
    now: datetime,
    dataClass: DataClass,
    subject: Set<Jurisdiction>,
    subjectKnown: Bool,
    hasConsent: Bool,
    legalBasis: LegalBasis,
    capacity: Capacity,
    trigger: Trigger,
    isDraining: Bool,
    hasBreakGlass: Bool,
  };
  action terminate, relay, process, failover, store_checkpoint, store_transcript, replicate_meter, support_access,
    erase_transcript appliesTo { principal: [Project], resource: [Region], context: Facts };
}
"""

_SOUND = ' @owner("legal@example.com") @basis("contract 4.2") @review_by("2026-12-01") @ticket("LEGAL-1")'

_EVERYWHERE = (
    "[Action::terminate, Action::relay, Action::process, Action::failover, Action::store_checkpoint]".replace(
        "Action::", 'Asr::Action::"'
    )
    .replace(",", '",')
    .replace("]", '"]')
)

RULES = f"""\
// Who may be recognised where.
@id("P01-eu-in-eu"){_SOUND} @kind("profile")
permit (principal in Asr::Profile::"eu-strict", action in {_EVERYWHERE}, resource in Asr::Jurisdiction::"EU");

@id("P02-eea-in-eea"){_SOUND} @kind("profile")
permit (principal in Asr::Profile::"eea", action in {_EVERYWHERE}, resource in Asr::Jurisdiction::"EEA");

@id("P03-global"){_SOUND} @kind("profile")
permit (principal in Asr::Profile::"global", action in {_EVERYWHERE}, resource);

@id("P04-health-in-us"){_SOUND} @kind("profile")
permit (principal in Asr::Profile::"us-health", action in {_EVERYWHERE}, resource in Asr::Jurisdiction::"US");

@id("P05-meters"){_SOUND}
permit (principal, action == Asr::Action::"replicate_meter", resource);

@id("P06-support"){_SOUND}
permit (principal, action == Asr::Action::"support_access", resource) when {{ context.hasBreakGlass }};

@id("F01-embargo"){_SOUND} @kind("statutory") @running("at_once")
forbid (principal, action, resource in Asr::Jurisdiction::"EMBARGO");

@id("F02-no-spot-for-phi"){_SOUND} @kind("statutory")
forbid (principal, action in [Asr::Action::"process", Asr::Action::"failover"], resource)
when {{ context.dataClass == Asr::DataClass::"phi" && context.capacity == Asr::Capacity::"spot" }};

@id("F03-phi-needs-baa"){_SOUND} @kind("statutory")
forbid (principal, action, resource)
when {{ context.dataClass == Asr::DataClass::"phi" }}
unless {{ resource.certifications.contains(Asr::Certification::"hipaa-baa") }};

@id("F04-only-regions"){_SOUND}
forbid (principal, action, resource)
when {{ principal has onlyRegions && !principal.onlyRegions.contains(resource) }};

@id("F05-no-providers"){_SOUND}
forbid (principal, action, resource) when {{ principal.noProviders.contains(resource.provider) }};

@id("F06-nothing-new-while-draining"){_SOUND}
forbid (principal, action == Asr::Action::"process", resource) when {{ context.isDraining }};

@id("F07-no-checkpoints-outside-eea"){_SOUND} @kind("statutory")
forbid (principal, action == Asr::Action::"store_checkpoint", resource)
when {{ context.subject.contains(Asr::Jurisdiction::"EU") }} unless {{ resource in Asr::Jurisdiction::"EEA" }};

@id("F08-us-sunset"){_SOUND} @kind("statutory")
forbid (principal in Asr::Profile::"global", action, resource in Asr::Jurisdiction::"US")
when {{ context.now >= datetime("2026-10-01T00:00:00Z") }};

@id("F09-restricted-needs-subject"){_SOUND} @kind("statutory")
forbid (principal, action, resource) when {{ principal.isRestricted && !context.subjectKnown }};

@id("F10-consent"){_SOUND} @kind("statutory")
forbid (principal, action, resource) when {{ principal.requiresConsent && !context.hasConsent }};
"""

PROFILES = """\
[[profiles]]
name = "eu-strict"
title = "In the European Union only"
owner = "legal@example.com"
is_restricted = true
requires_consent = false

[[profiles]]
name = "eea"
title = "In the European Economic Area"
owner = "legal@example.com"
is_restricted = false
requires_consent = false

[[profiles]]
name = "global"
title = "Everywhere that is not forbidden"
owner = "legal@example.com"
is_restricted = false
requires_consent = false

[[profiles]]
name = "us-health"
title = "Health information in the United States"
owner = "legal@example.com"
is_restricted = true
requires_consent = false
"""

APPROVED = 'approved_by = "Ada"\napproved_at = 2025-12-01T00:00:00Z\n'
DATES = "effective_from = 2025-01-01T00:00:00Z\nexpires_at = 2028-01-01T00:00:00Z\n"


def jurisdiction_row(regime: str, code: str, scope: str = "all", dates: str = DATES) -> str:
    return (
        f'[[rows]]\nregime = "{regime}"\ncode = "{code}"\nscope = "{scope}"\nbasis = "treaty"\n{dates}'
        f'source_url = "https://example.com/"\nretrieved_at = 2025-12-01T00:00:00Z\n{APPROVED}\n'
    )


def operator_row(
    operator: str, provider: str, certifications: str = "", dates: str = DATES, *, is_sovereign: bool = False
) -> str:
    """`certifications`: as inside a TOML list. `dates` may give notice as well."""
    return (
        f'[[rows]]\noperator = "{operator}"\nprovider = "{provider}"\ncontact = "dpo@example.com"\n'
        f'is_sovereign = {str(is_sovereign).lower()}\ncertifications = [{certifications}]\nbasis = "contract"\n'
        f"{dates}{APPROVED}\n"
    )


def region_row(region: str, country: str, operator: str, certifications: str = "", dates: str = DATES) -> str:
    return (
        f'[[rows]]\nregion = "{region}"\ncountry = "{country}"\noperator = "{operator}"\n'
        f"certifications = [{certifications}]\n{dates}{APPROVED}\n"
    )


def project_row(project: str, profile: str, more: str = "") -> str:
    """`more`: lines of TOML."""
    return f'[[projects]]\nproject = "{project}"\nprofile = "{profile}"\n{more}\n'


JURISDICTIONS = "".join(
    [jurisdiction_row("EU", code) for code in ("DE", "FR", "IE")]
    + [jurisdiction_row("EEA", code) for code in ("DE", "FR", "IE", "NO")]
    + [jurisdiction_row("US", "US"), jurisdiction_row("EMBARGO", "KP")]
)
OPERATORS = "".join(
    [
        operator_row("Amazon", "aws", '"hipaa-baa", "dpf"'),
        operator_row("Microsoft", "azure"),
        operator_row("Bundeswolke", "sovereign", is_sovereign=True),
    ]
)
REGIONS = "".join(
    [
        region_row("eu-central-1", "DE", "Amazon"),
        region_row("eu-west-1", "IE", "Amazon", '"pci-dss"'),
        region_row("eu-sovereign-1", "DE", "Bundeswolke"),
        region_row("no-east-1", "NO", "Microsoft"),
        region_row("us-east-1", "US", "Amazon"),
        region_row("us-west-1", "US", "Microsoft"),
        region_row("kp-1", "KP", "Microsoft"),
    ]
)
PROJECTS = "".join(
    [
        project_row("acme/calls", "eu-strict"),
        project_row("acme/one-region", "eea", 'only_regions = ["no-east-1"]'),
        project_row("acme/no-aws", "eea", 'no_providers = ["aws"]'),
        project_row("clinic/notes", "us-health", 'data_class = "phi"\nsubject_country = "US"'),
    ]
)


def residency_files(
    *,
    rules: str = RULES,
    more_rules: str = "",
    schema: str = SCHEMA,
    jurisdictions: str = JURISDICTIONS,
    operators: str = OPERATORS,
    regions: str = REGIONS,
    profiles: str = PROFILES,
    projects: str = PROJECTS,
    name: str = "test",
    version: str = "1",
    issued_at: str = ISSUED_AT,
    expires_at: str = EXPIRES_AT,
    more_files: Iterable[tuple[str, bytes]] = (),
) -> dict[str, bytes]:
    """Files of a bundle that is sound as it is. Regions: REGIONS; `more_rules` go to a file of their own."""
    about = f'name = "{name}"\nversion = "{version}"\nissued_at = {issued_at}\nexpires_at = {expires_at}\n'
    files = {
        "bundle.toml": about,
        "schema.cedarschema": schema,
        "rules/all.cedar": rules,
        "jurisdictions.toml": jurisdictions,
        "operators.toml": operators,
        "regions.toml": regions,
        "profiles.toml": profiles,
        "projects.toml": projects,
    }
    if more_rules:
        files["rules/more.cedar"] = more_rules
    return {path: text.encode() for path, text in files.items()} | dict(more_files)


def rule(rule_id: str, text: str, annotations: str = "") -> str:
    """A rule with all the annotations that it must have."""
    return f'@id("{rule_id}"){_SOUND} {annotations}\n{text}\n'
