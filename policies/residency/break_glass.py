"""Emergency permissions: who may ask policy to look at a case as an emergency, for what, where and until when. Pure.

A permission allows nothing. It makes `hasBreakGlass` true in the questions that it covers, and policy decides: a rule
may permit what it would not otherwise, and a statutory forbid forbids all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from policies.residency.vocabulary import Action

if TYPE_CHECKING:
    from collections.abc import Iterable

EVERY_PROJECT = "*"
"""As a project's name: each project of the org."""
MAX_PERMISSIONS = 100
LONGEST_S = 90_000
"""A day, and how long a permission may have waited for its second person."""


class PermissionState(StrEnum):
    pending = "pending"
    """It waits for a second person, and covers nothing until then."""
    open = "open"
    closed = "closed"
    """Somebody closed it before its time; it is kept until then, so that no older copy opens it again."""


@dataclass(frozen=True, slots=True)
class Permission:
    """One emergency. Instants are Unix seconds.

    Attributes:
        id: of 12 hexadecimal digits.
        person: who asked for it, and may use it: the subject of an operator's token.
        approver: the second person; empty while it is pending.
        actions: of policies.residency.vocabulary.Action.
        project: `ORG/PROJECT`, or `ORG/*` for each project of an org.
        regions: where.
        not_after_s: it ends by itself then.
    """

    id: str
    person: str
    ticket: str
    reason: str
    actions: tuple[str, ...]
    project: str
    regions: tuple[str, ...]
    given_at_s: int
    not_after_s: int
    state: PermissionState = PermissionState.pending
    approver: str = ""

    def is_over(self, now_s: float) -> bool:
        return now_s >= self.not_after_s

    def is_open(self, now_s: float) -> bool:
        """Two people agreed, for no longer than two may, and its time is not over: whoever can write to Redis, or to a
        copy, could put anything else there.
        """
        return (
            self.state is PermissionState.open
            and not self.is_over(now_s)
            and bool(self.person and self.approver)
            and self.person != self.approver
            and self.not_after_s - self.given_at_s <= LONGEST_S
        )

    def covers(self, *, project: str, action: str, region: str, now_s: float) -> bool:
        """`project`: `ORG/PROJECT` of the situation that policy is asked about; empty is covered by nothing."""
        return (
            self.is_open(now_s)
            and action in self.actions
            and region in self.regions
            and _is_within(project, self.project)
        )


@dataclass(frozen=True, slots=True)
class Permissions:
    """All of a region. `revision` rises with each change."""

    revision: int = 0
    permissions: tuple[Permission, ...] = ()

    def find(self, permission_id: str) -> Permission | None:
        return next((one for one in self.permissions if one.id == permission_id), None)

    def covering(self, *, project: str, action: str, region: str, now_s: float, person: str = "") -> Permission | None:
        """The one that ends last of those that cover it. `person`: only those that were given to him."""
        found = [
            one
            for one in self.permissions
            if (not person or one.person == person)
            and one.covers(project=project, action=action, region=region, now_s=now_s)
        ]
        return max(found, key=lambda one: (one.not_after_s, one.id), default=None)

    def opened(self, now_s: float) -> tuple[Permission, ...]:
        """Those that cover something now."""
        return tuple(one for one in self.permissions if one.is_open(now_s))


def mistakes_in(
    *, actions: Iterable[str], project: str, regions: Iterable[str], ticket: str, reason: str
) -> tuple[str, ...]:
    """What is wrong with a wish, each with the member where it stands."""
    known = {action.value for action in Action}
    asked, where = tuple(actions), tuple(regions)
    mistakes = [f"actions: {name!r} is none of {', '.join(sorted(known))}" for name in asked if name not in known]
    if not asked:
        mistakes.append("actions: name what is to be done")
    if not where:
        mistakes.append("regions: name where")
    org, slash, name = project.partition("/")
    if not org or not slash or not name or "/" in name or org == EVERY_PROJECT:
        mistakes.append("project: ORG/PROJECT, or ORG/* for each project of an org")
    if not ticket:
        mistakes.append("ticket: where the emergency is written down")
    if not reason:
        mistakes.append("reason: why? It is kept with the permission and in every log")
    return tuple(mistakes)


def _is_within(project: str, scope: str) -> bool:
    org, slash, name = scope.partition("/")
    if not project or not slash:
        return False
    return project.startswith(f"{org}/") if name == EVERY_PROJECT else project == scope
