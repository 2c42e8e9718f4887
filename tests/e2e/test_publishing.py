"""Revocation as strangers see it: lists and OCSP at the address in the certificates, fresh within a second."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from handclasp.testing.site import RunningSite, free_port
from handclasp.testing.upstream import EchoApi


class Publishing:
    """A site that publishes, with one caller."""

    def __init__(self, site: RunningSite, url: str) -> None:
        self.site, self.url = site, url
        site.run("client", "add", "shop")
        self.files = site.client("shop")

    @property
    def serial(self) -> str:
        """The caller's serial number, as curl and openssl show it."""
        leaf, _ = x509.load_pem_x509_certificates((self.files / "chain.pem").read_bytes())
        return f"{leaf.serial_number:x}"

    def ocsp(self) -> str:
        """What openssl makes of the responder's answer about the caller."""
        leaf, issuer = x509.load_pem_x509_certificates((self.files / "chain.pem").read_bytes())
        (self.files / "issuer.pem").write_text(self._pem(issuer))
        (self.files / "leaf.pem").write_text(self._pem(leaf))
        done = subprocess.run(
            [
                *("openssl", "ocsp", "-issuer", "issuer.pem", "-cert", "leaf.pem", "-url", f"{self.url}/ocsp"),
                *("-CAfile", "bundle.pem", "-verify_other", "issuer.pem", "-no_nonce"),
            ],
            cwd=self.files,
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
        assert "Response verify OK" in done.stderr
        return done.stdout.splitlines()[0].partition(": ")[2]

    def verify(self) -> str:
        """What openssl says of the caller's chain with the lists that its certificates name."""
        certificates = x509.load_pem_x509_certificates((self.files / "chain.pem").read_bytes())
        lists = b""
        for one in certificates:
            points = one.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
            name = (next(iter(points)).full_name or [])[0]
            der = subprocess.run(["curl", "-sSf", name.value], capture_output=True, timeout=20, check=True).stdout
            crl = x509.load_der_x509_crl(der)
            from cryptography.hazmat.primitives.serialization import Encoding

            lists += crl.public_bytes(Encoding.PEM)
        (self.files / "lists.pem").write_bytes(lists)
        done = subprocess.run(
            [
                *("openssl", "verify", "-crl_check_all", "-CRLfile", "lists.pem", "-CAfile", "bundle.pem"),
                *("-untrusted", "chain.pem", "chain.pem"),
            ],
            cwd=self.files,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        return done.stdout + done.stderr

    @staticmethod
    def _pem(certificate: x509.Certificate) -> str:
        from cryptography.hazmat.primitives.serialization import Encoding

        return certificate.public_bytes(Encoding.PEM).decode()


@pytest.fixture(params=[1, 4], ids=["one-list", "four-shards"])
def publishing(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Publishing]:
    """A running site that publishes on a free port."""
    port, gateway = free_port(), free_port()
    url = f"http://127.0.0.1:{port}/pki"
    with EchoApi() as api:
        (tmp_path / "handclasp.yaml").write_text(
            f"""trust_domain: example.org
services:
  orders:
    listen: 127.0.0.1:{gateway}
    hosts: [localhost]
    upstream: {api.url}
    rules:
      - allow: spiffe://example.org/shop
authority:
  publish: {{listen: "127.0.0.1:{port}", url: "{url}"}}
  crl_shards: {request.param}
"""
        )
        with RunningSite(tmp_path) as site:
            yield Publishing(site, url)


def test_a_revocation_is_seen_by_everybody_within_a_second(publishing: Publishing) -> None:
    """Good, on hold, released, revoked: openssl agrees by OCSP and by the lists that the chain names, each time."""
    assert (publishing.ocsp(), "chain.pem: OK" in publishing.verify()) == ("good", True)
    for command, seen in (("hold", "revoked"), ("release", "good"), ("revoke", "revoked")):
        publishing.site.run("cert", command, publishing.serial)
        deadline = time.monotonic() + 1
        while publishing.ocsp() != seen:
            assert time.monotonic() < deadline
        assert ("certificate revoked" in publishing.verify()) is (seen == "revoked")
