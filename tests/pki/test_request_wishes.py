"""Certificate requests made elsewhere: what they ask for is read, and whatever they are made of, nothing breaks."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from functools import cache
from ipaddress import ip_address
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from handclasp.findings import Code, Refused
from handclasp.pki import keys, request
from handclasp.pki.keys import KeyType, PrivateKey
from handclasp.pki.wishes import Wishes

KEY = ec.derive_private_key(11, ec.SECP256R1())
VECTORS = Path(cryptography_vectors.__file__).parent / "x509"
# Bytes changed at random hit fields that cryptography reads with a warning.
ODD_FIELDS = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")


def asking(*extensions: x509.ExtensionType, common_names: tuple[str, ...] = ()) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in common_names])
    builder = x509.CertificateSigningRequestBuilder(subject_name=subject)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(KEY, keys.signature_algorithm(KEY.public_key()).hash).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("data", "wishes"),
    [
        pytest.param(asking(), Wishes(), id="nothing"),
        pytest.param(
            asking(
                x509.SubjectAlternativeName(
                    [
                        x509.DNSName("a.example"),
                        x509.UniformResourceIdentifier("spiffe://example.org/x"),
                        x509.IPAddress(ip_address("::1")),
                        x509.DNSName("*.B.example"),
                        x509.RFC822Name("a@example.org"),
                        x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
                        x509.OtherName(x509.ObjectIdentifier("1.2.4"), b"\x05\x00"),
                        x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "d")])),
                    ]
                ),
                common_names=("a.example",),
            ),
            Wishes(
                spiffe=("spiffe://example.org/x",),
                dns=("a.example", "*.B.example"),
                ips=(ip_address("::1"),),
                others=("RFC822Name a@example.org", "RegisteredID 1.2.3", "OtherName 1.2.4", "DirectoryName CN=d"),
                common_name="a.example",
            ),
            id="every kind of name",
        ),
        pytest.param(asking(x509.BasicConstraints(ca=True, path_length=None)), Wishes(is_ca=True), id="an authority"),
        pytest.param(
            asking(x509.KeyUsage(False, False, False, False, False, False, True, False, False)),
            Wishes(is_ca=True),
            id="signing CRLs",
        ),
        pytest.param(
            asking(
                x509.BasicConstraints(ca=False, path_length=None),
                x509.KeyUsage(True, False, True, False, False, False, False, False, False),
                x509.SubjectKeyIdentifier.from_public_key(KEY.public_key()),
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
                x509.TLSFeature([x509.TLSFeatureType.status_request]),
            ),
            Wishes(usages=(ExtendedKeyUsageOID.SERVER_AUTH,), extensions=("1.3.6.1.5.5.7.1.24",)),
            id="other extensions",
        ),
    ],
)
def test_what_is_asked_for_is_read(data: bytes, wishes: Wishes) -> None:
    """The wishes of a request, whole."""
    assert request.parse(data).wishes == wishes


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(asking(common_names=("a", "b")), id="two common names"),
    ],
)
def test_what_contradicts_itself_is_refused(data: bytes) -> None:
    """There is no guess which of two was meant."""
    with pytest.raises(Refused) as caught:
        _ = request.parse(data).wishes
    assert (caught.value.code, caught.value.why) == (
        Code.REQUEST_MALFORMED,
        "its subject or its extensions cannot be read",
    )


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        pytest.param(
            ["-newkey", "rsa:2048", "-sha1"],
            Code.REQUEST_SIGNATURE_WEAK,
            "its signature is over SHA-1, for which anybody can make two requests with one signature",
            id="SHA-1",
        ),
        pytest.param(
            ["-newkey", "rsa:2048", "-md5"],
            Code.REQUEST_SIGNATURE_WEAK,
            "its signature is over MD5, for which anybody can make two requests with one signature",
            id="MD5",
        ),
        pytest.param(
            ["-newkey", "rsa:1024", "-sha256"],
            Code.REQUEST_KEY_WEAK,
            "it is an RSA key of 1024 bits, and 2048 is the least",
            id="RSA-1024",
        ),
        pytest.param(
            ["-newkey", "rsa:2304", "-sha256"],
            Code.REQUEST_KEY_NOT_ALLOWED,
            "it is an RSA key of 2304 bits",
            id="RSA-2304",
        ),
    ],
)
def test_a_weak_request_of_openssl_is_refused(arguments: list[str], code: Code, why: str) -> None:
    """Broken hashes and small keys, as openssl req still makes them."""
    command = ["openssl", "req", "-new", "-nodes", "-keyout", "/dev/null", "-subj", "/CN=a", *arguments]
    done = subprocess.run(command, capture_output=True, check=True)
    with pytest.raises(Refused) as caught:
        request.parse(done.stdout)
    assert (caught.value.code, caught.value.why) == (code, why)


def test_a_sound_request_of_openssl_is_read() -> None:
    """RSA with PSS and SHA-512, and names from the command line."""
    command = ["openssl", "req", "-new", "-nodes", "-newkey", "rsa:2048", "-sha512", "-keyout", "/dev/null"]
    command += ["-sigopt", "rsa_padding_mode:pss", "-subj", "/O=Example/CN=a.example"]
    command += ["-addext", "subjectAltName=DNS:a.example,IP:192.0.2.1", "-addext", "keyUsage=digitalSignature"]
    parsed = request.parse(subprocess.run(command, capture_output=True, check=True).stdout)
    assert (parsed.key_type, parsed.signature_hash, parsed.wishes) == (
        KeyType.RSA_2048,
        "sha512",
        Wishes(dns=("a.example",), ips=(ip_address("192.0.2.1"),), common_name="a.example"),
    )


def test_a_published_key_is_refused() -> None:
    """A request by the key of RFC 8032 §7.1 proves nothing: everybody has its private half."""
    secret = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")  # printed there
    key = ed25519.Ed25519PrivateKey.from_private_bytes(secret)
    with pytest.raises(Refused) as caught:
        request.parse(request.create_for(key, x509.Name([])))
    assert (caught.value.code, caught.value.why) == (
        Code.REQUEST_KEY_WEAK,
        "its private key is published: RFC 8032 §7.1 and RFC 8037 appendix A",
    )


def read_or_refused(data: bytes) -> str:
    """What becomes of a request: its key's kind, or the code it is refused with. Anything else is an error."""
    try:
        parsed = request.parse(data)
        assert isinstance(parsed.wishes, Wishes)
        return parsed.key_type
    except Refused as refused:
        return refused.code


