"""Who may act: a token of an issuer that the gateway trusts, with the scope for it and a subject."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.admission.carriers import token_of_request
from gateway.errors import TABLE, AuthenticationFailed, Reason, Unavailable
from gateway.operations.refusals import ActReason, ActRefused, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from gateway.admission.revocation_check import RevocationCheck
    from gateway.admission.tokens import TokenVerifier

OPERATE = "operate"
BREAK_GLASS = "break-glass"
"""Emergency permissions, asked for and confirmed."""
SUPPORT = "support"
"""What is stored of sessions is looked at; policy is asked each time."""
ERASE = "erase"
"""What is stored of a subject is erased."""


@dataclass(frozen=True, slots=True)
class Operator:
    """`subject`: of his token. Two subjects are two people; the same one of two issuers is one person."""

    subject: str


class OperatorRefused(ActRefused):
    """`subject`: whom the token proves, where it proves anybody."""

    def __init__(self, reason: str, detail: str, status: int, *, subject: str = "") -> None:
        super().__init__(reason, detail, status)
        self.subject = subject


class Operators:
    """The door to acts.

    Args:
        verifier: of the gateway; the scopes that its callers need are not asked of operators.
        issuers: whose tokens may prove operators; empty: each.
        scope: that the token needs.
    """

    def __init__(
        self,
        verifier: TokenVerifier,
        revocations: RevocationCheck,
        now_s: Callable[[], int],
        *,
        issuers: Collection[str] = (),
        scope: str = OPERATE,
    ) -> None:
        self._verifier = verifier.requiring(())
        self._revocations = revocations
        self._now_s = now_s
        self._issuers = frozenset(issuers)
        self._scope = scope

    async def identify(self, authorization: Sequence[str]) -> Operator:
        """Who sends this.

        Args:
            authorization: every value of the header.

        Raises:
            OperatorRefused: he may not act, or it cannot be told now whether he may.
        """
        try:
            token = token_of_request(authorization=authorization)
            if token is None:
                detail = f"send `Authorization: Bearer <token>`, a token with the scope `{self._scope}`"
                raise AuthenticationFailed(Reason.token_missing, detail)
            caller = await self._verifier.verify(token, now_s=self._now_s())
            self._revocations.check(caller)
        except (AuthenticationFailed, Unavailable) as error:
            row = TABLE[error.reason]
            raise OperatorRefused(error.reason.value, error.detail or row.meaning, row.http) from None
        row = TABLE[Reason.scope_missing]
        if self._issuers and caller.token.issuer not in self._issuers:
            # Its subject is not told: it may read like that of an operator.
            detail = f"no token of this issuer has the scope `{self._scope}` here"
            raise OperatorRefused(Reason.scope_missing.value, detail, row.http)
        if self._scope not in caller.scopes:
            detail = f"the token needs the scope `{self._scope}`"
            raise OperatorRefused(Reason.scope_missing.value, detail, row.http, subject=caller.subject)
        if not caller.subject.strip():
            said = refused(ActReason.subject_missing, "the token needs a subject (`sub`): acts are done by somebody")
            raise OperatorRefused(said.reason, said.detail, said.status)
        return Operator(caller.subject)
