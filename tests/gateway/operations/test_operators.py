"""Who may act: a good token with the scope and a subject, that nobody revoked."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from aiohttp import ClientSession

from gateway.admission.revocation_check import NothingRevoked
from gateway.dev_keys import DEV_ISSUER
from gateway.errors import AuthenticationFailed, Reason
from gateway.operations.operators import Operator, OperatorRefused, Operators
from tests.gateway.operations.operations_world import OperationsWorld

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from policies.facts import Caller

pytestmark = pytest.mark.unit


class AllRevoked:
    def check(self, caller: Caller) -> None:
        raise AuthenticationFailed(Reason.token_revoked)


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[OperationsWorld]:
    async with ClientSession() as http:
        yield OperationsWorld(tmp_path, http)


async def test_the_scope_and_a_subject_are_enough(there: OperationsWorld) -> None:
    operators = Operators(there.verifier, NothingRevoked(), lambda: int(time.time()))
    assert await operators.identify([f"Bearer {there.token('ada')}"]) == Operator("ada")


async def test_a_callers_token_is_refused_with_the_name_of_its_subject(there: OperationsWorld) -> None:
    operators = Operators(there.verifier, NothingRevoked(), lambda: int(time.time()))
    with pytest.raises(OperatorRefused) as refused:
        await operators.identify([f"Bearer {there.token('eve', scopes=('speech:stream',))}"])
    assert (refused.value.reason, refused.value.status, refused.value.subject) == ("scope_missing", 403, "eve")


async def test_a_revoked_token_may_nothing(there: OperationsWorld) -> None:
    operators = Operators(there.verifier, AllRevoked(), lambda: int(time.time()))
    with pytest.raises(OperatorRefused, match="token_revoked"):
        await operators.identify([f"Bearer {there.token('ada')}"])


async def test_an_expired_token_may_nothing(there: OperationsWorld) -> None:
    operators = Operators(there.verifier, NothingRevoked(), lambda: int(time.time()) + 10_000)
    with pytest.raises(OperatorRefused, match="token_expired"):
        await operators.identify([f"Bearer {there.token('ada')}"])


async def test_two_tokens_at_once_are_none(there: OperationsWorld) -> None:
    operators = Operators(there.verifier, NothingRevoked(), lambda: int(time.time()))
    with pytest.raises(OperatorRefused, match="token_malformed"):
        await operators.identify([f"Bearer {there.token(name)}" for name in ("ada", "bob")])


async def test_an_issuer_that_may_not_prove_operators_proves_none(there: OperationsWorld) -> None:
    operators = Operators(there.verifier, NothingRevoked(), lambda: int(time.time()), issuers=("https://ours",))
    with pytest.raises(OperatorRefused, match="scope_missing") as refused:
        await operators.identify([f"Bearer {there.token('ada')}"])
    assert refused.value.subject == ""
    ours = Operators(there.verifier, NothingRevoked(), lambda: int(time.time()), issuers=(DEV_ISSUER,))
    assert await ours.identify([f"Bearer {there.token('ada')}"]) == Operator("ada")