@ODD_FIELDS
def test_every_request_of_the_test_vectors_is_read_or_refused() -> None:
    """Malformed and odd requests, each with what becomes of it."""
    files = (VECTORS / "requests").iterdir()
    assert {file.name: read_or_refused(file.read_bytes()) for file in files} == {
        "bad-version.pem": "REQUEST_MALFORMED",
        "basic_constraints.pem": "REQUEST_SIGNATURE_WEAK",
        "challenge-invalid.der": "REQUEST_BAD_SIGNATURE",
        "challenge-multi-valued.der": "REQUEST_BAD_SIGNATURE",
        "challenge-unstructured.pem": "rsa-2048",
        "challenge.pem": "rsa-2048",
        "dsa_sha1.der": "REQUEST_KEY_NOT_ALLOWED",
        "dsa_sha1.pem": "REQUEST_KEY_NOT_ALLOWED",
        "ec_sha256.der": "ec-p384",
        "ec_sha256.pem": "ec-p384",
        "ec_sha256_old_header.pem": "ec-p384",
        "freeipa-bad-critical.pem": "REQUEST_MALFORMED",
        "invalid_signature.pem": "REQUEST_KEY_WEAK",
        "long-form-attribute.pem": "REQUEST_BAD_SIGNATURE",
        "rsa_md4.der": "REQUEST_SIGNATURE_WEAK",
        "rsa_md4.pem": "REQUEST_SIGNATURE_WEAK",
        "rsa_sha1.der": "REQUEST_SIGNATURE_WEAK",
        "rsa_sha1.pem": "REQUEST_SIGNATURE_WEAK",
        "rsa_sha256.der": "rsa-2048",
        "rsa_sha256.pem": "rsa-2048",
        "san_rsa_sha1.der": "REQUEST_SIGNATURE_WEAK",
        "san_rsa_sha1.pem": "REQUEST_SIGNATURE_WEAK",
        "two_basic_constraints.pem": "REQUEST_SIGNATURE_WEAK",
        "unsupported_extension.pem": "REQUEST_SIGNATURE_WEAK",
        "unsupported_extension_critical.pem": "REQUEST_SIGNATURE_WEAK",
        "zero-element-attribute.pem": "REQUEST_MALFORMED",
    }


@ODD_FIELDS
def test_no_other_file_of_the_test_vectors_is_a_request() -> None:
    """Certificates, revocation lists and keys, in PEM and DER, are refused as malformed."""
    others = [file for file in (VECTORS / "custom").iterdir() if file.is_file()]
    assert {read_or_refused(file.read_bytes()) for file in others} == {"REQUEST_MALFORMED"}


@pytest.fixture(scope="session")
def request_of(key_of: Callable[[KeyType], PrivateKey]) -> Callable[[KeyType], bytes]:
    """A request by one key of each kind, in DER, that asks for names of each kind."""
    names = [
        x509.UniformResourceIdentifier("spiffe://example.org/x"),
        x509.DNSName("a.example"),
        x509.IPAddress(ip_address("192.0.2.1")),
    ]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])

    @cache
    def make(kind: KeyType) -> bytes:
        csr = request.create_for(key_of(kind), subject, names)
        return x509.load_pem_x509_csr(csr).public_bytes(Encoding.DER)

    return make


@ODD_FIELDS
@pytest.mark.parametrize("kind", [kind for kind in KeyType if kind not in {KeyType.RSA_3072, KeyType.RSA_4096}])
@settings(deadline=None)  # the first one makes the key
@given(data=st.data())
def test_a_request_with_some_bytes_changed_is_refused(
    request_of: Callable[[KeyType], bytes], kind: KeyType, data: st.DataObject
) -> None:
    """Whatever is changed, in the key, the names or the signature: a code, and never another exception."""
    whole = request_of(kind)
    at = data.draw(st.integers(0, len(whole) - 1))
    until = data.draw(st.integers(at, min(at + 4, len(whole))))
    changed = whole[:at] + data.draw(st.binary(max_size=6)) + whole[until:]
    outcome = read_or_refused(changed)
    assert (outcome == kind) is (changed == whole)
    assert outcome == kind or outcome.startswith("REQUEST_")
