"""The numbered dangers of Envoy as a mutual-TLS gateway: each a security bug if built otherwise."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.app.state import BUNDLE, CHAIN, KEY
from handclasp.testing.calls import Caller, call, curl
from handclasp.testing.site import handclasp
from handclasp.testing.upstream import EchoApi

if TYPE_CHECKING:
    from tests.e2e.conftest import Laboratory

REFUSED = (OSError, http.client.HTTPException)


def is_refused(lab: Laboratory, files: Path | None, **more: Any) -> bool:
    """Whether a caller gets no HTTP answer at all."""
    try:
        call(lab.alone_port, lab.trust, files, "GET", "/", **more)
    except REFUSED:
        return True
    return False


def test_danger_1_no_certificate_is_no_authenticated_caller(lab: Laboratory) -> None:
    """A TLS client without a certificate is refused, also by rules that allow every identity."""
    assert is_refused(lab, None)


def test_danger_1_insecure_without_a_certificate_is_refused(lab: Laboratory) -> None:
    """curl --insecure skips the caller's checks, not ours."""
    done = curl("--insecure", f"https://localhost:{lab.alone_port}/", trust=lab.trust)
    assert (done.returncode in (16, 35, 55, 56), done.stdout) == (True, "")


@pytest.mark.parametrize(
    ("path", "status"),
    [("/v1/orders", 200), ("/v1/orders/7", 200), ("/v1/ordersX", 403), ("/v1/orders-all/7", 403), ("/V1/orders", 403)],
)
def test_danger_2_a_path_rule_ends_at_a_segment(lab: Laboratory, path: str, status: int) -> None:
    """/v1/orders/** allows that path and what is below it, not what begins alike."""
    assert call(lab.port, lab.trust, lab.files("checkout"), "GET", path).status == status


def test_danger_3_a_header_that_we_do_not_set_is_not_the_callers(lab: Laboratory) -> None:
    """Where our value is empty, the caller's own does not survive."""
    host = "public.example.org"
    spoofed = [("X-Client-DN", "CN=root"), ("X-Client-Verify", "SUCCESS")]
    answer = call(lab.port, lab.trust, None, "GET", "/", sni=host, host=host, headers=spoofed)
    assert not [name for name, _ in answer.json["headers"] if name.startswith("x-client-")]


def test_danger_4_underscored_headers_are_dropped(lab: Laboratory) -> None:
    """X_Client_DN, which many servers read as X-Client-DN, does not reach the API."""
    answer = call(lab.alone_port, lab.trust, lab.files("all"), "GET", "/", headers=[("X_Client_DN", "CN=root")])
    assert "x_client_dn" not in dict(answer.json["headers"])


def test_danger_5_an_untrusted_certificate_is_never_accepted(lab: Laboratory, tmp_path: Path) -> None:
    """A certificate of another authority with the right SPIFFE ID is refused in the handshake."""
    other = tmp_path / "handclasp.yaml"
    other.write_text(lab.settings)
    handclasp(tmp_path, "client", "add", "all")
    assert is_refused(lab, tmp_path / ".handclasp" / "clients" / "all")


class Resuming:
    """A client that offers the session of its last connection at the next one."""

    def __init__(self, trust: Path, files: Path, version: ssl.TLSVersion) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.load_verify_locations(trust / BUNDLE)
        self._context.load_cert_chain(files / CHAIN, files / KEY)
        self._context.minimum_version = self._context.maximum_version = version
        self._session: ssl.SSLSession | None = None

    def status_and_reuse(self, port: int) -> tuple[bytes, bool | None]:
        """The status line's code, and whether the session was resumed. Raises OSError if refused."""
        raw = socket.create_connection(("127.0.0.1", port), timeout=10)
        with self._context.wrap_socket(raw, server_hostname="localhost", session=self._session) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            status = connection.recv(65536)[9:12]
            self._session = connection.session
            return status, connection.session_reused


VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])


