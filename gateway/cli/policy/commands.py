"""`patchbay policy`: bundles of residency rules, from the first line of one to the story of a session.

Each command stands in a file of its own and is entered below.
"""

from __future__ import annotations

import typer

from gateway.cli.policy import (
    diff,
    explain,
    init,
    lint,
    matrix,
    scenarios,
    sign,
    simulate,
    validate,
    verify,
)

policy_app = typer.Typer(
    name="policy",
    help="Where audio and words may go: check, test, compare, sign and explain bundles of residency rules.",
    no_args_is_help=True,
)


@policy_app.callback()
def policy() -> None:
    """Where audio and words may go: check, test, compare, sign and explain bundles of residency rules."""


policy_app.command("init")(init.init)
policy_app.command("validate")(validate.validate)
policy_app.command("lint")(lint.lint)
policy_app.command("diff")(diff.diff)
policy_app.command("explain")(explain.explain)
policy_app.command("matrix")(matrix.matrix)
policy_app.command("simulate")(simulate.simulate)
policy_app.command("test")(scenarios.ask_tables)
policy_app.command("keygen")(sign.keygen)
policy_app.command("sign")(sign.sign)
policy_app.command("verify")(verify.verify)
