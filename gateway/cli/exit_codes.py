"""What the commands' exit codes mean; those of sysexits.h where it has one. docs/cli.md lists them."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    ok = 0
    differs = 1
    """`usage reconcile`: what was settled, recorded and delivered is not the same. `lab drill`: it did not
    pass. `capacity check`: the rule does not hold. `audit verify`: it is not as it was written. `policy test`:
    a scenario fails. `policy lint`: something is wrong. `policy verify`: a gateway would not take the bundle.
    `policy diff`: decisions change. `policy simulate`: somebody has nowhere to go."""
    usage = 64
    """The command line or the settings are wrong."""
    data_rejected = 65
    """The audio, the model or a message of ours was refused; trying again will not help."""
    no_input = 66
    """The input file cannot be read, or there is nothing of that name."""
    unavailable = 69
    """The gateway cannot be reached or cannot serve now; trying again later helps."""
    internal = 70
    not_yet = 75
    """`usage reconcile`: some of a complete hour is still on its way. Orders: sessions are left, or
    a second person has to agree."""
    protocol_broken = 76
    """The server does not speak our protocol, or the connection broke in the middle."""
    not_permitted = 77
    """The token was refused."""
    interrupted = 130