@VERSIONS
def test_danger_6_a_client_that_offers_a_session_is_served(lab: Laboratory, version: ssl.TLSVersion) -> None:
    """A good client that tries to resume does a full handshake, and is known and allowed each time."""
    client = Resuming(lab.trust, lab.files("all"), version)
    assert [client.status_and_reuse(lab.alone_port) for _ in range(3)] == [(b"200", False)] * 3


@VERSIONS
def test_danger_7_an_expired_client_cannot_resume(own_lab: Laboratory, version: ssl.TLSVersion) -> None:
    """A session made while the certificate was valid opens nothing after it has expired."""
    own_lab.site.run("client", "add", "brief", "--lifetime", "10s")
    own_lab.site.change(own_lab.settings + "      - allow: spiffe://example.org/brief\n")
    client = Resuming(own_lab.trust, own_lab.site.client("brief"), version)
    assert client.status_and_reuse(own_lab.alone_port) == (b"200", False)
    time.sleep(11)
    try:
        status, _ = client.status_and_reuse(own_lab.alone_port)
    except OSError:
        status = b""
    assert status == b""  # an alert, or an end without an answer


def test_danger_8_the_list_of_revoked_certificates_is_checked(own_lab: Laboratory) -> None:
    """A revoked caller's new connection fails in the handshake, by the CRL, not only by the deny map."""
    own_lab.site.run("client", "revoke", "all")
    assert is_refused(own_lab, own_lab.files("all"))
    record = own_lab.site.wait_for_log(kind="connection", accepted=False)
    assert (record["code"], "provided_CRLs" in record["evidence"]) == ("CLIENT_CERT_REVOKED", True)


