"""The TOML of a plans file, as pydantic reads it, and the book that it makes.

What a single value may be is checked here; what values say together, in policies.plan_checks. Amounts are read as
decimals and become whole millionths, exactly or not at all.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints, ValidationError

from policies.plan_book import OrgTerms, PlanBook, key_pseudonym
from policies.plan_terms import UNLIMITED, LimitTerms, Place, Terms, Unlimited, dotted
from policies.plans import (
    MAX_BURST,
    MAX_RATE_PER_S,
    MICRO,
    Level,
    Rater,
    Tier,
    WhenExhausted,
    WhenLimiterAway,
    WhenLogUnwritable,
)

RATING_VERSION_CHARS = 12
MAX_SESSIONS = 1_000_000
MAX_SESSION_MS = 604_800_000
MAX_SUBJECT_CHARS = 256
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$"
"""As gateway.admission.claims takes them from tokens; another could never match."""
_SMALLEST = Decimal(1) / MICRO


@dataclass(frozen=True, slots=True)
class Mistake:
    """`place`: where in the file, empty for the whole of it. `log_text`: what may be logged, if that is less."""

    place: Place
    text: str
    log_text: str = ""

    def __str__(self) -> str:
        return f"{dotted(self.place)}: {self.text}" if self.place else self.text

    def for_log(self) -> str:
        """Without the names of tenants and of keys: both stand there by their pseudonyms."""
        place = list(self.place)
        if len(place) > 1 and place[0] == "orgs":
            place[1] = _digest(place[1], RATING_VERSION_CHARS)
            if len(place) > 3 and place[2] == "keys":
                place[3] = key_pseudonym(place[3])
        return str(Mistake(tuple(place), self.log_text or self.text))


class DocumentRefused(Exception):
    """The text is no plans file, or a value in it cannot be."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("; ".join(map(str, mistakes)))
        self.mistakes = mistakes


