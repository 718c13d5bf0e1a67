"""An AWS on this machine for Terraform to apply to: moto, and answers that the AWS provider waits for and moto lacks.

What moto cannot do at all, and so is planned only, is listed in terraform/README.md.
"""

from __future__ import annotations

import json
import logging
from io import BytesIO
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from moto.budgets.models import budgets_backends
from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from tests.terraform import stack_resources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

NUM_APPLIED = pytest.StashKey[int]()
"""How many resources were made here and taken away again, for the summary of a test run."""
_BUDGETS = "AWSBudgetServiceGateway"
IN_STACKS = (stack_resources.StackSecret, stack_resources.StackUser)
"""What CloudFormation makes here besides what moto's makes, which finds them because they are imported."""


class AwsServer:
    """Serves on a free port of loopback from `start` to `stop`; what is made there lives in this process."""

    def __init__(self) -> None:
        self._server: Any = None
        self._thread: Thread | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> AwsServer:
        logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
        moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, _Completed(moto), threaded=True)
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        if self._thread is not None:
            self._thread.join(timeout=10)
        self._server.server_close()


class _Completed:
    """moto's application, and around it what moto keeps of a budget and does not tell: the subscribers of its
    notifications, and its tags.
    """

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application
        self._tags: dict[str, list[dict[str, str]]] = {}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        service, _, action = environ.get("HTTP_X_AMZ_TARGET", "").partition(".")
        if service != _BUDGETS:
            return self._application(environ, start_response)
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        asked = json.loads(body)
        match action:
            case "DescribeSubscribersForNotification":
                said: dict[str, Any] = {"Subscribers": _subscribers(asked)}
            case "ListTagsForResource":
                said = {"ResourceTags": self._tags.get(asked["ResourceARN"].rpartition("/")[2], [])}
            case _:
                if action == "CreateBudget":
                    self._tags[asked["Budget"]["BudgetName"]] = asked.get("ResourceTags", [])
                return self._application({**environ, "wsgi.input": BytesIO(body)}, start_response)
        return Response(json.dumps(said), content_type="application/x-amz-json-1.1")(environ, start_response)


def _subscribers(asked: dict[str, Any]) -> list[dict[str, Any]]:
    budget = budgets_backends[DEFAULT_ACCOUNT_ID]["aws"].budgets[asked["AccountId"]][asked["BudgetName"]]
    found = [kept.subscribers for kept in budget.notifications if _is_same(kept.details, asked["Notification"])]
    return list(found[0]) if found else []


def _is_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """`NotificationState` is the service's own."""
    names = ("NotificationType", "ComparisonOperator", "ThresholdType", "Threshold")
    return all(one.get(name) == other.get(name) for name in names)
