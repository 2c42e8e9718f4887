"""Resources in the JSON form of their messages, encoded as protobuf: the only module that knows the generated code."""

from __future__ import annotations

from typing import Any

# Each extension that a body names must be imported, or its Any cannot be resolved; these are all of ours.
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.rbac.v3 import rbac_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.access_loggers.file.v3 import file_pb2
from envoy.extensions.access_loggers.filters.cel.v3 import cel_pb2
from envoy.extensions.filters.http.lua.v3 import lua_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from envoy.extensions.matching.common_inputs.network.v3 import network_inputs_pb2
from envoy.extensions.rbac.principals.mtls_authenticated.v3 import mtls_authenticated_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2, tls_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf import any_pb2, json_format
from xds.type.v3 import typed_struct_pb2

from handclasp.dataplane.machine import Request, Response
from handclasp.dataplane.snapshot import CLUSTER, LISTENER, ROUTE, SECRET, Resource

EXTENSIONS = (
    rbac_pb2,
    file_pb2,
    cel_pb2,
    lua_pb2,
    http_rbac_pb2,
    router_pb2,
    tls_inspector_pb2,
    http_connection_manager_pb2,
    network_inputs_pb2,
    mtls_authenticated_pb2,
    tls_pb2,
    http_protocol_options_pb2,
    typed_struct_pb2,
)
_MESSAGES: dict[str, Any] = {
    CLUSTER: cluster_pb2.Cluster,
    LISTENER: listener_pb2.Listener,
    ROUTE: route_pb2.RouteConfiguration,
    SECRET: secret_pb2.Secret,
}


def encode(kind: str, resource: Resource) -> bytes:
    """The body as the bytes of its message; an unknown field or type raises json_format.ParseError."""
    message = json_format.ParseDict(dict(resource.body), _MESSAGES[kind]())
    encoded: bytes = message.SerializeToString(deterministic=True)
    return encoded


def parse_request(data: bytes) -> Request:
    """A DeltaDiscoveryRequest as the machine knows it."""
    message = discovery_pb2.DeltaDiscoveryRequest.FromString(data)
    return Request(
        type_url=message.type_url,
        subscribe=tuple(message.resource_names_subscribe),
        unsubscribe=tuple(message.resource_names_unsubscribe),
        initial_versions=dict(message.initial_resource_versions),
        nonce=message.response_nonce,
        error=message.error_detail.message if message.HasField("error_detail") else None,
    )


def encode_response(response: Response) -> bytes:
    """A response of the machine as the bytes of a DeltaDiscoveryResponse."""
    message = discovery_pb2.DeltaDiscoveryResponse(
        type_url=response.type_url,
        nonce=response.nonce,
        system_version_info=response.version,
        removed_resources=list(response.removed),
        resources=[
            discovery_pb2.Resource(
                name=resource.name,
                version=resource.version,
                resource=any_pb2.Any(type_url=response.type_url, value=encode(response.type_url, resource)),
            )
            for resource in response.resources
        ],
    )
    encoded: bytes = message.SerializeToString()
    return encoded
