"""Why orders could not be read or changed."""

from __future__ import annotations


class OrdersError(Exception):
    """Base. The text names no address."""


class StoreAway(OrdersError):
    """Redis gave no answer, or none that could be used: what is known stays in force, and nothing can be changed."""


class RevisionConflict(OrdersError):
    """Others changed the orders again and again meanwhile; trying again helps."""


class OrdersMalformed(OrdersError):
    """What was read are no orders."""
