"""OCSP requests and responses: read from whatever octets come, and written as cryptography writes them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from hypothesis import given, settings
from hypothesis import strategies as st

from handclasp.pki import der, issue, keys
from handclasp.pki.issue import Names
from handclasp.pki.keys import KeyType, PrivateKey
from handclasp.pki.ocsp import (
    MAX_CERTIFICATES,
    Answer,
    Failure,
    Gone,
    Good,
    MalformedRequest,
    OCSPRequest,
    Status,
    Unknown,
    assemble_response,
    failure,
    issuer_hashes,
    parse_request,
    prepare_response,
)
from handclasp.pki.profile import OCSP_SIGNER, ROOT
from handclasp.pki.spiffe import TrustDomain

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
SERIAL = 0x5EED << 120
VECTORS = Path(cryptography_vectors.__file__).parent / "x509" / "ocsp"


@cache
def root() -> tuple[PrivateKey, x509.Certificate]:
    key = keys.generate(KeyType.EC_P256)
    subject = issue.authority_subject(ROOT, TrustDomain("example.org"), key.public_key())
    prepared = issue.prepare(
        ROOT, subject=subject, names=Names(), public_key=key.public_key(), issuer=None, serial=1 << 150, now=NOW
    )
    return key, issue.assemble(prepared, keys.sign(key, prepared.tbs))


@cache
def signer(kind: KeyType) -> tuple[PrivateKey, x509.Certificate]:
    key = keys.generate(kind)
    issuer_key, issuer = root()
    subject = issue.authority_subject(ROOT, TrustDomain("example.org"), key.public_key())
    prepared = issue.prepare(
        OCSP_SIGNER,
        subject=subject,
        names=Names(),
        public_key=key.public_key(),
        issuer=issuer,
        serial=1 << 151,
        now=NOW,
    )
    return key, issue.assemble(prepared, keys.sign(issuer_key, prepared.tbs))


def asked(serial: int = SERIAL, algorithm: hashes.HashAlgorithm | None = None, nonce: bytes | None = None) -> bytes:
    """A request for one certificate of the root, as cryptography writes it."""
    name, key = (hashes.Hash(algorithm or hashes.SHA1()) for _ in range(2))
    name.update(root()[1].subject.public_bytes())
    key.update(root()[0].public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        name.finalize(), key.finalize(), serial, algorithm or hashes.SHA1()
    )
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def asked_several(*requests: bytes) -> bytes:
    """One request for what each of these asks for."""
    identifiers = b"".join(der.encode(der.SEQUENCE, parse_request(one).certificates[0].der) for one in requests)
    return der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, identifiers)))


ALGORITHMS = pytest.mark.parametrize(
    "algorithm",
    [hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()],
    ids=["sha1", "sha256", "sha384", "sha512"],
)


@ALGORITHMS
def test_a_request_names_its_certificate(algorithm: hashes.HashAlgorithm) -> None:
    """Whatever the hash of the CertID: issuer and serial number are found."""
    (found,) = parse_request(asked(algorithm=algorithm)).certificates
    assert (found.hash_name, found.serial) == (algorithm.name, SERIAL)
    assert (found.hash_name, found.name_hash, found.key_hash) in issuer_hashes(root()[1])
    assert (found.hash_name, found.key_hash, found.name_hash) not in issuer_hashes(root()[1])


def test_a_request_for_several_names_each_once() -> None:
    """RFC 6960 §4.1.1: a list of requests; what is there twice is answered once."""
    single = [asked(serial) for serial in (SERIAL, SERIAL + 1, SERIAL)]
    assert [one.serial for one in parse_request(asked_several(*single)).certificates] == [SERIAL, SERIAL + 1]


def test_a_request_for_too_many_is_refused() -> None:
    """So that one request cannot ask for work without end."""
    single = [asked(SERIAL + n) for n in range(MAX_CERTIFICATES + 1)]
    assert len(parse_request(asked_several(*single[1:])).certificates) == MAX_CERTIFICATES
    with pytest.raises(MalformedRequest):
        parse_request(asked_several(*single))


@pytest.mark.parametrize("length", [1, 16, 32, 128])
def test_a_nonce_is_read(length: int) -> None:
    """RFC 9654 §2.1: 1 to 128 octets."""
    assert parse_request(asked(nonce=b"n" * length)).nonce == b"n" * length


@pytest.mark.parametrize("length", [0, 129, 4096])
def test_a_nonce_of_another_length_is_malformed(length: int) -> None:
    """RFC 9654 §2.1: such a request must be refused with malformedRequest."""
    with pytest.raises(MalformedRequest):
        parse_request(asked(nonce=b"n" * length))


# What cryptography ships as requests, and why it is refused; the rest of its files are responses.
REFUSED = {"req-invalid-version.der": "not v1", "req-duplicate-ext.der": "there twice"}


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*req*.der")), ids=lambda path: path.stem)
def test_the_requests_of_the_vectors(path: Path) -> None:
    """Requests by others are read, but for those that no responder may take."""
    if path.name in REFUSED:
        with pytest.raises(MalformedRequest, match=REFUSED[path.name]):
            parse_request(path.read_bytes())
        return
    assert isinstance(parse_request(path.read_bytes()), OCSPRequest)


@pytest.mark.parametrize("path", sorted(VECTORS.glob("resp-*.der")), ids=lambda path: path.stem)
def test_a_response_is_no_request(path: Path) -> None:
    """The other way round is refused, and nothing else is raised."""
    with pytest.raises(MalformedRequest):
        parse_request(path.read_bytes())


SAMPLES = st.one_of(
    st.sampled_from([path.read_bytes() for path in VECTORS.glob("*req*.der")]),
    st.builds(lambda: asked(nonce=b"n" * 16)),
    st.builds(lambda: asked_several(asked(), asked(SERIAL + 1))),
)


@settings(max_examples=400)
@given(SAMPLES, st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=6), st.integers(-8, 8))
def test_changed_octets_make_a_request_or_a_malformed_one(
    sample: bytes, changes: list[tuple[int, int]], cut: int
) -> None:
    """Total: octets changed, cut off or added give a request or MalformedRequest."""
    octets = bytearray(sample)
    for at, value in changes:
        octets[at % len(octets)] = value
    data = bytes(octets[:cut] if cut < 0 else octets + b"\x30" * cut)
    try:
        found = parse_request(data)
    except MalformedRequest:
        return
    assert 1 <= len(found.certificates) <= MAX_CERTIFICATES


@given(st.binary(max_size=200))
def test_any_octets_make_a_request_or_a_malformed_one(data: bytes) -> None:
    """Total over what no client sends."""
    try:
        parse_request(data)
    except MalformedRequest:
        return


STATUSES = pytest.mark.parametrize(
    "status",
    [
        pytest.param(Good(), id="good"),
        pytest.param(Unknown(), id="unknown"),
        pytest.param(Gone(NOW - timedelta(days=1), x509.ReasonFlags.unspecified), id="revoked"),
        pytest.param(Gone(NOW - timedelta(days=1), x509.ReasonFlags.certificate_hold), id="held"),
        pytest.param(Gone(NOW - timedelta(days=1), x509.ReasonFlags.key_compromise), id="compromised"),
    ],
)


def response(status: Status, kind: KeyType = KeyType.EC_P256, nonce: bytes | None = None) -> bytes:
    key, certificate = signer(kind)
    (identifier,) = parse_request(asked()).certificates
    prepared = prepare_response(
        certificate,
        [Answer(identifier, status)],
        produced_at=NOW,
        this_update=NOW,
        next_update=LATER,
        nonce=nonce,
    )
    return assemble_response(prepared, keys.sign(key, prepared.tbs))


@STATUSES
@pytest.mark.parametrize("nonce", [None, b"n" * 32], ids=["plain", "nonce"])
def test_the_signed_bytes_are_those_of_cryptography(status: Status, nonce: bytes | None) -> None:
    """A response for one certificate: the same bytes as the builder of cryptography would have signed."""
    key, certificate = signer(KeyType.EC_P256)
    found = ocsp.load_der_ocsp_response(response(status, nonce=nonce))
    (identifier,) = parse_request(asked()).certificates
    gone = status if isinstance(status, Gone) else None
    kind = {Good: "GOOD", Gone: "REVOKED", Unknown: "UNKNOWN"}[type(status)]
    reason = None if gone is None or gone.reason is x509.ReasonFlags.unspecified else gone.reason
    builder = ocsp.OCSPResponseBuilder(
        responder_id=(certificate, ocsp.OCSPResponderEncoding.HASH), certs=[certificate]
    ).add_response_by_hash(
        issuer_name_hash=identifier.name_hash,
        issuer_key_hash=identifier.key_hash,
        serial_number=identifier.serial,
        algorithm=hashes.SHA1(),
        cert_status=ocsp.OCSPCertStatus[kind],
        this_update=NOW,
        next_update=LATER,
        revocation_time=None if gone is None else gone.at,
        revocation_reason=reason,
    )
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    expected = builder.sign(key, hashes.SHA256())
    # The one field that cryptography takes from the clock: when it was made.
    made = expected.produced_at_utc.strftime("%Y%m%d%H%M%SZ").encode()
    assert found.tbs_response_bytes == expected.tbs_response_bytes.replace(made, b"20261121120000Z")
    assert [one.serial_number for one in found.certificates] == [certificate.serial_number]


@pytest.mark.parametrize("kind", [KeyType.EC_P256, KeyType.EC_P384, KeyType.ED25519, KeyType.RSA_2048])
@STATUSES
def test_pkilint_finds_nothing_in_responses(kind: KeyType, status: Status, tmp_path: Path) -> None:
    """Every status, signed by every kind of key that may, is clean against pkilint's reading of RFC 6960."""
    path = tmp_path / "one.ocsp"
    path.write_bytes(response(status, kind, nonce=b"n" * 32))
    tool = Path(sys.executable).parent / "lint_ocsp_response"
    options = ["lint", "-s", "NOTICE", "-f", "CSV", str(path)]
    done = subprocess.run([str(tool), *options], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("node_path,validator,severity,code,message", "")


def test_a_signature_by_another_key_makes_no_response() -> None:
    """assemble_response() verifies with the signer's key."""
    (identifier,) = parse_request(asked()).certificates
    prepared = prepare_response(
        signer(KeyType.EC_P256)[1], [Answer(identifier, Good())], produced_at=NOW, this_update=NOW, next_update=LATER
    )
    with pytest.raises(keys.WrongSignature):
        assemble_response(prepared, keys.sign(root()[0], prepared.tbs))


@pytest.mark.parametrize("status", list(Failure))
def test_a_failure_says_only_its_status(status: Failure) -> None:
    """RFC 6960 §4.2.1: errors are not signed."""
    assert ocsp.load_der_ocsp_response(failure(status)).response_status.value == status.value


def test_faults_of_the_program_are_raised() -> None:
    """No answers, or times without a zone, are no response."""
    (identifier,) = parse_request(asked()).certificates
    answer = Answer(replace(identifier), Good())
    for answers, at in (([], NOW), ([answer], NOW.replace(tzinfo=None))):
        with pytest.raises(ValueError, match=r"answers something|no time zone"):
            prepare_response(signer(KeyType.EC_P256)[1], answers, produced_at=at, this_update=NOW, next_update=LATER)
