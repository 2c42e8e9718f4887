"""The path verifier against bytes that are no certificates, or nearly: always a verdict, and soon."""

from __future__ import annotations

import base64
import re
import time
import warnings
from itertools import islice
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from handclasp.pki.chain import Purpose, Revocation, Rules, Trust, Verdict, examine
from handclasp.testing.chains import AT, make, make_crl

ROOT = make("root", authority=True)
CONSTRAINTS = x509.NameConstraints(
    [x509.DNSName("example.org"), x509.UniformResourceIdentifier("example.org"), x509.RFC822Name("example.org")],
    [x509.DirectoryName(x509.Name([]))],
)
ISSUING = make(
    "issuing",
    ROOT,
    authority=True,
    path_length=0,
    add=[
        (CONSTRAINTS, True),
        (x509.PolicyConstraints(0, 0), True),
        (x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("2.5.29.32.0"), None)]), False),
        (
            x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.33"), bytes.fromhex("300a300806022a0306022a04")),
            False,
        ),
    ],
)
POINT = x509.DistributionPoint([x509.UniformResourceIdentifier("http://crl.example.org/1")], None, None, None)
LEAF = make(
    "leaf",
    ISSUING,
    names=[
        x509.DNSName("api.example.org"),
        x509.UniformResourceIdentifier("spiffe://example.org/checkout"),
        x509.RFC822Name("a@example.org"),
        x509.DirectoryName(x509.Name([])),
    ],
    add=[(x509.CRLDistributionPoints([POINT]), False)],
)
CRL = make_crl(ISSUING, [LEAF.certificate]).public_bytes(Encoding.DER)
VECTORS = Path(cryptography_vectors.__file__).parent / "x509"
DERS = [LEAF.der, ISSUING.der, ROOT.der, CRL]


def judged(leaf: bytes, issuing: bytes, root: bytes, crl: bytes, rules: Rules, *more: bytes) -> Verdict:
    trust = Trust.of([root], crls=[crl, *more])
    verdict = examine(
        leaf, [issuing], trust, at=AT, purpose=Purpose.CLIENT, rules=rules, revocation=Revocation.REQUIRED
    )
    assert bool(verdict.findings) == (verdict.path is None)
    return verdict


PLAIN = make("plain", ROOT, authority=True)
GOOD = [make("good", PLAIN).der, PLAIN.der, ROOT.der, make_crl(PLAIN).public_bytes(Encoding.DER)]
ROOT_CRL = make_crl(ROOT).public_bytes(Encoding.DER)


@st.composite
def mutated(draw: st.DrawFn, originals: list[bytes] = DERS, those: tuple[int, ...] = (0, 1, 2, 3)) -> list[bytes]:
    """The three certificates and the list, one of them changed in a few places."""
    ders = list(originals)
    which = draw(st.sampled_from(those))
    data = bytearray(ders[which])
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        match draw(st.sampled_from(("set", "flip", "cut", "insert", "truncate"))):
            case "set" if data:
                data[at] = draw(st.integers(0, 255))
            case "flip" if data:
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del data[at : at + draw(st.integers(1, 8))]
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=8))
            case _:
                del data[at:]
    ders[which] = bytes(data)
    return ders


@given(mutated(), st.sampled_from(list(Rules)))
@settings(max_examples=400, deadline=2000)
def test_a_changed_chain_gets_a_verdict(ders: list[bytes], rules: Rules) -> None:
    """Whatever is changed in a chain or its list, there is a verdict and no exception."""
    judged(ders[0], ders[1], ders[2], ders[3], rules)


@given(mutated(GOOD, (0, 1, 3)), st.sampled_from(list(Rules)))
@settings(max_examples=400, deadline=2000)
def test_a_good_chain_that_was_changed_is_refused(ders: list[bytes], rules: Rules) -> None:
    """Not an octet of leaf, authority or list can be changed without notice; unchanged, the chain is accepted."""
    assert (judged(ders[0], ders[1], ders[2], ders[3], rules, ROOT_CRL).path is not None) == (ders == GOOD)


@given(st.lists(st.binary(max_size=200), min_size=4, max_size=4))
@settings(max_examples=100, deadline=2000)
def test_bytes_get_a_verdict(ders: list[bytes]) -> None:
    """Any bytes in any place are unreadable certificates, not errors."""
    assert judged(ders[0], ders[1], ders[2], ders[3], Rules.PROFILE).path is None


def vectors(*suffixes: str) -> list[Path]:
    return sorted(path for path in VECTORS.rglob("*") if path.suffix in suffixes)


def contents(path: Path) -> list[bytes]:
    data = path.read_bytes()
    blocks = re.findall(rb"-----BEGIN [A-Z0-9 ]+-----([^-]*)-----END", data)
    return [base64.b64decode(block) for block in islice(blocks, 20)] if blocks else [data]


@pytest.mark.parametrize("rules", list(Rules))
def test_the_malformed_certificates_of_cryptography_get_a_verdict(rules: Rules) -> None:
    """Every file of the library's own test vectors, as leaf, intermediate, anchor and list at once, in a second."""
    files = vectors(".pem", ".der", ".crt", ".crl")
    assert len(files) > 200
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for path in files:
            for der in contents(path):
                started = time.process_time()
                trust = Trust.of([der, ROOT.der], intermediates=[der], crls=[der, CRL])
                for leaf in (der, LEAF.der):
                    verdict = examine(leaf, [der, ISSUING.der], trust, at=AT, purpose=Purpose.SERVER, rules=rules)
                    assert isinstance(verdict, Verdict), path
                assert time.process_time() - started < 1, path
