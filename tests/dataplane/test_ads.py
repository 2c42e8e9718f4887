"""The discovery service over its socket, with a client that says no."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from envoy.service.discovery.v3 import discovery_pb2

from handclasp.dataplane.ads import AdsServer
from handclasp.dataplane.snapshot import CLUSTER, Snapshot
from handclasp.findings import Code, Refused

METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"


def test_an_envoy_that_rejects_what_it_is_sent(tmp_path: Path) -> None:
    """Whoever waits for the confirmation is told which resource, and why: GATEWAY_REJECTED_CONFIG."""

    async def scenario() -> Refused:
        body = {"name": "orders", "type": "STATIC"}
        ads = AdsServer(tmp_path / "ads", Snapshot.of({CLUSTER: {"orders": body}}))
        await ads.start()
        try:
            async with grpc.aio.insecure_channel(f"unix:{tmp_path / 'ads'}") as channel:
                method: Any = channel.stream_stream(
                    METHOD,
                    request_serializer=discovery_pb2.DeltaDiscoveryRequest.SerializeToString,
                    response_deserializer=discovery_pb2.DeltaDiscoveryResponse.FromString,
                )
                stream = method()
                await stream.write(discovery_pb2.DeltaDiscoveryRequest(type_url=CLUSTER))
                response = await stream.read()
                rejection = discovery_pb2.DeltaDiscoveryRequest(type_url=CLUSTER, response_nonce=response.nonce)
                rejection.error_detail.message = "no such filter"
                await stream.write(rejection)
                with pytest.raises(Refused) as caught:
                    await asyncio.wait_for(ads.confirmed(), 10)
                stream.cancel()
        finally:
            await ads.stop()
        return caught.value

    refused = asyncio.run(scenario())
    assert (refused.code, refused.what, refused.why) == (
        Code.GATEWAY_REJECTED_CONFIG,
        "Envoy rejected orders",
        "no such filter",
    )
