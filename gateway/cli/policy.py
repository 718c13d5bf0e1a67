"""`patchbay policy`: bundles of residency rules, from the first line of one to the story of a session.

Each command stands in a file of its own, `policy_*.py`, and is entered below.
"""

from __future__ import annotations

import typer

from gateway.cli import (
    policy_diff,
    policy_explain,
    policy_init,
    policy_lint,
    policy_matrix,
    policy_sign,
    policy_simulate,
    policy_test,
    policy_validate,
    policy_verify,
)

policy_app = typer.Typer(
    name="policy",
    help="Where audio and words may go: check, test, compare, sign and explain bundles of residency rules.",
    no_args_is_help=True,
)


@policy_app.callback()
def policy() -> None:
    """Where audio and words may go: check, test, compare, sign and explain bundles of residency rules."""


policy_app.command("init")(policy_init.init)
policy_app.command("validate")(policy_validate.validate)
policy_app.command("lint")(policy_lint.lint)
policy_app.command("diff")(policy_diff.diff)
policy_app.command("explain")(policy_explain.explain)
policy_app.command("matrix")(policy_matrix.matrix)
policy_app.command("simulate")(policy_simulate.simulate)
policy_app.command("test")(policy_test.ask_tables)
policy_app.command("keygen")(policy_sign.keygen)
policy_app.command("sign")(policy_sign.sign)
policy_app.command("verify")(policy_verify.verify)
