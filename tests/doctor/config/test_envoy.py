"""Envoy's configuration: what each filter chain demands, by JSON, by YAML, and by the files it names."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.dataplane.envoy import binary
from handclasp.doctor.config import envoy
from handclasp.doctor.config.envoy import Malformed, Node
from handclasp.doctor.config.model import Configuration, MutualServer, Named, Setting, Verify
from handclasp.doctor.diagnosis import Place, Severity
from handclasp.doctor.sources import Source
from handclasp.findings import Code

MAIN = "/etc/envoy/envoy.json"
_TYPE = "type.googleapis.com/envoy.extensions."
_STRICT = {"disable_stateless_session_resumption": True, "disable_stateful_session_resumption": True}
_CA = {"trusted_ca": {"filename": "/etc/envoy/ca.pem"}}


def _bootstrap(tls: Mapping[str, Any], manager: Mapping[str, Any] | None = None, **static: Any) -> dict[str, Any]:
    http = {"@type": _TYPE + "filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "x",
            "route_config": {"virtual_hosts": []}, "http_filters": [{"name": "envoy.filters.http.router",
            "typed_config": {"@type": _TYPE + "filters.http.router.v3.Router"}}], **(manager or {})}  # fmt: skip
    socket = {"@type": _TYPE + "transport_sockets.tls.v3.DownstreamTlsContext", **tls}
    chain = {
        "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": socket},
        "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": http}],
    }
    listener = {
        "name": "in",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 8443}},
        "filter_chains": [chain],
    }
    return {"static_resources": {"listeners": [listener], **static}}


def _read(text: str | bytes, **others: str) -> Configuration:
    files = {MAIN: text, **{f"/etc/envoy/{name}.json": one for name, one in others.items()}}

    def load(path: str) -> Source:
        found = files.get(path)
        if found is None:
            return Source(path, b"", unreadable="there is no such file")
        return Source(path, found.encode() if isinstance(found, str) else found)

    return envoy.read(MAIN, load)


def _server(tls: Mapping[str, Any], manager: Mapping[str, Any] | None = None, **static: Any) -> MutualServer:
    return _read(json.dumps(_bootstrap(tls, manager, **static))).servers[0]


def _asking(required: bool = True, **context: Any) -> dict[str, Any]:
    common = {"validation_context": {**_CA, **context}}
    return {"require_client_certificate": required, **_STRICT, "common_tls_context": common}


def _found(server: MutualServer) -> list[tuple[Code, Severity]]:
    return [(one.code, one.severity) for one in server.ailments]


_WHOLE = """{"static_resources": {"listeners": [{
  "name": "in", "address": {"socketAddress": {"address": "0.0.0.0", "portValue": 8443}},
  "filterChains": [{
    "filterChainMatch": {"serverNames": ["api.test"]},
    "transportSocket": {"typedConfig": {
      "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
      "requireClientCertificate": true,
      "commonTlsContext": {
        "tlsParams": {
          "tlsMinimumProtocolVersion": "TLSv1_3"},
        "tlsCertificates": [{"certificateChain": {"filename": "/s.pem"},
          "privateKey": {"filename": "s.key"}}],
        "validationContext": {
          "trustedCa": {"filename": "/ca.pem"},
          "crl": {"filename": "/crl.pem"},
          "maxVerifyDepth": 3}}}}}]}]}}"""


def test_a_chain_is_read_whole() -> None:
    """Names in lowerCamelCase too, each setting with its line."""

    def at(line: int) -> Place:
        return Place(MAIN, line)

    assert _read(_WHOLE) == Configuration(
        "envoy",
        (MAIN,),
        (
            MutualServer(
                product="envoy",
                name="0.0.0.0:8443 (api.test)",
                place=at(5),
                verify=Setting("require_client_certificate: true", at(7)),
                verifies=Verify.REQUIRED,
                certificates=(Named("/s.pem", at(11)),),
                keys=(Named("/etc/envoy/s.key", at(12)),),
                trust=(Named("/ca.pem", at(14)),),
                crls=(Named("/crl.pem", at(15)),),
                depth=3,
                depth_place=at(16),
                protocols=("TLSv1.3",),
                protocols_place=at(10),
                resumes=Setting("disable_stateless_session_resumption: false (the default)", at(5)),
            ),
        ),
    )


@pytest.mark.parametrize(
    ("tls", "verifies", "found"),
    [
        (_asking(), Verify.REQUIRED, []),
        (_asking(False), Verify.OPTIONAL, [(Code.MTLS_OPTIONAL, Severity.WARNING)]),
        ({"common_tls_context": {"validation_context": _CA}}, Verify.OPTIONAL,
         [(Code.MTLS_OPTIONAL, Severity.WARNING)]),
        ({"require_client_certificate": True}, Verify.OPTIONAL_UNVERIFIED, [(Code.MTLS_NOT_ENFORCED, Severity.ERROR)]),
        (_asking(trust_chain_verification="ACCEPT_UNTRUSTED"), Verify.OPTIONAL_UNVERIFIED,
         [(Code.MTLS_NOT_ENFORCED, Severity.ERROR)]),
        (_asking(crl={"filename": "/c"}, only_verify_leaf_cert_crl=True), Verify.REQUIRED,
         [(Code.CONFIG_NO_REVOCATION, Severity.NOTE)]),
        (_asking(crl={"filename": "/c"}, custom_validator_config={"name": "envoy.tls.cert_validator.spiffe"}),
         Verify.REQUIRED, [(Code.CONFIG_NO_REVOCATION, Severity.ERROR)]),
        (_asking(trusted_ca={"filename": "/etc/ssl/certs/ca-certificates.crt"}), Verify.REQUIRED,
         [(Code.CONFIG_PUBLIC_ROOTS, Severity.ERROR)]),
        ({"require_client_certificate": True, "common_tls_context": {"validation_context_sds_secret_config":
          {"name": "far"}}}, Verify.REQUIRED, [(Code.TRUST_STORE_UNREADABLE, Severity.NOTE)]),
    ],
    ids=["required", "false", "absent", "no trust", "untrusted", "leaf", "spiffe", "system", "sds"],
)  # fmt: skip
def test_what_is_demanded(tls: dict[str, Any], verifies: Verify, found: list[tuple[Code, Severity]]) -> None:
    """What a chain really demands, and what is found."""
    server = _server(tls)
    assert (server.verifies, _found(server)) == (verifies, found)


def test_a_chain_that_asks_nobody_is_no_mutual_server() -> None:
    """TLS alone is no matter of this examination."""
    assert _read(json.dumps(_bootstrap({"common_tls_context": {}}))).servers == ()


@pytest.mark.parametrize(
    ("tls", "value"),
    [
        (_STRICT, None),
        ({}, "disable_stateless_session_resumption: false (the default)"),
        ({"disable_stateless_session_resumption": True}, "disable_stateful_session_resumption: false (the default)"),
        ({**_STRICT, "session_ticket_keys": {"keys": []}}, "session_ticket_keys"),
    ],
    ids=["off", "default", "tickets off", "keys"],
)
def test_resumption(tls: dict[str, Any], value: str | None) -> None:
    """Sessions are resumed unless both settings forbid it."""
    resumes = _server({"require_client_certificate": True, **tls}).resumes
    assert (resumes.value if resumes else None) == value


_ADD = {"request_headers_to_add": [{"header": {"key": "x-dn", "value": "%DOWNSTREAM_PEER_SUBJECT%"}}]}


@pytest.mark.parametrize(
    ("manager", "found"),
    [
        ({}, 0),
        ({"forward_client_cert_details": "SANITIZE_SET"}, 0),
        ({"forward_client_cert_details": "ALWAYS_FORWARD_ONLY"}, 1),
        ({"forward_client_cert_details": "APPEND_FORWARD"}, 1),
        ({"route_config": _ADD}, 1),
        ({"route_config": {**_ADD, "request_headers_to_remove": ["X-DN"]}}, 0),
    ],
    ids=["sanitize", "set", "forward", "append", "added", "removed first"],
)
def test_identity_headers(manager: dict[str, Any], found: int) -> None:
    """A header that a caller can fill is a finding."""
    assert _found(_server(_asking(), manager)) == [(Code.CONFIG_IDENTITY_HEADER, Severity.ERROR)] * found


def test_a_secret_of_the_same_file_is_found() -> None:
    """SDS by name, among the static secrets; what it holds inline is embedded."""
    secret = {"name": "ca", "validation_context": {"trusted_ca": {"inline_bytes": base64.b64encode(b"PEM").decode()}}}
    common = {"combined_validation_context": {"default_validation_context": {"max_verify_depth": 2},
              "validation_context_sds_secret_config": {"name": "ca"}}}  # fmt: skip
    tls = {"require_client_certificate": True, "common_tls_context": common}
    server = _server(tls, secrets=[secret])
    label = f"{MAIN}:1"
    assert (server.depth, server.trust) == (2, (Named(label, Place(MAIN, 1), Source(label, b"PEM", line=1)),))


def test_a_secret_of_another_file_is_found() -> None:
    """SDS by path: the file is read, and has its own places."""
    secret = {
        "@type": _TYPE + "transport_sockets.tls.v3.Secret",
        "name": "ca",
        "validation_context": {"trusted_ca": {"filename": "ca.pem"}},
    }
    config = {"name": "ca", "sds_config": {"path_config_source": {"path": "/etc/envoy/sds.json"}}}
    tls = {"require_client_certificate": True, "common_tls_context": {"validation_context_sds_secret_config": config}}
    found = _read(json.dumps(_bootstrap(tls)), sds=json.dumps({"resources": [secret]}, indent=1))
    assert (found.files, found.servers[0].trust) == (
        (MAIN, "/etc/envoy/sds.json"),
        (Named("/etc/envoy/ca.pem", Place("/etc/envoy/sds.json", 8)),),
    )


def test_a_key_in_the_configuration() -> None:
    """It is found with its line, and shown nowhere."""
    key = "-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----\n"
    tls = _asking()
    tls["common_tls_context"]["tls_certificates"] = [{"private_key": {"inline_string": key}}]
    found = _read(json.dumps(_bootstrap(tls)))
    assert [one.code for one in found.ailments] == [Code.FILE_KEY_IN_CONFIG]
    assert "SECRET" not in repr(found)


@pytest.mark.parametrize(
    ("text", "line"),
    [('{\n"a": }', 2), ('{"a": [1,\n2', 2), ('{"a": "b\n', 1), ("\n\nlisteners:", 3), ("[" * 500, 1), ("", 1)],
    ids=["value", "end", "string", "yaml", "deep", "empty"],
)
def test_faults_have_their_line(text: str, line: int) -> None:
    """What is no JSON, and cannot be YAML where nobody reads it."""
    assert [(one.code, one.place) for one in _read(text).ailments] == [(Code.CONFIG_UNREADABLE, Place(MAIN, line))]


def _yaml(data: bytes) -> Node:
    """A reader that knows one text, and refuses every other."""
    if data != b"yaml":
        raise Malformed("not that", 7)
    tls = {"@type": Node("x.DownstreamTlsContext", 3), "require_client_certificate": Node(True, 4)}
    chain = Node({"transport_socket": Node({"typed_config": Node(dict(tls), 3)}, 2)}, 2)
    listener = Node({"name": Node("in", 1), "filter_chains": Node([chain], 1)}, 1)
    return Node({"static_resources": Node({"listeners": Node([listener], 1)}, 1)}, 1)


def test_yaml_is_read_by_what_is_given() -> None:
    """Its lines are kept, and its errors told."""
    good = envoy.read("/e.yaml", lambda path: Source(path, b"yaml"), _yaml)
    bad = envoy.read("/e.yaml", lambda path: Source(path, b"else"), _yaml)
    assert (good.servers[0].verify.place, bad.ailments[0].place) == (Place("/e.yaml", 4), Place("/e.yaml", 7))


@given(st.binary(max_size=300))
def test_octets_never_raise(data: bytes) -> None:
    """Whatever the file holds."""
    assert _read(data).product == "envoy"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


_NAMES = ("listeners", "filter_chains", "validation_context", "trusted_ca", "transport_socket", "route_config",
          "request_headers_to_add", "socket_address", "max_verify_depth")  # fmt: skip


@given(st.sampled_from(_NAMES), _JSON)
def test_values_of_other_kinds_never_raise(name: str, value: Any) -> None:
    """Any value in the place of any other."""
    whole = json.loads(json.dumps(_bootstrap(_asking(max_verify_depth=1), {"route_config": _ADD})))
    waiting: list[Any] = [whole]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            one.update({name: value} if name in one else {})
            waiting.extend(inner for key, inner in one.items() if key != name)
        elif isinstance(one, list):
            waiting.extend(one)
    assert _read(json.dumps(whole)).ailments == ()


def test_envoy_takes_the_configuration(tmp_path: Path) -> None:
    """What these tests read, the program itself takes."""
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=s -keyout s.key -out s.pem"
    )
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True, timeout=30)
    tls = _asking(trusted_ca={"filename": str(tmp_path / "s.pem")}, max_verify_depth=2)
    tls["common_tls_context"]["tls_certificates"] = [
        {"certificate_chain": {"filename": f"{tmp_path}/s.pem"}, "private_key": {"filename": f"{tmp_path}/s.key"}}
    ]
    manager = {
        "forward_client_cert_details": "SANITIZE_SET",
        "route_config": {**_ADD, "request_headers_to_remove": ["x-dn"]},
    }
    path = tmp_path / "envoy.json"
    path.write_text(json.dumps(_bootstrap(tls, manager)))
    command_line = [str(binary()), "--mode", "validate", "-c", str(path), "-l", "error", "--disable-hot-restart"]
    done = subprocess.run(command_line, capture_output=True, text=True, timeout=60, check=False)
    found = envoy.read(str(path), lambda one: Source(one, Path(one).read_bytes()))
    assert (done.returncode, done.stderr) == (0, "")
    assert (found.ailments, [_found(one) for one in found.servers]) == ((), [[]])
