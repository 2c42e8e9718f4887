"""Revocation lists over plain HTTP: fresh, numbered, cached, and taken by openssl, curl and nginx."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.authority.crl import FULL, VALIDITY, Memory, current_crl, deny_set, publish
from handclasp.authority.issue import Issued
from handclasp.authority.records import AuthorityState, CertificateState, CrlRecord
from handclasp.pki.profile import SERVER
from handclasp.testing.publishing import Publishing, opened, publishing, run

BASE = "http://pki.example.org"


def path_of(found: Publishing, shard: int | None = None) -> str:
    key_id = found.authority.hierarchy.issuers[0].key_id
    return f"/crl/{key_id}.crl" if shard is None else f"/crl/{key_id}/{shard}.crl"


async def fetched(found: Publishing, shard: int | None = None) -> x509.CertificateRevocationList:
    path = found.directory / "fetched.crl"
    await run("curl", "-sSf", "-o", path, found.url + path_of(found, shard))
    return x509.load_der_x509_crl(path.read_bytes())


def serials(crl: x509.CertificateRevocationList) -> list[int]:
    return [entry.serial_number for entry in crl]


def entries(crl: x509.CertificateRevocationList) -> list[tuple[int, datetime, list[x509.ExtensionType]]]:
    return [(one.serial_number, one.revocation_date_utc, [e.value for e in one.extensions]) for one in crl]


def number(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


async def verified(found: Publishing, certificate: Path, *lists: x509.CertificateRevocationList, option: str) -> str:
    """What openssl says of the certificate with these lists."""
    path = found.write("lists.pem", b"".join(crl.public_bytes(Encoding.PEM) for crl in lists))
    command: list[str | Path] = [
        "openssl",
        "verify",
        "-x509_strict",
        option,
        "-CAfile",
        found.roots(),
        "-untrusted",
        found.chain(),
    ]
    return await run(*command, "-CRLfile", path, certificate, check=False)


def test_a_revocation_is_on_the_list_at_once(tmp_path: Path) -> None:
    """After refresh() the list has the revocation, a greater number, and openssl reads it."""

    async def scene() -> None:
        async with publishing(tmp_path) as found:
            alice = await found.issued("alice")
            before = await fetched(found)
            await found.revoke(alice, "superseded")
            after = await fetched(found)
            assert (serials(before), serials(after)) == ([], [alice.record.serial])
            assert number(after) > number(before)
            text = await run("openssl", "crl", "-inform", "DER", "-in", tmp_path / "fetched.crl", "-noout", "-text")
            assert f"Serial Number: {alice.record.serial:X}" in text
            assert "Superseded" in text

    asyncio.run(scene())


def test_a_revocation_elsewhere_is_seen(tmp_path: Path) -> None:
    """Written to the ledger by somebody else, it is on the list within a second without anybody calling."""

    async def scene() -> None:
        async with publishing(tmp_path, watch_seconds=0.3) as found:
            alice = await found.issued("alice")
            await found.change(alice, CertificateState.REVOKED, "keyCompromise")
            await asyncio.sleep(1)
            assert serials(await fetched(found)) == [alice.record.serial]

    asyncio.run(scene())


def test_what_is_held_comes_off_again(tmp_path: Path) -> None:
    """Held: on the list as certificateHold; released: off it."""

    async def scene() -> None:
        async with publishing(tmp_path) as found:
            assert found.server is not None
            alice = await found.issued("alice")
            await found.change(alice, CertificateState.HELD, "certificateHold")
            await found.server.refresh()
            (entry,) = await fetched(found)
            reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
            assert (entry.serial_number, reason) == (alice.record.serial, x509.ReasonFlags.certificate_hold)
            await found.change(alice, CertificateState.ISSUED, None)
            await found.server.refresh()
            assert serials(await fetched(found)) == []

    asyncio.run(scene())


def test_what_has_expired_drops_off(tmp_path: Path) -> None:
    """RFC 5280 §3.3: a day after it expired, a revoked certificate is not on the list any more."""

    async def scene() -> None:
        async with publishing(tmp_path) as found:
            assert found.server is not None
            alice = await found.issued("alice", lifetime=timedelta(hours=1))
            await found.revoke(alice)
            found.offset = timedelta(hours=24, minutes=50)
            await found.server.refresh()
            assert serials(await fetched(found)) == [alice.record.serial]
            found.offset = timedelta(hours=24, minutes=50) + VALIDITY
            await found.server.refresh()
            assert serials(await fetched(found)) == []

    asyncio.run(scene())


def test_the_number_grows_over_restarts(tmp_path: Path) -> None:
    """A restart serves the same list; the next one has a greater number, also where the clock was set back."""

    async def scene() -> list[int]:
        seen = []
        for _ in range(3):
            async with publishing(tmp_path) as found:
                seen.append(number(await fetched(found)))
                alice = await found.issued("alice", SERVER, dns=("a.example.org",))
                found.offset = -timedelta(days=3)
                await found.revoke(alice)
                seen.append(number(await fetched(found)))
        return seen

    seen = asyncio.run(scene())
    assert sorted(set(seen)) == list(dict.fromkeys(seen))


def test_a_list_is_signed_anew_before_it_ends(tmp_path: Path) -> None:
    """The same list until half of its time is over, then a new one."""

    async def scene() -> None:
        async with opened(tmp_path) as found:
            issuer = found.authority.hierarchy.issuers[0]
            first = await publish(found.authority, issuer, None, now=found.clock())
            assert first.next_update - first.this_update == VALIDITY + timedelta(minutes=1)
            found.offset = VALIDITY * 0.49
            assert await publish(found.authority, issuer, None, now=found.clock()) == first
            found.offset = VALIDITY * 0.51
            second = await publish(found.authority, issuer, None, now=found.clock())
            assert second.number > first.number
            assert second.next_update > first.next_update
            found.offset = -timedelta(hours=1)
            assert (await publish(found.authority, issuer, None, now=found.clock())).number > second.number

    asyncio.run(scene())


def test_an_older_list_never_replaces_a_newer_one(tmp_path: Path) -> None:
    """Many replicas at once, while certificates are revoked: numbers and entries of what is kept only ever grow."""

    async def scene() -> None:
        async with opened(tmp_path) as found:
            issuer = found.authority.hierarchy.issuers[0]
            certificates = [await found.issued(f"caller-{n}") for n in range(6)]
            seen: list[CrlRecord] = []

            async def replica() -> None:
                for _ in range(4):
                    await publish(found.authority, issuer, None, now=found.clock())
                    latest = await found.authority.ledger.latest_crl(issuer.key_id, FULL)
                    assert latest is not None
                    seen.append(latest)

            async def revoking() -> None:
                for certificate in certificates:
                    await found.revoke(certificate)

            await asyncio.gather(*(replica() for _ in range(4)), revoking())
            lists = sorted({record.number: record for record in seen}.values(), key=lambda record: record.number)
            counts = [len(serials(x509.load_der_x509_crl(record.der))) for record in lists]
            assert [record.mark for record in lists] == sorted(record.mark for record in lists)
            assert counts == sorted(counts)
            last = await publish(found.authority, issuer, None, now=found.clock())
            assert len(serials(x509.load_der_x509_crl(last.der))) == len(certificates)

    asyncio.run(scene())


def test_what_is_remembered_misses_nothing(tmp_path: Path) -> None:
    """With a memory or without: the same entries after every kind of change, also when several come together."""

    async def scene() -> None:
        async with opened(tmp_path) as found:
            issuer, memory = found.authority.hierarchy.issuers[0], Memory()
            a, b, c, d = [await found.issued(name) for name in ("alice", "bob", "carol", "dave")]
            revoked, held, good = CertificateState.REVOKED, CertificateState.HELD, CertificateState.ISSUED
            steps: list[list[tuple[Issued, CertificateState, str | None]]] = [
                [],
                [(a, revoked, "keyCompromise")],
                [(b, held, "certificateHold"), (c, held, "certificateHold")],
                [(b, good, None), (d, held, "certificateHold")],
                [(c, revoked, "superseded")],
                [(d, good, None), (d, held, "certificateHold")],
                [(b, revoked, "cessationOfOperation")],
            ]
            for step in steps:
                for certificate, state, reason in step:
                    await found.change(certificate, state, reason)
                record = await publish(found.authority, issuer, None, now=found.clock(), memory=memory)
                full = await current_crl(found.authority, issuer, now=found.clock())
                assert entries(x509.load_der_x509_crl(record.der)) == entries(full)

    asyncio.run(scene())


def test_openssl_checks_the_whole_chain(tmp_path: Path) -> None:
    """openssl verify -crl_check_all, with the published lists of the issuing authority and of the root."""

    async def scene() -> None:
        async with publishing(tmp_path, publication=BASE) as found:
            alice, bob = await found.issued("alice"), await found.issued("bob")
            await found.revoke(bob)
            root = found.authority.hierarchy.anchors[0].key_id
            await run("curl", "-sSf", "-o", tmp_path / "root.crl", f"{found.url}/crl/{root}.crl")
            lists = [await fetched(found), x509.load_der_x509_crl((tmp_path / "root.crl").read_bytes())]
            good, gone = found.certificate(alice), found.certificate(bob)
            assert await verified(found, good, *lists, option="-crl_check_all") == f"{good}: OK\n"
            refused = await verified(found, gone, *lists, option="-crl_check_all")
            assert "error 23 at 0 depth lookup: certificate revoked" in refused

    asyncio.run(scene())


def test_shards_agree_with_their_certificates(tmp_path: Path) -> None:
    """The list that a certificate's CDP names has that URL in its IDP, and openssl takes it for that certificate."""

    async def scene() -> None:
        async with publishing(tmp_path, publication=BASE, crl_shards=3) as found:
            certificates = [await found.issued(f"caller-{n}") for n in range(8)]
            await found.revoke(certificates[0])
            for one in certificates:
                points = one.certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
                assert points[0].full_name is not None
                (url,) = [name.value for name in points[0].full_name]
                assert url == BASE + path_of(found, one.record.serial % 3)
                crl = await fetched(found, one.record.serial % 3)
                issued = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
                assert issued.full_name == [x509.UniformResourceIdentifier(url)]
                revoked = one is certificates[0]
                assert (certificates[0].record.serial in serials(crl)) == (
                    one.record.shard == certificates[0].record.shard
                )
                path = found.certificate(one)
                text = await verified(found, path, crl, option="-crl_check")
                assert ("certificate revoked" in text) if revoked else (text == f"{path}: OK\n")
            other = await fetched(found, (certificates[0].record.serial + 1) % 3)
            text = await verified(found, found.certificate(certificates[0]), other, option="-crl_check")
            assert "different CRL scope" in text or "unable to get certificate CRL" in text

    asyncio.run(scene())


