"""Services beside the links, for peer regions alone: a certificate that somebody trusted signed is not enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc

if TYPE_CHECKING:
    from collections.abc import Callable

    from regions.relay.identity import PeerCheck


class PeersOnly(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no type information
    """Stands before a service whose methods are unary.

    Args:
        on_rejected: told of each call that was turned away.
    """

    def __init__(self, service: grpc.GenericRpcHandler, peers: PeerCheck, on_rejected: Callable[[], None]) -> None:
        self._service = service
        self._peers = peers
        self._on_rejected = on_rejected

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        method = self._service.service(handler_call_details)
        if method is None or method.unary_unary is None:
            return None

        async def checked(request: Any, context: Any) -> Any:
            if self._peers.region_of(context) is None:
                self._on_rejected()
                await context.abort(grpc.StatusCode.PERMISSION_DENIED, "the certificate is of no peer region")
            return await method.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(
            checked,
            request_deserializer=method.request_deserializer,
            response_serializer=method.response_serializer,
        )
