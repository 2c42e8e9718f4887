"""What verifies an https upstream."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from handclasp.app.roots import read_roots
from handclasp.findings import Code, Refused
from handclasp.pki.issue import Names, assemble, authority_subject, prepare
from handclasp.pki.keys import KeyType, generate, sign
from handclasp.pki.pem import pem
from handclasp.pki.profile import ROOT
from handclasp.pki.spiffe import TrustDomain


def authority() -> bytes:
    """A CA certificate, PEM."""
    key = generate(KeyType.EC_P384)
    public = key.public_key()
    prepared = prepare(
        ROOT,
        subject=authority_subject(ROOT, TrustDomain("example.org"), public),
        names=Names(),
        public_key=public,
        issuer=None,
        serial=1 << 100,
        now=datetime(2026, 3, 1, tzinfo=UTC),
    )
    return pem(assemble(prepared, sign(key, prepared.tbs)))


def test_a_named_file(tmp_path: Path) -> None:
    """Its content, whole."""
    file = tmp_path / "ca.pem"
    file.write_bytes(authority())
    assert read_roots(file, "orders") == file.read_text()


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"\xff\xfe", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", None],
    ids=["empty", "text", "bytes", "broken", "missing"],
)
def test_what_is_no_authority_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """Refused(CONFIG_NO_TRUST_ROOTS) names the service, the file and the setting: nothing goes unverified."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(Refused) as caught:
        read_roots(file, "orders")
    refused = caught.value
    assert refused.code is Code.CONFIG_NO_TRUST_ROOTS
    assert refused.what == "The https upstream of orders cannot be verified"
    assert str(file) in refused.why
    assert "services.orders.upstream_ca" in refused.fix


def test_a_private_key_does_not_travel(tmp_path: Path) -> None:
    """A file that holds a key beside the certificate gives the certificate alone, or is refused."""
    file = tmp_path / "both.pem"
    file.write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" + authority())
    try:
        roots = read_roots(file, "orders")
    except Refused as refused:
        assert refused.code is Code.CONFIG_NO_TRUST_ROOTS
    else:
        assert "PRIVATE KEY" not in roots
