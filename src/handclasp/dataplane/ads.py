"""The aggregated discovery service: serves the machine's streams over gRPC on a Unix socket."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc

from handclasp.dataplane import protos
from handclasp.dataplane.machine import Response, Stream
from handclasp.dataplane.snapshot import Snapshot
from handclasp.dataplane.unixpath import short
from handclasp.findings import Code, Refused

_log = logging.getLogger("handclasp.ads")
_SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"


class Connected:
    """One Envoy on the line: its stream's state and the responses on their way to it."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.machine = Stream(snapshot)
        self.outgoing: asyncio.Queue[Response | None] = asyncio.Queue()

    def send(self, responses: list[Response]) -> None:
        """Queue responses in their order."""
        for response in responses:
            self.outgoing.put_nowait(response)


class AdsServer:
    """Keeps every connected Envoy on the newest snapshot, and knows which have confirmed it."""

    def __init__(self, path: Path, snapshot: Snapshot) -> None:
        self._path = path
        self._snapshot = snapshot
        self._connected: set[Connected] = set()
        self._changed = asyncio.Condition()
        self._server = grpc.aio.server(options=(("grpc.max_receive_message_length", 1 << 24),))

    async def start(self) -> None:
        """Listen on the socket (mode 0600 by its directory and by its own)."""
        handler = grpc.stream_stream_rpc_method_handler(
            self._stream,
            request_deserializer=protos.parse_request,
            response_serializer=protos.encode_response,
        )
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(_SERVICE, {"DeltaAggregatedResources": handler}),)
        )
        self._path.unlink(missing_ok=True)
        with short(self._path) as address:
            self._server.add_insecure_port(f"unix:{address}")
            await self._server.start()
        self._path.chmod(0o600)

    async def stop(self) -> None:
        """End all streams and close the socket."""
        await self._server.stop(grace=None)
        self._path.unlink(missing_ok=True)

    def publish(self, snapshot: Snapshot) -> None:
        """Send every Envoy what it lacks of this snapshot."""
        self._snapshot = snapshot
        for connected in self._connected:
            connected.send(connected.machine.publish(snapshot))

    @property
    def count(self) -> int:
        """How many Envoys are connected."""
        return len(self._connected)

    async def confirmed(self) -> None:
        """Wait until at least one Envoy is connected and all that are have confirmed the newest snapshot.

        Raises Refused (GATEWAY_REJECTED_CONFIG) when one rejects it.
        """
        async with self._changed:
            await self._changed.wait_for(self._is_settled)
        for connected in self._connected:
            for rejected in connected.machine.rejected.values():
                raise Refused(
                    Code.GATEWAY_REJECTED_CONFIG,
                    f"Envoy rejected {', '.join(rejected.resources)}",
                    rejected.why,
                    "The last good configuration goes on serving. This is a fault of Handclasp: please report it.",
                )

    def _is_settled(self) -> bool:
        machines = [connected.machine for connected in self._connected]
        return any(m.rejected for m in machines) or (bool(machines) and all(m.acknowledged for m in machines))

    async def _stream(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Response]:
        connected = Connected(self._snapshot)
        self._connected.add(connected)
        reader = asyncio.create_task(self._read(requests, connected))
        try:
            while (response := await connected.outgoing.get()) is not None:
                yield response
        finally:
            reader.cancel()
            self._connected.discard(connected)
            async with self._changed:
                self._changed.notify_all()

    async def _read(self, requests: AsyncIterator[Any], connected: Connected) -> None:
        try:
            async for request in requests:
                connected.send(connected.machine.receive(request))
                if request.error is not None and request.type_url in connected.machine.rejected:
                    rejected = connected.machine.rejected[request.type_url]
                    _log.error("Envoy rejected %s: %s", ", ".join(rejected.resources), rejected.why)
                async with self._changed:
                    self._changed.notify_all()
        finally:
            connected.outgoing.put_nowait(None)  # the end of the stream
