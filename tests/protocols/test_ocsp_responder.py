"""The OCSP responder as clients meet it: openssl, curl and nginx."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from handclasp.authority.issue import Issued
from handclasp.authority.ocsp import PRINCIPAL, SIGNER_LIFETIME
from handclasp.authority.records import AuthorityState, CertificateState
from handclasp.pki.keys import KeyType
from handclasp.protocols.ocsp.responder import Responder
from handclasp.testing.publishing import Publishing, publishing, run, serial


async def openssl(found: Publishing, *certificates: Path, options: tuple[str, ...] = ()) -> list[str]:
    """What ``openssl ocsp`` says: its verdict on the response, then a line for each certificate."""
    asked = [part for certificate in certificates for part in ("-cert", str(certificate))]
    command: list[str | Path] = ["openssl", "ocsp", "-issuer", found.chain(), *options, *asked]
    text = await run(*command, "-url", f"{found.url}/ocsp", "-CAfile", found.roots(), check=False)
    return [line.strip() for line in text.splitlines() if "Update:" not in line and "Time:" not in line]


def asked(found: Publishing, certificate: x509.Certificate, nonce: bytes | None = None) -> bytes:
    issuer = found.authority.hierarchy.issuers[0].certificate
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA1())
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


async def got(found: Publishing, request: bytes, *options: str, safe: str = "") -> ocsp.OCSPResponse:
    """The answer to a GET."""
    path = found.directory / "answer"
    encoded = quote(base64.b64encode(request).decode(), safe=safe)
    await run("curl", "-sSf", "--path-as-is", *options, "-o", path, f"{found.url}/ocsp/{encoded}")
    return ocsp.load_der_ocsp_response(path.read_bytes())


@pytest.mark.parametrize("kind", [KeyType.EC_P256, KeyType.RSA_2048, KeyType.ED25519])
@pytest.mark.parametrize("options", [("-nonce",), ("-no_nonce",), ("-sha256",)], ids=["nonce", "plain", "sha256"])
def test_openssl_takes_the_answers(tmp_path: Path, kind: KeyType, options: tuple[str, ...]) -> None:
    """Good, revoked with the reason, held: verified with the roots alone; the second time from the cache."""

    async def scene() -> None:
        async with publishing(tmp_path, issuing_key=kind) as found:
            alice, bob, carol = [await found.issued(name) for name in ("alice", "bob", "carol")]
            paths = [found.certificate(one) for one in (alice, bob, carol)]
            for _ in range(2):
                assert await openssl(found, paths[1], options=options) == ["Response verify OK", f"{paths[1]}: good"]
            await found.revoke(bob, "superseded")
            await found.change(carol, CertificateState.HELD, "certificateHold")
            assert found.server is not None
            await found.server.refresh()
            for _ in range(2):
                verdicts = [await openssl(found, path, options=options) for path in paths]
                assert verdicts == [
                    ["Response verify OK", f"{paths[0]}: good"],
                    ["Response verify OK", f"{paths[1]}: revoked", "Reason: superseded"],
                    ["Response verify OK", f"{paths[2]}: revoked", "Reason: certificateHold"],
                ]
            await found.change(carol, CertificateState.ISSUED, None)
            await found.server.refresh()
            assert await openssl(found, paths[2], options=options) == ["Response verify OK", f"{paths[2]}: good"]

    asyncio.run(scene())


def test_several_are_answered_at_once(tmp_path: Path) -> None:
    """One request for three certificates: three answers in one response."""

    async def scene() -> None:
        async with publishing(tmp_path) as found:
            certificates = [await found.issued(name) for name in ("alice", "bob", "carol")]
            await found.revoke(certificates[1])
            paths = [found.certificate(one) for one in certificates]
            assert await openssl(found, *paths) == [
                "Response verify OK",
                f"{paths[0]}: good",
                f"{paths[1]}: revoked",
                "Reason: keyCompromise",
                f"{paths[2]}: good",
            ]

    asyncio.run(scene())


def test_what_was_never_issued_is_unknown(tmp_path: Path) -> None:
    """A serial number of ours that nobody was given, signed and verified like every answer."""

    async def scene() -> None:
        async with publishing(tmp_path) as found:
            command: list[str | Path] = [
                "openssl",
                "ocsp",
                "-issuer",
                found.chain(),
                "-serial",
                "0x1234",
                "-CAfile",
                found.roots(),
            ]
            text = await run(*command, "-CAfile", found.roots(), "-url", f"{found.url}/ocsp")
            assert text.splitlines()[:2] == ["Response verify OK", "0x1234: unknown"]

    asyncio.run(scene())


def test_strangers_certificates_are_not_answered_for(tmp_path: Path) -> None:
    """RFC 6960 §4.2.1: unauthorized where the issuer is not ours; so is the root's, whose key may be away."""

    async def scene() -> None:
        async with publishing(tmp_path) as found:
            hierarchy = found.authority.hierarchy
            root, issuing = hierarchy.root, hierarchy.issuers[0].certificate
            request = ocsp.OCSPRequestBuilder().add_certificate(issuing, root, hashes.SHA256()).build()
            response = await got(found, request.public_bytes(Encoding.DER))
            assert response.response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED

    asyncio.run(scene())


