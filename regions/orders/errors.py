"""Why orders could not be read or changed."""

from __future__ import annotations


class OrdersError(Exception):
    """Base. The text names no address."""


class StoreAway(OrdersError):
    """Redis gave no answer, or none that could be used: what is known stays in force. A change may have been written
    although its answer was lost; then it is followed as soon as Redis answers.
    """


class TooManyOrders(OrdersError):
    """All of a region's orders together would be larger than gateways read."""


class RevisionConflict(OrdersError):
    """Others changed the orders again and again meanwhile; trying again helps."""


class OrdersMalformed(OrdersError):
    """What was read are no orders."""