def test_more_shards_leave_the_full_list_where_it_was(tmp_path: Path) -> None:
    """Certificates from before name the full list: it goes on being published, with everything on it."""

    async def scene() -> None:
        async with publishing(tmp_path, publication=BASE) as found:
            old = await found.issued("alice")
        async with publishing(tmp_path, publication=BASE, crl_shards=4) as found:
            new = await found.issued("bob")
            assert serials(await fetched(found)) == []
            await found.revoke(old)
            await found.revoke(new)
            assert serials(await fetched(found)) == sorted((old.record.serial, new.record.serial))
            assert new.record.serial in serials(await fetched(found, new.record.serial % 4))
        async with publishing(tmp_path, publication=BASE) as found:
            assert new.record.serial in serials(await fetched(found, new.record.serial % 4))
            assert new.record.serial in serials(await fetched(found))
            status = await run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", found.url + path_of(found, 5))
            assert status == "404"

    asyncio.run(scene())


def test_a_retiring_authority_still_publishes(tmp_path: Path) -> None:
    """What it signed is still accepted, so what is revoked of it is still published."""

    async def scene() -> None:
        async with publishing(tmp_path) as found:
            alice = await found.issued("alice")
            (record,) = [one for one in await found.authority.ledger.authorities() if one.parent is not None]
            retiring = replace(found.authority.hierarchy.issuers[0], state=AuthorityState.RETIRING)
            assert record.key_id == retiring.key_id
            hierarchy = replace(found.authority.hierarchy, issuers=(retiring,))
            found.authority = replace(found.authority, hierarchy=hierarchy)
            await found.revoke(alice)
            assert serials(await fetched(found)) == [alice.record.serial]

    asyncio.run(scene())


