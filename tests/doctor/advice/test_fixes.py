"""What is advised: something for every code, every server and every client; the best first."""

from __future__ import annotations

import subprocess

import pytest

from handclasp.doctor.advice import CLIENTS, SERVERS, fixes
from handclasp.doctor.diagnosis import Fix, Side
from handclasp.findings import Code

FAMILIES = ("CLIENT_", "SERVER_", "TLS_", "MTLS_", "NET_", "PROTO_", "CLOCK_", "TRUST_", "CONFIG_", "FILE_", "CHAIN_")
CODES = [code for code in Code if code.startswith((*FAMILIES, "CREDENTIAL_"))]
_CHAIN = Code.CLIENT_CHAIN_INCOMPLETE


@pytest.mark.parametrize("server", ["", *SERVERS])
@pytest.mark.parametrize("code", CODES, ids=str)
def test_every_code_has_advice_for_every_product(code: Code, server: str) -> None:
    """A sentence, and something to type or to write, whichever the server and the client; no token is left."""
    for client in (*CLIENTS, "another"):
        found = fixes(code, server=server, clients=(client,))
        assert found
        for one in found:
            assert one.what.endswith(".") and one.what[0].isupper() and not {"!", "\n"} & set(one.what)
            assert one.commands or one.configuration or (server == "" and one.product == "")
            for line in (one.what, *one.commands, *one.configuration):
                assert not any(f"{{{token}}}" in line for token in ("cert", "key", "p12", "show", "host", "bundle"))