def _micro(value: object, *, most: int) -> object:
    """A number of the file in millionths; what cannot be one is told as the file's reader would write it."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("must be a number")
    if isinstance(value, Decimal) and not value.is_finite():
        raise ValueError("must be a finite number")
    if not 0 < value <= most // MICRO:
        raise ValueError(f"must be more than 0 and at most {most // MICRO}")
    if isinstance(value, Decimal) and value.quantize(_SMALLEST) != value:
        raise ValueError("must be a whole number of millionths: no more than 6 decimal places")
    return int(value * MICRO)


def _rate(value: object) -> object:
    return UNLIMITED if value == UNLIMITED.value else _micro(value, most=MAX_RATE_PER_S)


def _burst(value: object) -> object:
    return _micro(value, most=MAX_BURST)


def _starts_burst(value: object) -> object:
    if isinstance(micro := _burst(value), int) and micro < MICRO:
        raise ValueError("must be at least 1, or no session could ever start")
    return micro


def _sessions(value: object) -> object:
    if value == UNLIMITED.value:
        return UNLIMITED
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_SESSIONS:
        raise ValueError(f'must be 1 to {MAX_SESSIONS}, or "{UNLIMITED.value}"')
    return value


def _whole_ms(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("must be a whole number of milliseconds")
    return value


def _subject(value: object) -> object:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_SUBJECT_CHARS or not value.isprintable():
        raise ValueError(f"a key is named by its token's `sub`: 1 to {MAX_SUBJECT_CHARS} printable characters")
    return value


_Rate = Annotated[int | Unlimited, BeforeValidator(_rate)]
_Name = Annotated[str, StringConstraints(pattern=_NAME)]
_Subject = Annotated[str, BeforeValidator(_subject)]


class LimitTable(BaseModel, frozen=True, extra="forbid"):
    """What is said of one level; policies.plan_terms.LimitTerms."""

    compute_seconds_per_second: _Rate | None = None
    compute_seconds_burst: Annotated[int, BeforeValidator(_burst)] | None = None
    max_sessions: Annotated[int | Unlimited, BeforeValidator(_sessions)] | None = None
    session_starts_per_second: _Rate | None = None
    session_starts_burst: Annotated[int, BeforeValidator(_starts_burst)] | None = None
    shadow: bool | None = Field(default=None, strict=True)

    def terms(self) -> LimitTerms:
        return LimitTerms(
            compute_per_s=self.compute_seconds_per_second,
            compute_burst=self.compute_seconds_burst,
            max_sessions=self.max_sessions,
            starts_per_s=self.session_starts_per_second,
            starts_burst=self.session_starts_burst,
            is_shadow=self.shadow,
        )


class KeyTable(BaseModel, frozen=True, extra="forbid"):
    """What every place can say, and the limits of a key. Wider places add the tables of wider levels."""

    max_session_ms: Annotated[int, BeforeValidator(_whole_ms)] | None = Field(default=None, ge=1_000, le=MAX_SESSION_MS)
    when_exhausted: WhenExhausted | None = None
    when_limiter_away: WhenLimiterAway | None = None
    rater: Rater | None = None
    tier: Tier | None = None
    when_log_unwritable: WhenLogUnwritable | None = None
    shadow: bool | None = Field(default=None, strict=True)
    key: LimitTable | None = None

    def terms(self, place: Place, governs: Level) -> Terms:
        limits = {level.value: table.terms() for level in Level if (table := getattr(self, level.value, None))}
        return Terms(
            place=place,
            governs=governs,
            is_shadow=self.shadow,
            max_session_ms=self.max_session_ms,
            when_exhausted=self.when_exhausted,
            when_limiter_away=self.when_limiter_away,
            rater=self.rater,
            tier=self.tier,
            when_log_unwritable=self.when_log_unwritable,
            **limits,
        )


class ProjectTable(KeyTable, frozen=True):
    project: LimitTable | None = None


class PlanTable(ProjectTable, frozen=True):
    org: LimitTable | None = None


class OrgTable(PlanTable, frozen=True):
    plan: str | None = None
    projects: dict[_Name, ProjectTable] = {}
    keys: dict[_Subject, KeyTable] = {}

    def org_terms(self, name: str) -> OrgTerms:
        place = ("orgs", name)
        return OrgTerms(
            terms=self.terms(place, Level.org),
            plan=self.plan,
            projects={
                project: table.terms((*place, "projects", project), Level.project)
                for project, table in self.projects.items()
            },
            keys={
                key_pseudonym(subject): table.terms((*place, "keys", subject), Level.key)
                for subject, table in self.keys.items()
            },
        )


class PlansDocument(BaseModel, frozen=True, extra="forbid"):
    """A whole plans file; docs/limits.md."""

    default_plan: str | None = None
    fallback_plan: str | None = None
    plans: dict[_Name, PlanTable]
    orgs: dict[_Name, OrgTable] = {}

    def book(self) -> PlanBook:
        return PlanBook(
            plans={name: table.terms(("plans", name), Level.org) for name, table in self.plans.items()},
            rating_version=self.digest(),
            default_plan=self.default_plan,
            fallback_plan=self.fallback_plan,
            orgs={name: table.org_terms(name) for name, table in self.orgs.items()},
        )

    def digest(self) -> str:
        """Of what is said; comments, order and spelling of numbers do not count."""
        said = self.model_dump(mode="json", exclude_none=True)
        return _digest(json.dumps(said, sort_keys=True, separators=(",", ":")), RATING_VERSION_CHARS)


def parse(text: str) -> PlanBook:
    """The book of a plans file, its values checked one by one.

    Raises:
        DocumentRefused: every value that cannot be, or the first place that is not TOML.
    """
    try:
        tree = tomllib.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:  # ValueError: not TOML, or an integer too long to read
        where = str(error).rpartition(" (at ")
        raise DocumentRefused(
            [Mistake((), f"not TOML: {error}", f"not TOML{' (at ' + where[2] if where[1] else ''}")]
        ) from None
    return read_tree(tree)


def read_tree(tree: dict[str, Any]) -> PlanBook:
    """As `parse`, from what TOML says."""
    try:
        return PlansDocument.model_validate(tree).book()
    except ValidationError as error:
        raise DocumentRefused(
            [_mistake(found["loc"], found["type"], found["msg"]) for found in error.errors()]
        ) from None


_ELSEWHERE = {
    "projects": "projects stand below their org: [orgs.NAME.projects.NAME]",
    "keys": "keys stand below their org: [orgs.NAME.keys.SUBJECT]",
    "org": "limits of an org are shared by all its callers: they stand in [plans.NAME.org] or [orgs.NAME.org]",
    "project": "limits of a project are shared by all its keys: they stand in a plan, in an org or in the project",
    "plan": "only an org is bound to a plan: [orgs.NAME]",
}


def _mistake(loc: tuple[int | str, ...], kind: str, text: str) -> Mistake:
    is_key = bool(loc) and loc[-1] == "[key]"
    place = tuple(map(str, loc[:-1] if is_key else loc))
    if kind == "extra_forbidden":
        return Mistake(place, _ELSEWHERE.get(place[-1], "is not known here"))
    if kind == "missing":
        return Mistake(place, "is required")
    if is_key and kind == "string_pattern_mismatch":
        return Mistake(place, "is no name that a token can carry: 1 to 128 letters, digits or any of . _ : @ -")
    return Mistake(
        place, text.removeprefix("Value error, ").replace("Input should", "must").replace("dictionary", "table")
    )


def _digest(text: str, chars: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:chars]
