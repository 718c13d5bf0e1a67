"""A real Redis Cluster of a test's own: three nodes without replicas, all 16,384 slots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.harness.ports import free_port
from tests.harness.redis_server import RedisServer
from tests.harness.waiting import until_sync

if TYPE_CHECKING:
    from pathlib import Path

SLOTS = 16_384
_NODES = 3


class RedisTestCluster:
    """Talks to its nodes by their own clients, so that it sees what is where."""

    def __init__(self, folder: Path) -> None:
        self._bus_ports = [free_port() for _ in range(_NODES)]
        self.nodes = [
            RedisServer(
                folder / f"node{number}",
                *("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port", str(bus_port)),
            )
            for number, bus_port in enumerate(self._bus_ports)
        ]

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(node.url for node in self.nodes)

    def start(self) -> RedisTestCluster:
        for number, node in enumerate(self.nodes):
            node.start()
            first, beyond = SLOTS * number // _NODES, SLOTS * (number + 1) // _NODES
            _ask(node, "CLUSTER", "ADDSLOTSRANGE", first, beyond - 1)
            _ask(node, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node, bus_port in zip(self.nodes[1:], self._bus_ports[1:], strict=True):
            _ask(self.nodes[0], "CLUSTER", "MEET", "127.0.0.1", node.port, bus_port)
        until_sync(self._is_whole, what="the cluster")
        return self

    def _is_whole(self) -> bool:
        infos = [str(_ask(node, "CLUSTER", "INFO")) for node in self.nodes]
        return all("cluster_state:ok" in info and f"cluster_known_nodes:{_NODES}\r" in info for info in infos)

    def keeper(self, key: str) -> RedisServer:
        """The node that has the key."""
        (node,) = [node for node in self.nodes if self.has(node, key)]
        return node

    def has(self, node: RedisServer, key: str) -> bool:
        """Whether the node's own memory has it."""
        return key in _ask(node, "KEYS", "*")

    def move(self, key: str, target: RedisServer) -> None:
        """Give the key's slot, with all keys in it, to another node, as an operator does it."""
        source = self.keeper(key)
        slot = _ask(source, "CLUSTER", "KEYSLOT", key)
        source_id, target_id = (_ask(node, "CLUSTER", "MYID") for node in (source, target))
        _ask(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
        _ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
        keys = _ask(source, "CLUSTER", "GETKEYSINSLOT", slot, 10_000)
        _ask(source, "MIGRATE", "127.0.0.1", target.port, "", 0, 5_000, "KEYS", *keys)
        for node in (target, source, *self.nodes):
            _ask(node, "CLUSTER", "SETSLOT", slot, "NODE", target_id)

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()


def _ask(node: RedisServer, *command: object) -> Any:
    with node.client() as client:
        return client.execute_command(*command)  # type: ignore[arg-type]