def test_a_root_kept_elsewhere_leaves_the_rest_as_it_is(tmp_path: Path) -> None:
    """Without the root's key, its last list is served on, and the issuing authority's is fresh."""

    async def scene() -> None:
        async with publishing(tmp_path) as found:
            key_id = found.authority.hierarchy.anchors[0].key_id
            first = await run("curl", "-sSf", "-D", "-", "-o", "/dev/null", f"{found.url}/crl/{key_id}.crl")
        for path in (tmp_path / "ca").glob("root*"):
            path.rename(tmp_path / path.name)
        async with publishing(tmp_path) as found:
            found.offset = timedelta(hours=20)
            await found.revoke(await found.issued("alice"))
            second = await run("curl", "-sSf", "-D", "-", "-o", "/dev/null", f"{found.url}/crl/{key_id}.crl")
            assert len(serials(await fetched(found))) == 1
        etags = [[line for line in text.splitlines() if line.startswith("etag")] for text in (first, second)]
        assert etags[0] == etags[1] != []

    asyncio.run(scene())


def test_the_gateway_gets_the_full_list(tmp_path: Path) -> None:
    """Thirty days, no distribution point, whatever the shards; and the fingerprints of what was revoked lately."""

    async def scene() -> None:
        async with opened(tmp_path, publication=BASE, crl_shards=3) as found:
            certificates = [await found.issued(f"caller-{n}") for n in range(4)]
            for one in certificates:
                await found.revoke(one)
            issuer = found.authority.hierarchy.issuers[0]
            crl = await current_crl(found.authority, issuer, now=found.clock())
            assert serials(crl) == sorted(one.record.serial for one in certificates)
            assert [type(e.value) for e in crl.extensions] == [x509.AuthorityKeyIdentifier, x509.CRLNumber]
            assert crl.next_update_utc is not None
            assert crl.next_update_utc - crl.last_update_utc == timedelta(days=30, minutes=1)
            assert await deny_set(found.authority, found.clock()) == {one.record.fingerprint for one in certificates}

    asyncio.run(scene())