def test_danger_9_a_failed_handshake_proves_no_identity(own_lab: Laboratory, tmp_path_factory: Any) -> None:
    """What an unverified certificate says is logged as a claim."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "handclasp.yaml").write_text(own_lab.settings)
    handclasp(elsewhere, "client", "add", "all")
    assert is_refused(own_lab, elsewhere / ".handclasp" / "clients" / "all")
    record = own_lab.site.wait_for_log(kind="connection", accepted=False)
    assert (record.get("identity"), record["claimed"], record["code"]) == (
        None,
        "spiffe://example.org/all",
        "CLIENT_CERT_UNKNOWN_CA",
    )


def test_danger_10_an_open_connection_hears_of_a_revocation(own_lab: Laboratory) -> None:
    """The next request on a keep-alive connection that was open before is refused, in under a second."""
    with Caller(own_lab.alone_port, own_lab.trust, own_lab.files("all")) as caller:
        assert caller.send("GET", "/").status == 200
        own_lab.site.run("client", "revoke", "all")
        began = time.monotonic()
        answer = caller.send("GET", "/")
        assert (answer.status, answer.json["code"], time.monotonic() - began < 1) == (403, "CLIENT_CERT_REVOKED", True)


def test_danger_11_one_list_serves_two_authorities(own_lab: Laboratory) -> None:
    """After a revocation there is a list of the issuing authority and none of the root: other callers go on."""
    own_lab.site.run("client", "revoke", "checkout")
    assert call(own_lab.alone_port, own_lab.trust, own_lab.files("all"), "GET", "/").status == 200


@pytest.mark.parametrize(
    ("sni", "host", "status"),
    [
        ("localhost", "localhost", 403),
        ("localhost", "orders.example.org", 403),
        ("localhost", "users.example.org", 421),
        ("localhost", "public.example.org", 421),
        ("localhost", "LOCALHOST:1", 403),
        ("localhost", "unknown.example.org", 421),
        ("users.example.org", "localhost", 421),
        ("users.example.org", "Users.Example.Org", 403),
        ("public.example.org", "public.example.org", 200),
        ("public.example.org", "localhost", 421),
        ("public.example.org", "users.example.org:443", 421),
    ],
)
def test_danger_12_a_connection_reaches_its_own_services_hosts_alone(
    lab: Laboratory, sni: str, host: str, status: int
) -> None:
    """A connection made for one host name never reaches another service, `off` beside `required` included."""
    assert call(lab.port, lab.trust, lab.files("stranger"), "GET", "/", sni=sni, host=host).status == status


def test_danger_12_without_sni_too(lab: Laboratory) -> None:
    """A connection without SNI to the one service of a port is served its hosts and no others."""
    files = lab.files("all")
    statuses = [
        call(lab.alone_port, lab.trust, files, "GET", "/", sni=None, host=host).status
        for host in ("127.0.0.1", "localhost", "users.example.org")
    ]
    assert statuses == [200, 200, 421]


@pytest.mark.parametrize("sni", [None, "unknown.example.org"])
def test_danger_12_no_or_unknown_sni_is_refused_where_services_share_a_port(lab: Laboratory, sni: str | None) -> None:
    """Without a name there is no telling which service is meant (D16)."""
    with pytest.raises(REFUSED):
        call(lab.port, lab.trust, lab.files("all"), "GET", "/", sni=sni)


def test_danger_13_a_dns_name_does_not_pass_for_a_spiffe_id(own_lab: Laboratory) -> None:
    """Names are matched by their type: a rule for an identity looks at the URI alone."""
    own_lab.site.run("client", "add", "impostor", "--dns", "all.example.org")
    answer = call(own_lab.alone_port, own_lab.trust, own_lab.site.client("impostor"), "GET", "/")
    assert (answer.status, answer.json["identity"]) == (403, "spiffe://example.org/impostor")


def test_danger_14_an_upstream_of_another_authority_is_not_talked_to(own_lab: Laboratory) -> None:
    """An https upstream that does not verify answers 503, never its content."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    gateway = own_lab.site.state / "gateway" / "alone"
    context.load_cert_chain(gateway / CHAIN, gateway / KEY)  # of our own authority, which the system does not know
    with EchoApi(tls=context) as api:
        own_lab.site.change(own_lab.settings.replace(f"upstream: {own_lab.api.url}", f"upstream: {api.url}"))
        answer = call(own_lab.alone_port, own_lab.trust, own_lab.files("all"), "GET", "/")
        assert (answer.status, answer.json["code"]) == (503, "UPSTREAM_UNREACHABLE")
        assert own_lab.site.wait_for_log(kind="request", status=503)["code"] == "UPSTREAM_UNTRUSTED"


def test_danger_15_two_processes_never_share_a_port(own_lab: Laboratory) -> None:
    """Envoy's listeners do not reuse ports: another process of this user cannot take callers silently."""
    command = (
        "import socket;s=socket.socket();s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEPORT,1);"
        f"s.bind(('127.0.0.1',{own_lab.alone_port}));s.listen()"
    )
    done = subprocess.run(["python3", "-c", command], capture_output=True, text=True, check=False)
    assert "Address already in use" in done.stderr


def test_a_server_certificate_is_no_client_certificate(own_lab: Laboratory) -> None:
    """The gateway's own certificate, of the right authority and trust domain, opens nothing: its EKU is serverAuth."""
    assert is_refused(own_lab, own_lab.site.state / "gateway" / "alone")
    assert own_lab.site.wait_for_log(kind="connection", accepted=False)["code"] == "CLIENT_CERT_WRONG_EKU"


def test_a_caller_may_send_its_leaf_alone(lab: Laboratory, tmp_path: Path) -> None:
    """The gateway knows its issuing authority: a forgotten intermediate is no reason to refuse."""
    leaf, *_ = x509.load_pem_x509_certificates((lab.files("all") / CHAIN).read_bytes())
    (tmp_path / CHAIN).write_bytes(leaf.public_bytes(Encoding.PEM))
    (tmp_path / KEY).write_bytes((lab.files("all") / KEY).read_bytes())
    assert call(lab.alone_port, lab.trust, tmp_path, "GET", "/").status == 200
