"""TLS 1.2 with OpenSSL's server in memory: every cipher suite, every kind of key, with and without a certificate of
ours."""

from __future__ import annotations

import ssl

import pytest
from tests.tlswire.tls12_peer import (
    NO_EXTENDED_MASTER_SECRET,
    Direct,
    Files,
    MemoryServer,
    authority,
    cipher_id,
    client,
    credential,
    holder,
    offer,
    talk,
)

from handclasp.findings import Code
from handclasp.tlswire.exchange12 import SUITES, Exchange
from handclasp.tlswire.names import ECDSA_P256, ED25519, RSA_PKCS1_SHA256, RSA_PSS_SHA256
from handclasp.tlswire.offer import SAFE_CIPHERS, SECP256R1, SECP384R1, SECP521R1, TLS12, X25519
from handclasp.tlswire.seen import Alert, Answer, Event, Fault, Step

SCHEMES = {"ec": (ECDSA_P256,), "rsa": (RSA_PSS_SHA256,), "ed25519": (ED25519,)}


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Where the servers' keys are."""
    return Files(tmp_path_factory.mktemp("tls12"))


def kinds(cipher: int) -> tuple[str, ...]:
    """The kinds of keys that a server can have with this cipher."""
    return ("ec", "ed25519") if SUITES[cipher].ecdsa else ("rsa",)


@pytest.mark.parametrize("options", [0, NO_EXTENDED_MASTER_SECRET], ids=["extended", "old master secret"])
@pytest.mark.parametrize(
    ("cipher", "kind"),
    [pytest.param(cipher, kind, id=f"{cipher_id(cipher)}-{kind}") for cipher in SUITES for kind in kinds(cipher)],
)
def test_handshake(files: Files, cipher: int, kind: str, options: int) -> None:
    """Done on both sides, proved, and data goes both ways: the server's key exchange of each suite is understood."""
    server = MemoryServer(files.context(kind, options=options))
    ours = client(offer(cipher))
    talk(ours, server)
    seen = ours.seen
    assert (server.done, ours.established, seen.complete, seen.proved, seen.fault) == (True, True, True, True, None)
    assert (seen.version, seen.cipher, seen.answer) == (TLS12, cipher, Answer.NOT_ASKED)
    assert seen.chain == (holder(kind).der, authority().der)
    assert seen.group == (X25519 if SUITES[cipher].exchange is Exchange.ECDHE else None)
    assert (seen.signature_scheme is None) is (SUITES[cipher].exchange is Exchange.RSA)

    long = bytes(range(256)) * 200
    server.receive(ours.write(b"first") + ours.write(b"") + ours.write(long))
    assert server.received == b"first" + long
    ours.receive(server.write(long))
    assert ours.take() == long
    server.receive(ours.close())
    assert server.error is None


def test_the_server_may_lack_the_extended_master_secret(files: Files) -> None:
    """The option of the tests above does what it says."""
    found = []
    for options in (0, NO_EXTENDED_MASTER_SECRET):
        ours = client(trace=True)
        talk(ours, MemoryServer(files.context(options=options)))
        hello = next(event for event in ours.seen.events if event.what == "ServerHello")
        found.append("extended_master_secret" in hello.facts["extensions"])
    assert found == [True, False]


@pytest.mark.parametrize("group", [X25519, SECP256R1, SECP384R1, SECP521R1])
def test_every_group(files: Files, group: int) -> None:
    """Also those that the hello of TLS 1.3 had no key share for."""
    server = MemoryServer(files.context("rsa"))
    ours = client(offer(groups=(group,), shares=(group,) if group == X25519 else ()))
    talk(ours, server)
    assert (server.done, ours.seen.group, ours.seen.complete) == (True, group, True)


def test_a_hello_for_both_versions(files: Files) -> None:
    """The usual hello, to a server that has nothing newer than TLS 1.2."""
    server = MemoryServer(files.context())
    ours = client(offer(versions=(0x0304, TLS12)))
    talk(ours, server)
    assert (server.done, ours.seen.version, ours.seen.complete, ours.seen.fault) == (True, TLS12, True, None)


def test_alpn(files: Files) -> None:
    """The protocol that the server chose."""
    server = MemoryServer(files.context(alpn=("http/1.1",)))
    ours = client(offer(alpn=("h2", "http/1.1")))
    talk(ours, server)
    assert (server.done, ours.seen.alpn, server.tls.selected_alpn_protocol()) == (True, "http/1.1", "http/1.1")


@pytest.mark.parametrize("cipher", SAFE_CIPHERS, ids=cipher_id)
@pytest.mark.parametrize("kind", SCHEMES)
def test_a_credential_is_shown(files: Files, kind: str, cipher: int) -> None:
    """The server takes our certificate, whatever its key and that of the server."""
    server = MemoryServer(files.context(kinds(cipher)[0], verify=ssl.CERT_REQUIRED))
    ours = client(offer(cipher))
    talk(ours, server, credential(kind, SCHEMES[kind]))
    assert (server.done, server.error, ours.seen.complete) == (True, None, True)
    assert ours.seen.answer is Answer.SHOWN
    assert server.tls.getpeercert(binary_form=True) == holder(kind, "client.example.org").der


def test_the_scheme_is_the_first_that_the_server_takes(files: Files) -> None:
    """In our order of preference; one that TLS 1.2 does not have (ML-DSA) is left out."""
    server = MemoryServer(files.context("ec", verify=ssl.CERT_REQUIRED))
    ours = client(offer(*SAFE_CIPHERS), trace=True)
    talk(ours, server, credential("rsa", (0x0905, 0x0999, RSA_PKCS1_SHA256, RSA_PSS_SHA256)))
    assert server.done
    verify = next(event for event in ours.seen.events if event.what == "CertificateVerify")
    assert verify == Event(True, "CertificateVerify", {"signature_scheme": "rsa_pkcs1_sha256"})