@pytest.mark.parametrize("header", ["If-None-Match", "If-Modified-Since"])
def test_curl_asks_again_only_for_what_has_changed(tmp_path: Path, header: str) -> None:
    """The same list: 304 without a body; after a revocation: 200 for the tag. HEAD: the headers alone."""

    async def scene() -> None:
        async with publishing(tmp_path) as found:
            url = found.url + path_of(found)
            body, head = tmp_path / "body", tmp_path / "head"
            await run("curl", "-sSf", "-D", head, "-o", body, url)
            headers = dict(line.split(": ", 1) for line in head.read_text().splitlines() if ": " in line)
            assert headers["content-type"] == "application/pkix-crl"
            assert headers["cache-control"] == "max-age=60, public, no-transform, must-revalidate"
            assert {"expires", "etag", "last-modified", "date"} <= set(headers)
            value = headers["etag"] if header == "If-None-Match" else headers["last-modified"]
            again: list[str | Path] = [
                "curl",
                "-sS",
                "-H",
                f"{header}: {value}",
                "-o",
                body,
                "-w",
                "%{http_code} %{size_download}",
                url,
            ]
            assert await run(*again) == "304 0"
            if header == "If-None-Match":
                await found.revoke(await found.issued("alice"))
                assert (await run(*again)).startswith("200 ")
            await run("curl", "-sSf", "--head", "-D", head, "-o", body, url)
            assert f"content-length: {len((await fetched(found)).public_bytes(Encoding.DER))}" in head.read_text()

    asyncio.run(scene())


def test_the_issuers_certificate_is_published(tmp_path: Path) -> None:
    """Where the AIA says: DER, of the issuing authority and of the root."""

    async def scene() -> None:
        async with publishing(tmp_path) as found:
            hierarchy = found.authority.hierarchy
            for one in (*hierarchy.anchors, *hierarchy.issuers):
                await run("curl", "-sSf", "-o", tmp_path / "one.cer", f"{found.url}/ca/{one.key_id}.cer")
                assert x509.load_der_x509_certificate((tmp_path / "one.cer").read_bytes()) == one.certificate

    asyncio.run(scene())