@pytest.mark.parametrize("length", [0, 1, 32, 128, 129])
def test_a_nonce_is_echoed_within_its_limits(tmp_path: Path, length: int) -> None:
    """RFC 9654 §2.1: 1 to 128 octets come back; others make the request malformed."""

    async def scene() -> ocsp.OCSPResponse:
        async with publishing(tmp_path) as found:
            alice = await found.issued("alice")
            return await got(found, asked(found, alice.certificate, b"n" * length))

    response = asyncio.run(scene())
    if 1 <= length <= 128:
        assert response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == b"n" * length
    else:
        assert response.response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


def test_the_signer_is_a_delegate(tmp_path: Path) -> None:
    """RFC 6960 §4.2.2.2: certified by the authority for OCSP signing, with no-check, named by its key; in the ledger,
    and no key of it on the disk."""

    async def scene() -> None:
        async with publishing(tmp_path) as found:
            keys = sorted(path.name for path in (tmp_path / "ca").iterdir())
            alice = await found.issued("alice")
            response = await got(found, asked(found, alice.certificate))
            (signer,) = response.certificates
            signer.verify_directly_issued_by(found.authority.hierarchy.issuers[0].certificate)
            usages = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
            assert list(usages) == [ExtendedKeyUsageOID.OCSP_SIGNING]
            signer.extensions.get_extension_for_class(x509.OCSPNoCheck)
            identifier = x509.SubjectKeyIdentifier.from_public_key(signer.public_key()).digest
            assert response.responder_key_hash == identifier
            issuer_key_id = found.authority.hierarchy.issuers[0].key_id
            record = await found.authority.ledger.certificate(issuer_key_id, signer.serial_number)
            assert record is not None
            log = await found.authority.ledger.events(subject=record.subject)
            assert [(one.event.kind, one.event.data["by"]) for one in log] == [
                ("certificate.intended", PRINCIPAL),
                ("certificate.issued", PRINCIPAL),
            ]
            assert sorted(path.name for path in (tmp_path / "ca").iterdir()) == keys

    asyncio.run(scene())


def test_the_signer_is_renewed_before_it_ends(tmp_path: Path) -> None:
    """The same one for half of its time, then another; no answer outlives its signer."""

    async def scene() -> None:
        async with publishing(tmp_path) as found:
            assert found.server is not None
            alice = await found.issued("alice")
            seen = []
            for share in (0, 0.4, 0.6, 1.4):
                found.offset = SIGNER_LIFETIME * share
                await found.server.refresh()
                response = await got(found, asked(found, alice.certificate))
                (signer,) = response.certificates
                (single,) = response.responses
                assert single.next_update_utc is not None
                assert single.this_update_utc <= found.clock() < single.next_update_utc <= signer.not_valid_after_utc
                seen.append(signer.serial_number)
            assert seen[0] == seen[1]
            assert len(set(seen)) == 3

    asyncio.run(scene())


