"""The closed words of residency: a bundle's schema must enumerate exactly these, as entity types of the same names."""

from __future__ import annotations

from enum import StrEnum


class Action(StrEnum):
    """What is done with a caller's audio or words, or with what is known of them. Each is permitted apart."""

    terminate = "terminate"
    """A gateway of the region ends the client's connection and hears the audio."""
    relay = "relay"
    """A relay of the region passes audio from another region's gateway to engines of its own."""
    process = "process"
    """An engine of the region recognises a session that begins."""
    failover = "failover"
    """An engine of the region goes on with a session that was elsewhere."""
    store_checkpoint = "store_checkpoint"
    """The region keeps how far a session is (no audio, no words)."""
    store_transcript = "store_transcript"
    replicate_meter = "replicate_meter"
    """Usage without content leaves for a receiver of the region."""
    support_access = "support_access"
    """A person of the operator's looks at a session, from the region."""
    erase_transcript = "erase_transcript"
    """Stored words of a subject are erased. Denied while a legal hold stands."""


class DataClass(StrEnum):
    """What is spoken about. `policies.residency.situation.strictest` says how two of them go together."""

    public = "public"
    personal = "personal"
    special_category = "special-category"
    """GDPR art. 9."""
    phi = "phi"
    """Protected health information, 45 CFR 160.103."""
    card_holder = "card-holder"
    """PCI DSS."""
    government = "government"
    minors = "minors"


class LegalBasis(StrEnum):
    """GDPR art. 6 (1); `unstated` where nobody said."""

    unstated = "unstated"
    contract = "contract"
    consent = "consent"
    legal_obligation = "legal-obligation"
    vital_interests = "vital-interests"
    public_task = "public-task"
    legitimate_interest = "legitimate-interest"


class Trigger(StrEnum):
    """What a decision is made for."""

    initial = "initial"
    failover = "failover"
    drain = "drain"
    rebalance = "rebalance"


class Verdict(StrEnum):
    allow = "Allow"
    deny = "Deny"
    no_decision = "NoDecision"
    """The question does not fit the schema. Counts as a deny, and somebody should know."""