def test_a_credential_that_the_server_cannot_take(files: Files) -> None:
    """None of its schemes is among the server's: an empty Certificate goes out, and what was is seen."""
    server = MemoryServer(files.context("ec", verify=ssl.CERT_OPTIONAL))
    ours = client(offer(*SAFE_CIPHERS))
    talk(ours, server, credential("rsa", (0x0905,)))
    assert (server.done, ours.seen.answer) == (True, Answer.NO_SCHEME)
    assert server.tls.getpeercert(binary_form=True) is None


def test_a_credential_that_nobody_asked_for(files: Files) -> None:
    """It is not shown."""
    server = MemoryServer(files.context("ec"))
    ours = client(offer(*SAFE_CIPHERS))
    talk(ours, server, credential("ec", SCHEMES["ec"]))
    assert (server.done, ours.seen.answer, ours.seen.request) == (True, Answer.NOT_ASKED, None)


@pytest.mark.parametrize("cipher", [cipher for cipher in SUITES if cipher not in SAFE_CIPHERS], ids=cipher_id)
def test_no_credential_under_an_unsafe_cipher(files: Files, cipher: int) -> None:
    """Though it was offered by mistake, and the server asks: nothing but an alert goes out, and nothing is signed."""
    server = MemoryServer(files.context(kinds(cipher)[0], verify=ssl.CERT_REQUIRED))
    ours = client(offer(cipher))
    talk(ours, server, credential("ec", SCHEMES["ec"]))
    assert (server.done, ours.over, ours.seen.answer) == (False, True, None)
    fault = ours.seen.fault
    assert fault is not None
    assert (fault.code, fault.step) == (Code.TLS_NO_SHARED_CIPHER, Step.SERVER_FLIGHT)
    assert server.error is not None
    assert server.error.reason == "SSLV3_ALERT_HANDSHAKE_FAILURE"


def test_required_and_missing(files: Files) -> None:
    """Alert 40, after our flight: the server requires a certificate."""
    server = MemoryServer(files.context(verify=ssl.CERT_REQUIRED))
    ours = client()
    talk(ours, server)
    seen = ours.seen
    assert seen.alerts == [Alert(40, True, Step.CLIENT_FLIGHT)]
    assert (seen.answer, seen.complete, seen.proved, ours.over) == (Answer.EMPTY, False, True, True)


def test_optional_and_missing(files: Files) -> None:
    """The server asks, naming no authority, and goes on without."""
    server = MemoryServer(files.context(verify=ssl.CERT_OPTIONAL))
    ours = client()
    talk(ours, server)
    request = ours.seen.request
    assert request is not None
    assert request.authorities == ()
    assert set(request.certificate_types) >= {1, 64}
    assert {ECDSA_P256, RSA_PSS_SHA256, ED25519} <= set(request.signature_algorithms)
    assert (server.done, ours.seen.answer, ours.seen.complete, ours.seen.alerts) == (True, Answer.EMPTY, True, [])


def test_the_trace_tells_each_message(files: Files) -> None:
    """In order, with who sent it."""
    ours = client(offer(*SAFE_CIPHERS), trace=True)
    talk(ours, MemoryServer(files.context(verify=ssl.CERT_REQUIRED)), credential("ec", SCHEMES["ec"]))
    assert [(event.sent, event.what) for event in ours.seen.events] == [
        (True, "ClientHello"),
        (False, "ServerHello"),
        (False, "Certificate"),
        (False, "ServerKeyExchange"),
        (False, "CertificateRequest"),
        (False, "ServerHelloDone"),
        (True, "Certificate"),
        (True, "ClientKeyExchange"),
        (True, "CertificateVerify"),
        (True, "Finished"),
        (False, "Finished"),
    ]


def test_octet_by_octet(files: Files) -> None:
    """However the network cuts it."""
    server, ours = MemoryServer(files.context()), client()
    to_server = ours.start()
    while to_server:
        to_us = server.receive(to_server)
        to_server = b"".join(ours.receive(to_us[at : at + 1]) for at in range(len(to_us)))
        if ours.ready:
            to_server += ours.answer(None)
    assert (server.done, ours.seen.complete) == (True, True)


@pytest.mark.parametrize(
    ("version", "name"), [(ssl.TLSVersion.TLSv1, "TLS 1.0"), (ssl.TLSVersion.TLSv1_1, "TLS 1.1")], ids=["1.0", "1.1"]
)
def test_an_old_version(files: Files, version: ssl.TLSVersion, name: str) -> None:
    """The chain and the question for a certificate are seen, nothing is believed proved, and the version is why it
    ends."""
    context = files.context("rsa", verify=ssl.CERT_REQUIRED)
    with pytest.warns(DeprecationWarning):
        context.minimum_version = version
    with pytest.warns(DeprecationWarning):
        context.maximum_version = version
    server, ours = MemoryServer(context), client()
    talk(ours, server)
    seen = ours.seen
    assert seen.fault == Fault(
        Code.TLS_VERSION_MISMATCH, f"the server chose {name}: too old, TLS 1.2 is the least", Step.SERVER_FLIGHT
    )
    assert (seen.version, seen.chain) == (version, (holder("rsa").der, authority().der))
    assert seen.request is not None
    assert set(seen.request.certificate_types) >= {1, 64}
    assert (seen.proved, seen.complete, seen.answer, server.done) == (False, False, None, False)


def test_direct_does_what_the_client_does(files: Files) -> None:
    """The harness of the hostile tests makes a whole handshake."""
    server = MemoryServer(files.context())
    direct = Direct(server)
    direct.start()
    direct.take(direct.finish())
    assert direct.session.seen.complete
    assert server.done