def test_a_retiring_authority_still_answers(tmp_path: Path) -> None:
    """What it signed is still accepted, so somebody must say whether it is good."""

    async def scene() -> None:
        async with publishing(tmp_path) as found:
            assert found.server is not None
            alice = await found.issued("alice")
            retiring = replace(found.authority.hierarchy.issuers[0], state=AuthorityState.RETIRING)
            found.authority = replace(
                found.authority, hierarchy=replace(found.authority.hierarchy, issuers=(retiring,))
            )
            found.offset = SIGNER_LIFETIME * 0.6
            await found.server.refresh()
            path = found.certificate(alice)
            then = ("-attime", str(int(found.clock().timestamp())), "-validity_period", "100000")
            assert await openssl(found, path, options=then) == [
                "Response verify OK",
                f"{path}: good",
            ]

    asyncio.run(scene())


@pytest.mark.parametrize("safe", ["", "/+", "/+="], ids=["escaped", "open", "padding open"])
def test_get_takes_base64_however_it_is_escaped(tmp_path: Path, safe: str) -> None:
    """RFC 6960 appendix A.1: the path is base64; many clients leave slash and plus as they are."""

    async def scene() -> None:
        async with publishing(tmp_path) as found:
            certificates = [await found.issued(f"caller-{n}") for n in range(6)]
            for one in certificates:
                response = await got(found, asked(found, one.certificate), safe=safe)
                assert response.certificate_status is ocsp.OCSPCertStatus.GOOD

    asyncio.run(scene())


def test_answers_may_be_cached_by_others(tmp_path: Path) -> None:
    """RFC 5019 §6.2: the headers of a GET, and 304 for who has the answer; nothing is said for a nonce."""

    async def scene() -> None:
        async with publishing(tmp_path) as found:
            alice = await found.issued("alice")
            head = tmp_path / "head"
            await got(found, asked(found, alice.certificate), "-D", str(head))
            headers = dict(line.split(": ", 1) for line in head.read_text().splitlines() if ": " in line)
            assert headers["content-type"] == "application/ocsp-response"
            assert headers["cache-control"] == "max-age=60, public, no-transform, must-revalidate"
            assert {"etag", "last-modified", "expires", "date"} <= set(headers)
            url = f"{found.url}/ocsp/{quote(base64.b64encode(asked(found, alice.certificate)).decode(), safe='')}"
            again: list[str | Path] = [
                "curl",
                "-sS",
                "-H",
                f"If-None-Match: {headers['etag']}",
                "-w",
                "%{http_code}",
                url,
            ]
            assert await run(*again) == "304"
            await found.revoke(alice)
            assert (await got(found, asked(found, alice.certificate))).certificate_status.name == "REVOKED"
            await got(found, asked(found, alice.certificate, b"n" * 16), "-D", str(head))
            assert "cache-control: no-store" in head.read_text()

    asyncio.run(scene())


def test_a_revocation_elsewhere_ends_what_is_cached(tmp_path: Path) -> None:
    """Written to the ledger by somebody else: a second later the cached answer is not given any more."""

    async def scene() -> None:
        async with publishing(tmp_path, watch_seconds=0.3) as found:
            alice = await found.issued("alice")
            assert (await got(found, asked(found, alice.certificate))).certificate_status.name == "GOOD"
            await found.change(alice, CertificateState.REVOKED, "keyCompromise")
            await asyncio.sleep(1)
            assert (await got(found, asked(found, alice.certificate))).certificate_status.name == "REVOKED"

    asyncio.run(scene())


def test_the_cache_is_bounded_and_holds_nothing_made_up(tmp_path: Path) -> None:
    """Of more certificates than fit, the last asked for are kept; serial numbers that were never issued are not."""

    async def scene() -> int:
        async with publishing(tmp_path) as found:
            answering = Responder(lambda: found.authority, serial=serial, cached=3)
            await answering.refresh(found.clock())
            certificates: list[Issued] = [await found.issued(f"caller-{n}") for n in range(5)]
            for one in certificates:
                await answering.reply(asked(found, one.certificate), now=found.clock())
            for number in range(1, 30):
                request = asked(found, certificates[0].certificate).replace(
                    certificates[0].record.serial.to_bytes(20, "big"), number.to_bytes(20, "big")
                )
                await answering.reply(request, now=found.clock())
            return answering.remembered

    assert asyncio.run(scene()) == 3
