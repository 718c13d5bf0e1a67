"""Stored words over HTTP, on the listener for administrators alone. docs/retention.md has the requests and answers.

A list needs the scope `support`, words the scope `support` and an emergency permission, erasing the scope `erase`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from aiohttp import web
from pydantic import BaseModel, Field

from gateway.operations.audit_event import Act
from gateway.operations.bodies import Name, Why, read_body
from gateway.operations.operators import OperatorRefused
from gateway.operations.refusals import ActReason, ActRefused, refused
from gateway.operations.requests import body_of, told

if TYPE_CHECKING:
    from gateway.operations.operators import Operator, Operators
    from gateway.operations.transcript_acts import TranscriptActs
    from gateway.transcripts.interface import KeptSession, Transcript

_MAX_LISTED = 10_000
_REGION = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class EraseBody(BaseModel, frozen=True, extra="forbid"):
    """`POST /v1/transcripts/erase`. `project`: `ORG/PROJECT`, or `ORG/*`."""

    project: Name
    subject_id: Name = Field(min_length=1)
    reason: Why = Field(min_length=1)


class TranscriptsHttp:
    """Made by gateway.operations.building. `acts` None: this gateway stores none."""

    def __init__(self, support: Operators, erase: Operators, acts: TranscriptActs | None, *, here: str) -> None:
        self._support = support
        self._erase = erase
        self._acts_or_none = acts
        self._here = here

    def add_to(self, app: web.Application) -> None:
        router = app.router
        router.add_get("/v1/transcripts", told(self._list))
        router.add_post("/v1/transcripts/erase", told(self._erasing))
        router.add_get("/v1/transcripts/{session}", told(self._read))

    @property
    def _acts(self) -> TranscriptActs:
        if self._acts_or_none is None:
            raise refused(ActReason.no_transcripts, "this gateway stores no words: it has no section [transcripts]")
        return self._acts_or_none

    async def _list(self, request: web.Request) -> web.Response:
        await self._operator(request, self._support, Act.read)
        kept = await self._acts.sessions(request.query.get("project", ""))
        newest = [session_json(one) for one in kept[-_MAX_LISTED:]]
        return web.json_response({"here": self._here, "sessions": newest, "left_out": max(0, len(kept) - _MAX_LISTED)})

    async def _read(self, request: web.Request) -> web.Response:
        operator = await self._operator(request, self._support, Act.read)
        looks_from = request.query.get("from", self._here)
        if not _REGION.fullmatch(looks_from):
            mistake = "from: the name of the region that you are in"
            raise refused(ActReason.bad_request, mistake, mistakes=(mistake,))
        read = await self._acts.read(operator, request.match_info["session"], looks_from=looks_from)
        return web.json_response(
            {
                "here": self._here,
                "permission": read.permission.id,
                "ticket": read.permission.ticket,
                "pieces": [_piece_json(piece) for piece in read.pieces],
            },
            headers={"Cache-Control": "no-store"},
        )

    async def _erasing(self, request: web.Request) -> web.Response:
        raw = await body_of(request)
        operator = await self._operator(request, self._erase, Act.erase)
        try:
            body = read_body(EraseBody, raw)
        except ActRefused as error:
            await self._acts.note_refused(Act.erase, error, who=operator.subject)
            raise
        done = await self._acts.erase(operator, body.project, body.subject_id, body.reason)
        held = [one for one in done if one.why_not]
        if held and len(held) == len(done):
            reason = ActReason(held[0].why_not)
            raise refused(reason, f"nothing was erased: {', '.join(f'{one.project} {one.why_not}' for one in held)}")
        return web.json_response(
            {
                "here": self._here,
                "outcome": "erased",
                "projects": [
                    {"project": one.project, "pieces": one.pieces, "kept_because": one.why_not} for one in done
                ],
            }
        )

    async def _operator(self, request: web.Request, operators: Operators, act: Act) -> Operator:
        try:
            return await operators.identify(request.headers.getall("Authorization", []))
        except OperatorRefused as error:
            if self._acts_or_none is not None:
                await self._acts_or_none.note_refused(act, error, who=error.subject)
            raise


def session_json(session: KeptSession) -> dict[str, Any]:
    return {
        "session": session.session,
        "project": session.project,
        "region": session.region,
        "subject": session.subject,
        "data_class": session.data_class,
        "begun_at_unix_s": session.begun_at_s,
        "keep_until_unix_s": session.keep_until_s,
        "policy_digest": session.policy_digest,
    }


def _piece_json(piece: Transcript) -> dict[str, Any]:
    finals = [{"start_ms": one.start_ms, "end_ms": one.end_ms, "text": one.text} for one in piece.finals]
    return session_json(piece.session) | {"is_complete": piece.is_complete, "finals": finals}