@pytest.mark.parametrize("code", CODES, ids=str)
def test_posix_commands_are_well_formed(code: Code) -> None:
    """Bash reads every command that is for it."""
    lines = {
        line
        for server in ("", *SERVERS)
        for one in fixes(code, server=server)
        if one.product != "iis"
        for line in one.commands
    }
    done = subprocess.run(["bash", "-n"], input="\n".join(sorted(lines)), text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_advice_where_nothing_can_be_done() -> None:
    """What is no fault has no remedy."""
    assert fixes(Code.OK, server="nginx") == ()


@pytest.mark.parametrize(
    ("server", "configuration", "reload"),
    [
        ("nginx", ("ssl_verify_depth 3;",), "nginx -t && nginx -s reload"),
        ("apache", ("SSLVerifyDepth 3",), "apachectl configtest && apachectl graceful"),
        (
            "haproxy",
            ("bind :443 ssl crt haproxy.pem ca-file client-ca.pem verify required",),
            "haproxy -c -f /etc/haproxy/haproxy.cfg && systemctl reload haproxy",
        ),
        (
            "envoy",
            (
                "common_tls_context:",
                "  validation_context:",
                '    trusted_ca: { filename: "client-ca.pem" }',
                "    max_verify_depth: 3",
            ),
            "envoy --mode validate -c /etc/envoy/envoy.yaml && systemctl restart envoy",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_a_chain_too_deep_is_allowed_at_the_server(server: str, configuration: tuple[str, ...], reload: str) -> None:
    """The first advice is the server's, exactly as the product writes it."""
    first = fixes(Code.CLIENT_CHAIN_TOO_DEEP, server=server)[0]
    assert (first.side, first.product, first.configuration) == (Side.SERVER, server, configuration)
    assert first.commands[-1] == reload


def test_an_incomplete_chain_is_completed_at_the_client() -> None:
    """The first advice joins the certificates and shows the result."""
    assert fixes(_CHAIN, server="nginx", clients=("curl",), facts={"host": "shop.test", "port": "8443"})[0] == Fix(
        Side.CLIENT,
        "Have the client send the intermediate behind its own certificate: both in one file, its own first.",
        "curl",
        (
            "cat client.pem intermediate.pem > client-chain.pem",
            "openssl crl2pkcs7 -nocrl -certfile client-chain.pem | openssl pkcs7 -print_certs -noout",
            "curl --cacert server-ca.pem --cert client-chain.pem --key client.key https://shop.test:8443/",
        ),
    )


def test_an_unknown_authority_is_added_at_the_server() -> None:
    """The first advice appends the issuer to the file that the server reads, and has it read."""
    facts = {"bundle": "/etc/nginx/clients.pem", "issuing": "acme-ca.pem", "issuer": "CN=Acme CA"}
    assert fixes(Code.CLIENT_CERT_UNKNOWN_CA, server="nginx", facts=facts)[0] == Fix(
        Side.SERVER,
        "Add CN=Acme CA, with its root, to the authorities by which the server judges its clients.",
        "nginx",
        ("cat acme-ca.pem >> /etc/nginx/clients.pem", "nginx -t && nginx -s reload"),
        ("ssl_client_certificate /etc/nginx/clients.pem;", "ssl_verify_client on;"),
    )


_AT_CLIENT = (
    Code.CLIENT_CERT_MISSING,
    Code.CLIENT_CERT_SELF_SIGNED,
    Code.CLIENT_CERT_EXPIRED,
    Code.CLIENT_CERT_WRONG_EKU,
    Code.CLIENT_CERT_REVOKED,
    Code.CLIENT_CHAIN_INCOMPLETE,
    Code.CLIENT_CHAIN_EXPIRED,
    Code.CLIENT_KEY_TOO_WEAK,
    Code.CLIENT_KEY_MISMATCH,
    Code.SERVER_CERT_UNKNOWN_CA,
    Code.SERVER_CERT_NOT_YET_VALID,
    Code.PROTO_PLAIN_HTTP_TO_TLS,
    Code.NET_DNS_FAILURE,
)
_AT_SERVER = (
    Code.CLIENT_CERT_UNKNOWN_CA,
    Code.CLIENT_CERT_CA_NAME_COLLISION,
    Code.CLIENT_CERT_NOT_SENT_CA_FILTER,
    Code.CLIENT_CHAIN_TOO_DEEP,
    Code.CLIENT_IDENTITY_NOT_ALLOWED,
    Code.SERVER_CERT_EXPIRED,
    Code.SERVER_CHAIN_INCOMPLETE,
    Code.SERVER_CERT_HOSTNAME_MISMATCH,
    Code.SERVER_CRL_EXPIRED,
    Code.SERVER_KEY_MISMATCH,
    Code.MTLS_OPTIONAL,
    Code.MTLS_NOT_ENFORCED,
    Code.PROTO_TLS_TO_PLAIN,
    Code.NET_CONNECTION_REFUSED,
)


@pytest.mark.parametrize(
    ("code", "side"), [(one, "client") for one in _AT_CLIENT] + [(one, "server") for one in _AT_SERVER]
)
def test_the_first_advice_is_where_the_cause_is(code: Code, side: str) -> None:
    """Alternatives on the other side come later."""
    assert fixes(code, server="nginx")[0].side == side


@pytest.mark.parametrize(("side", "code"), [("client", "CLIENT_CERT_EXPIRED"), ("server", "SERVER_CERT_EXPIRED")])
def test_a_chain_is_somebodys(side: str, code: str) -> None:
    """The verifier's own code becomes that of the side at hand."""
    assert fixes(Code.CHAIN_EXPIRED, server="nginx", facts={"side": side}) == fixes(Code(code), server="nginx")


def test_a_file_of_the_server_is_mended_at_the_server() -> None:
    """The side of a file's advice is the fact ``side``; its key is the server's."""
    found = fixes(Code.FILE_KEY_EXPOSED, server="nginx", facts={"side": "server", "key": "/etc/ssl/api.key"})
    assert [(one.side, one.commands) for one in found] == [
        (Side.SERVER, ("chmod 600 /etc/ssl/api.key", "ls -l /etc/ssl/api.key"))
    ]


def test_nobody_is_given_the_others_files() -> None:
    """The client's certificate stays out of the server's configuration; the server's out of the client's."""
    facts = {"cert": "mine.pem", "key": "mine.key"}
    server = fixes(Code.CLIENT_CHAIN_TOO_DEEP, server="openssl", facts=facts)[0]
    client = fixes(Code.SERVER_CERT_HOSTNAME_MISMATCH, clients=("python",), facts=facts)[-1]
    assert not any("mine" in line for line in (*server.commands, *client.configuration))
    assert 'context.load_cert_chain("client.pem", "client.key")' in client.configuration
