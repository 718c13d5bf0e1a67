"""A command's questions to a gateway's admin listener, and its acts there; refusals as exit codes."""

from __future__ import annotations

import http.client
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, NoReturn

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.dev_keys import state_directory
from gateway.running_regions import newest

_TIMEOUT_S = 10.0
_MAX_ANSWER_BYTES = 4_194_304
_EXIT_CODES = {
    400: ExitCode.data_rejected,
    401: ExitCode.not_permitted,
    403: ExitCode.not_permitted,
    404: ExitCode.no_input,
    409: ExitCode.data_rejected,
    413: ExitCode.data_rejected,
    503: ExitCode.unavailable,
}
_NOT_OF_THE_TOKEN = ("needs_break_glass", "not_permitted")
_NEEDS_TOKEN = "give an operator's token with --token or PATCHBAY_OPERATOR_TOKEN; it needs the scope `{}`"


class AdminRefused(Exception):
    """The gateway would not, or did not answer. `reason`: its word for why; empty where it has none."""

    def __init__(self, text: str, exit_code: ExitCode, reason: str = "") -> None:
        super().__init__(text)
        self.exit_code = exit_code
        self.reason = reason


class AdminClient:
    """`url`: of the admin listener or of its metrics; empty: of the region that `patchbay up` runs here. `scope`: what
    the token needs, for who has to be told.
    """

    def __init__(self, url: str, token: str = "", *, scope: str = "operate") -> None:
        base = (url or _running_here()).rstrip("/").removesuffix("/metrics")
        if not _is_address(base):
            raise AdminRefused("--admin-url must be http:// or https:// and a host and port", ExitCode.usage)
        self.base = base
        self._token = token.strip()
        self._scope = scope

    def get(self, path: str, **query: str | int) -> dict[str, Any]:
        """Raises AdminRefused."""
        return self._ask(f"{path}?{urllib.parse.urlencode(query)}" if query else path, None)

    def get_secret(self, path: str, **query: str | int) -> dict[str, Any]:
        """What the gateway shows only to whom a token proves. Raises AdminRefused."""
        return self._ask(f"{path}?{urllib.parse.urlencode(query)}" if query else path, None, is_secret=True)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Raises AdminRefused."""
        return self._ask(path, json.dumps(body).encode())

    def _ask(self, path: str, body: bytes | None, *, is_secret: bool = False) -> dict[str, Any]:
        request = urllib.request.Request(self.base + path, data=body)
        if body is not None:
            request.add_header("Content-Type", "application/json")
        if self._token and (body is not None or is_secret):
            request.add_header("Authorization", f"Bearer {self._token}")
        try:
            with _OPENER.open(request, timeout=_TIMEOUT_S) as response:
                answer = json.loads(response.read(_MAX_ANSWER_BYTES))
        except urllib.error.HTTPError as error:
            raise _refusal(error, self._scope) from None
        except (TimeoutError, urllib.error.URLError, ConnectionError) as error:
            why = getattr(error, "reason", None) or type(error).__name__
            raise AdminRefused(f"the gateway at {self.base} cannot be asked: {why}", ExitCode.unavailable) from None
        except (OSError, ValueError, http.client.HTTPException):
            raise AdminRefused("the gateway's answer cannot be read", ExitCode.protocol_broken) from None
        if not isinstance(answer, dict):
            raise AdminRefused("the gateway's answer cannot be read", ExitCode.protocol_broken)
        return answer


def _is_address(url: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def failed(error: AdminRefused) -> NoReturn:
    """End the command with it."""
    sys.stderr.write(f"{error}\n")
    raise typer.Exit(error.exit_code) from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A token goes where it was sent to, and nowhere else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects())


def _running_here() -> str:
    region = newest(state_directory(os.environ))
    if region is None or "metrics" not in region:
        raise AdminRefused("no region runs here: say with --admin-url where a gateway's metrics are", ExitCode.usage)
    return str(region["metrics"])


def _refusal(error: urllib.error.HTTPError, scope: str) -> AdminRefused:
    try:
        said = json.loads(error.read(_MAX_ANSWER_BYTES))["error"]
        reason, detail = str(said["reason"]), str(said["detail"])
        mistakes = [str(mistake) for mistake in said.get("mistakes", [])]
    except (OSError, ValueError, KeyError, TypeError):
        text = f"the gateway answers {error.code}: is this its admin listener, and of this release?"
        return AdminRefused(text, ExitCode.protocol_broken)
    code = ExitCode.unavailable if reason == "conflict" else _EXIT_CODES.get(error.code, ExitCode.internal)
    text = f"{reason}: {detail}" if not mistakes else "\n".join(f"{reason}: {mistake}" for mistake in mistakes)
    if code is ExitCode.not_permitted and reason not in _NOT_OF_THE_TOKEN:
        text += f"\n{_NEEDS_TOKEN.format(scope)}"
    return AdminRefused(text, code, reason)
