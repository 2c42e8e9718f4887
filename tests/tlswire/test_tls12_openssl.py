"""TLS 1.2 with ``openssl s_server``, for what the standard library cannot be told: staples, fragments, names of
authorities, renegotiation, other primes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from tests.tlswire.tls12_peer import (
    ALL,
    ALWAYS,
    Files,
    Process,
    authority,
    cipher_id,
    client,
    credential,
    holder,
    offer,
    s_server,
)

from handclasp.findings import Code
from handclasp.tlswire.names import ECDSA_P256, RSA_PSS_SHA256
from handclasp.tlswire.offer import OLD_CIPHERS, SAFE_CIPHERS, TLS12, TLS13
from handclasp.tlswire.seen import Alert, Answer, Step

OF_RSA = [cipher for cipher in (*SAFE_CIPHERS, *OLD_CIPHERS) if "ECDSA" not in cipher_id(cipher)]


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Where the servers' keys are."""
    return Files(tmp_path_factory.mktemp("tls12"))


@pytest.fixture(scope="session")
def staple() -> bytes:
    """The authority's word that the RSA server's certificate is good."""
    made = ocsp.OCSPResponseBuilder().add_response(
        holder("rsa").certificate,
        authority().certificate,
        hashes.SHA1(),
        ocsp.OCSPCertStatus.GOOD,
        ALWAYS["begins"],
        ALWAYS["ends"],
        None,
        None,
    )
    signed = made.responder_id(ocsp.OCSPResponderEncoding.HASH, authority().certificate)
    return signed.sign(authority().key, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.fixture(scope="session")
def optional(files: Files, staple: bytes) -> Iterator[Process]:
    """An RSA server with every cipher, a staple, a prime of 2048 bits and small fragments; a certificate is asked
    for."""
    response = files.directory / "staple.der"
    response.write_bytes(staple)
    arguments: list[str | Path] = [
        "-no_tls1_3",
        "-cipher",
        ALL,
        "-verify",
        "3",
        "-CAfile",
        files.authorities(),
        "-cert_chain",
    ]
    arguments += [files.authorities(), "-status_file", response, "-max_send_frag", "512"]
    with s_server(files, "rsa", *arguments, "-dhparam", files.dh_parameters("ffdhe2048")) as process:
        yield process


@pytest.mark.parametrize("cipher", OF_RSA, ids=cipher_id)
def test_every_cipher(optional: Process, staple: bytes, cipher: int) -> None:
    """Complete and proved with each, with messages cut into fragments; the staple and the authorities are seen."""
    ours = client(offer(cipher))
    with optional.visit(ours):
        seen = ours.seen
        assert (seen.complete, seen.proved, seen.fault, seen.cipher) == (True, True, None, cipher)
        assert (seen.chain[0], seen.staple, seen.answer) == (holder("rsa").der, staple, Answer.EMPTY)
        assert seen.request is not None
        assert seen.request.authorities == (authority().certificate.subject.public_bytes(),)


def test_a_credential_is_shown(optional: Process) -> None:
    """With the usual hello for both versions."""
    ours = client(offer(*SAFE_CIPHERS, versions=(TLS13, TLS12)))
    with optional.visit(ours, credential("ec", (ECDSA_P256,))):
        assert (ours.seen.complete, ours.seen.answer, ours.seen.version) == (True, Answer.SHOWN, TLS12)


def test_renegotiation(files: Files) -> None:
    """A server that asks for it is told no, and goes on or ends as it likes; data that came before is read."""
    with s_server(files, "ec", "-tls1_2", "-cipher", ALL) as process:
        ours = client()
        with process.visit(ours) as connection:
            process.say("hello")
            while b"hello" not in (said := ours.take()):
                assert said == b""
                process.hear(connection, ours)
            process.say("r")
            while not ours.seen.renegotiations:
                process.hear(connection, ours)
            while not ours.over:
                process.hear(connection, ours)
    assert (ours.seen.complete, ours.seen.renegotiations, ours.seen.fault) == (True, 1, None)
    assert [alert.fatal for alert in ours.seen.alerts] == [True]


def test_required_and_missing(files: Files) -> None:
    """Alert 40 after our flight; with a certificate the same server goes on."""
    arguments = ("-tls1_2", "-Verify", "3", "-verify_return_error", "-CAfile", files.authorities())
    with s_server(files, "ec", *arguments) as process:
        without, with_one = client(), client(offer(*SAFE_CIPHERS))
        with process.visit(without), process.visit(with_one, credential("rsa", (RSA_PSS_SHA256,))):
            pass
    assert without.seen.alerts == [Alert(40, True, Step.CLIENT_FLIGHT)]
    assert (without.seen.complete, without.seen.proved, without.seen.answer) == (False, True, Answer.EMPTY)
    assert (with_one.seen.complete, with_one.seen.answer, with_one.seen.alerts) == (True, Answer.SHOWN, [])


@pytest.mark.parametrize(("option", "version"), [("-tls1", 0x0301), ("-tls1_1", 0x0302)])
def test_old_versions(files: Files, option: str, version: int) -> None:
    """Their chain is seen, and the version is why it ends."""
    with s_server(files, "rsa", option, "-cipher", ALL) as process:
        ours = client()
        with process.visit(ours):
            pass
    assert (ours.seen.version, ours.seen.chain[0]) == (version, holder("rsa").der)
    assert ours.seen.fault is not None
    assert ours.seen.fault.code is Code.TLS_VERSION_MISMATCH


def test_a_long_prime(files: Files) -> None:
    """8192 bits, the longest that is taken."""
    with s_server(files, "rsa", "-tls1_2", "-cipher", ALL, "-dhparam", files.dh_parameters("modp_8192")) as process:
        ours = client(offer(0x009F))
        with process.visit(ours):
            assert ours.seen.complete
