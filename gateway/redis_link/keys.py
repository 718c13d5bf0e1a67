"""The names of all keys in Redis. Pure.

Everything of one org carries its name as hash tag, so that one script may touch it all in a cluster too:

    {org}:bucket:LEVEL   hash    balance_us, held_us, at_us, carry     compute; see policies.compute_quota.Bucket
    {org}:starts:LEVEL   hash    the same, in micro-starts
    {org}:leases:LEVEL   zset    session -> expires_at_ms (Redis's clock)
    {org}:tab:SESSION    hash    labels (JSON), numbers (MessagePack, one after the other: TAB_NUMBERS)
    {org}:meter          stream  usage events, see gateway.metering.entries
    {org}:tally          hash    HOUR:settled_us, HOUR:recorded_us, HOUR:events    (HOUR: Unix hours of `at_ms`)
    {org}:probe          string  written to see whether writing works
    {org}:lend:LEVEL     hash    in the home region: the root bucket, what regions were lent; gateway/escrow/lend.lua
    {org}:borrow:LEVEL   hash    in every region: what it received and returned; gateway/escrow/credit.lua
    {org}:commit:SESSION hash    generation, tab, data     where a session stands that this region has or had
    {org}:copy:SESSION   hash    the same                  of a session of another region; gateway/resumption

Of the installation:

    orgs                 set     every org that has a meter stream
    revocations          stream  revocations of tokens, see gateway.admission.revocation_log
    revocations:restorer string  held by the gateway that writes them anew
    operations:{REGION}:audit    stream  what operators did, see gateway.operations.audit
    operations:{REGION}:glass    hash    emergency permissions, see gateway.operations.glass_in_redis
    engines:{REGION}:…           leases of engines; written by engines.registration, which names them

LEVEL is `o`, `p:PROJECT` or `k:KEY`. The leases of `o` name every session of the org, limited or not, and an entry that
has expired stays there, uncounted, until a sweep has closed its tab: that is how sweeps find what a gateway left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from policies.plans import Level

if TYPE_CHECKING:
    from policies.plans import Principal

TAB_NUMBERS = (
    *("state", "held_at", "held_us", "settled", "settled_us", "settled_audio_ms", "settled_conn_ms"),
    *("recorded", "recorded_us", "recorded_audio_ms", "recorded_conn_ms", "at_ms"),
    *("num_cuts", "last_cut"),
)
"""What a session holds, has settled and has recorded. `state`: 0 open, 1 closed, 2 swept, 3 known from events alone.
`held_at`: 1 key + 2 project + 4 org, the levels at which `held_us` is held. `settled`, `recorded`: the first slice that
is not; the others of these names: of all slices before. `at_ms`: of the last slice. `num_cuts`, `last_cut`: see
gateway.limits.calls.Reply.
"""


@dataclass(frozen=True, slots=True)
class Names:
    """`prefix` as in RedisSettings."""

    prefix: str

    @property
    def orgs(self) -> str:
        """Set: every org that has a meter stream. Written before the org's first session is opened."""
        return f"{self.prefix}:orgs"

    @property
    def revocations(self) -> str:
        return f"{self.prefix}:revocations"

    @property
    def revocations_restorer(self) -> str:
        return f"{self.prefix}:revocations:restorer"

    def audit(self, region: str) -> str:
        return f"{self.prefix}:operations:{{{region}}}:audit"

    def break_glass(self, region: str) -> str:
        return f"{self.prefix}:operations:{{{region}}}:glass"

    def org(self, org: str) -> str:
        """What every key of the org begins with. Names of orgs have no braces (gateway.admission.claims)."""
        return f"{self.prefix}:{{{org}}}"

    def bucket(self, who: Principal, level: Level) -> str:
        return f"{self.org(who.org)}:bucket:{_suffix(who, level)}"

    def starts(self, who: Principal, level: Level) -> str:
        return f"{self.org(who.org)}:starts:{_suffix(who, level)}"

    def leases(self, who: Principal, level: Level) -> str:
        return f"{self.org(who.org)}:leases:{_suffix(who, level)}"

    def tab(self, org: str, session_id: str) -> str:
        return f"{self.org(org)}:tab:{session_id}"

    def meter(self, org: str) -> str:
        return f"{self.org(org)}:meter"

    def tally(self, org: str) -> str:
        return f"{self.org(org)}:tally"

    def commit(self, org: str, session_id: str) -> str:
        return f"{self.org(org)}:commit:{session_id}"

    def commit_copy(self, org: str, session_id: str) -> str:
        return f"{self.org(org)}:copy:{session_id}"

    def probe(self, org: str) -> str:
        return f"{self.org(org)}:probe"

    def lend(self, who: Principal, level: Level) -> str:
        return f"{self.org(who.org)}:lend:{_suffix(who, level)}"

    def borrow(self, who: Principal, level: Level) -> str:
        return f"{self.org(who.org)}:borrow:{_suffix(who, level)}"


def _suffix(who: Principal, level: Level) -> str:
    match level:
        case Level.org:
            return "o"
        case Level.project:
            return f"p:{who.project}"
        case Level.key:
            return f"k:{who.key}"
