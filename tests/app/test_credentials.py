"""Credentials for hosts: taken from files, kept sealed, found, and renewed where they are our own."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

from handclasp.app import ambient, control, credential_source, credentials
from handclasp.app.credential_files import pair
from handclasp.app.credential_source import CredentialSource, of_site
from handclasp.app.sealing import Sealing
from handclasp.app.state import StateDirectory
from handclasp.app.vault import open_vault
from handclasp.authority.records import Event
from handclasp.findings import Code, InvalidSetting, Refused
from handclasp.pki import pem
from handclasp.pki.spiffe import SpiffeID
from handclasp.probe.credentials import Credential
from handclasp.store.credentials import StoredCredential
from handclasp.testing.chains import SERVER, Holder, key_usage, make

if TYPE_CHECKING:
    from tests.app.conftest import Place

    from handclasp.app.site import Site
    from handclasp.app.vault import Vault

T = TypeVar("T")
NOW = datetime.now(UTC).replace(microsecond=0)
ENDS = NOW + timedelta(days=30)


def dated(subject: str, issuer: Holder | None = None, **more: Any) -> Holder:
    """A certificate that is good now."""
    given: dict[str, Any] = {"begins": NOW - timedelta(days=10), "ends": ENDS, **more}
    return make(subject, issuer, **given)


ROOT = dated("root", authority=True)
BETWEEN = dated("between", ROOT, authority=True)
LEAF = dated("client", BETWEEN)
OTHER = dated("other", ROOT)
PASSPHRASE = b"correct horse"
LIFE = timedelta(seconds=80)
"""Of the client certificates of our own authority, where one grows old: nothing can be issued for a time before the
authority itself, which begins a minute before it is made."""


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory, place_at: Callable[[Path], Place]) -> Place:
    """A ledger with nothing in it: to copy it is quicker than to make it."""
    made = place_at(tmp_path_factory.mktemp("empty") / "state")
    made.do("credential.list")
    return made


@pytest.fixture
def place(empty: Place, place: Place) -> Place:
    """Such a ledger."""
    shutil.copytree(empty.state.path, place.state.path)
    return place


def certificates(*holders: Holder) -> bytes:
    """Their certificates in PEM."""
    return b"".join(one.certificate.public_bytes(Encoding.PEM) for one in holders)


def key_of(holder: Holder, passphrase: bytes | None = None) -> bytes:
    """Its private key in PEM."""
    encryption: KeySerializationEncryption = NoEncryption()
    if passphrase is not None:
        encryption = BestAvailableEncryption(passphrase)
    data: bytes = holder.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    return data


FILES = (certificates(LEAF, BETWEEN), key_of(LEAF))


def named(files: Sequence[bytes]) -> list[tuple[str, bytes]]:
    """Files, with names."""
    return [(f"file {number}", one) for number, one in enumerate(files)]


def asking(*files: bytes, pattern: str = "*.acme.com", **more: Any) -> dict[str, Any]:
    """The arguments of credential.add."""
    given = [[name, one.hex()] for name, one in named(files or FILES)]
    rest = {"passphrase": "", "ca": None, "name": None, "replace": False}
    return {"pattern": pattern, "files": given, **rest, **more}


def add(place: Place, *files: bytes, pattern: str = "*.acme.com", **more: Any) -> dict[str, Any]:
    """Add one."""
    return place.do("credential.add", **asking(*files, pattern=pattern, **more))


def add_identity(place: Place, identity: str = "monitor", **more: Any) -> dict[str, Any]:
    """Add one of our own."""
    given = {"pattern": "api.acme.com", "ca": None, "name": None, "replace": False, **more}
    return place.do("credential.add-identity", identity=identity, **given)


def with_source(place: Place, scenario: Callable[[CredentialSource], Awaitable[T]]) -> T:
    """Use the credentials as a command does that only uses them."""

    async def scene() -> T:
        with credential_source.opened(place.state, place.settings) as source:
            assert source is not None
            return await scenario(source)

    return asyncio.run(scene())


def find(place: Place, host: str, port: int = 443) -> Credential | None:
    """The one for an endpoint."""
    return with_source(place, lambda source: source.find(host, port))


def found(place: Place, host: str = "api.acme.com") -> Credential:
    """The one that there is."""
    credential = find(place, host)
    assert credential is not None
    return credential


def not_found(place: Place, host: str = "api.acme.com") -> Refused:
    """Why the one that there is cannot be used."""
    with pytest.raises(Refused) as caught:
        find(place, host)
    return caught.value


def p12(holder: Holder, above: Sequence[Holder], passphrase: bytes) -> bytes:
    """A PKCS#12 file."""
    chain = [one.certificate for one in above]
    encryption = BestAvailableEncryption(passphrase)
    return pkcs12.serialize_key_and_certificates(b"name", holder.key, holder.certificate, chain, encryption)


@pytest.mark.parametrize(
    ("files", "passphrase"),
    [
        (FILES, b""),
        (FILES[::-1], b"not needed"),
        ((certificates(ROOT, BETWEEN, LEAF) + key_of(LEAF),), b""),
        ((certificates(BETWEEN), key_of(LEAF, PASSPHRASE), certificates(LEAF)), PASSPHRASE),
        ((p12(LEAF, [BETWEEN, ROOT], PASSPHRASE),), PASSPHRASE),
    ],
    ids=["two files", "key first", "one file with root", "encrypted key", "PKCS#12"],
)
def test_what_is_added_is_found(place: Place, files: tuple[bytes, ...], passphrase: bytes) -> None:
    """Whatever it came in: the leaf first, its issuers, no root; its own key; and how long it lasts is told."""
    told = add(place, *files, passphrase=passphrase.hex())
    assert (told["name"], told["pattern"], told["replaced"]) == ("wildcard.acme.com", "*.acme.com", None)
    assert (told["chain"], told["days_left"], told["warnings"]) == (["CN=client", "CN=between"], pytest.approx(30), [])
    credential = found(place)
    assert credential.chain == (LEAF.der, BETWEEN.der)
    assert (credential.not_after, credential.anchors, credential.identity) == (ENDS, (), None)
    signature = credential.client().sign(b"handshake", 0x0403)
    LEAF.key.public_key().verify(signature, b"handshake", ec.ECDSA(SHA256()))


EXPIRED = dated("client", ROOT, ends=NOW - timedelta(days=1))
CURVE = dated("client", key=ec.generate_private_key(ec.SECP256K1()))


@pytest.mark.parametrize(
    ("files", "code", "why"),
    [
        ((certificates(LEAF), key_of(OTHER)), Code.CREDENTIAL_UNUSABLE, "belongs to none of the certificates"),
        ((certificates(LEAF),), Code.CREDENTIAL_UNUSABLE, "no private key"),
        ((key_of(LEAF),), Code.CREDENTIAL_UNUSABLE, "no certificate"),
        ((*FILES, key_of(OTHER)), Code.CREDENTIAL_UNUSABLE, "2 private keys"),
        ((certificates(CURVE), key_of(CURVE)), Code.CREDENTIAL_UNUSABLE, "secp256k1"),
        ((certificates(EXPIRED), key_of(EXPIRED)), Code.CREDENTIAL_EXPIRED, "has expired, on 20"),
        ((b"hello", key_of(LEAF)), Code.FILE_UNRECOGNIZED, ""),
        ((certificates(LEAF), key_of(LEAF, PASSPHRASE)), Code.FILE_PASSPHRASE_MISSING, "file 1"),
        ((p12(LEAF, [], PASSPHRASE),), Code.FILE_PASSPHRASE_MISSING, ""),
    ],
    ids=["not a pair", "no key", "no certificate", "two keys", "curve", "expired", "rubbish", "encrypted", "PKCS#12"],
)
def test_what_is_no_credential(files: tuple[bytes, ...], code: Code, why: str) -> None:
    """Refused with the reason."""
    with pytest.raises(Refused) as caught:
        pair(named(files), None, now=NOW)
    assert (caught.value.code, why in caught.value.why) == (code, True)


def test_what_is_refused_is_not_kept(place: Place) -> None:
    """Nothing is there of it; of a file that does not open the name is told."""
    given = asking(p12(LEAF, [], PASSPHRASE), passphrase=b"wrong".hex())
    refused = place.refused("credential.add", **given)
    assert (refused.code, "file 0" in refused.what) == (Code.FILE_PASSPHRASE_WRONG, True)
    assert place.do("credential.list") == {"credentials": []}


OLD_ROOT = dated("old", authority=True, ends=NOW - timedelta(days=1))
OLD = dated("old", ROOT, authority=True, ends=NOW - timedelta(days=1))


@pytest.mark.parametrize(
    ("holder", "more", "said"),
    [
        (dated("c", ROOT, usages=[SERVER]), (), "not meant for clients (it is for servers)"),
        (dated("c", ROOT, usage=key_usage("key_agreement")), (), "does not allow signatures"),
        (dated("c", ROOT, begins=NOW + timedelta(days=1)), (), "not valid before"),
        (dated("c", ROOT, key=rsa.generate_private_key(65537, 1024)), (), "1024 bits"),
        (dated("c", ROOT), (OTHER,), "1 of the certificates are not in the chain"),
        (dated("c", OLD), (OLD,), "the authority CN=old above it has expired"),
        (dated("c", OLD_ROOT), (OLD_ROOT,), ""),
    ],
    ids=["EKU", "key usage", "not yet", "short", "stranger", "expired above", "an expired root is not sent"],
)
def test_what_a_server_may_not_like_is_said(holder: Holder, more: tuple[Holder, ...], said: str) -> None:
    """It is a credential all the same."""
    found = pair(named([certificates(holder, *more), key_of(holder)]), None, now=NOW)
    assert (found.chain[0], len(found.warnings)) == (holder.certificate, bool(said))
    assert said in "".join(found.warnings)


@pytest.mark.parametrize(
    ("holder", "schemes"),
    [
        (dated("c", key=ed25519.Ed25519PrivateKey.generate()), (0x0807,)),
        (dated("c", ROOT, key=mldsa.MLDSA65PrivateKey.generate()), (0x0905,)),
    ],
    ids=["Ed25519", "ML-DSA-65"],
)
def test_other_kinds_of_keys(place: Place, holder: Holder, schemes: tuple[int, ...]) -> None:
    """Are kept and opened as well; a certificate that signed itself is its own chain."""
    add(place, certificates(holder), key_of(holder))
    client = found(place).client()
    assert (client.chain, client.schemes) == ((holder.der,), schemes)
    holder.key.public_key().verify(client.sign(b"data", schemes[0]), b"data")


def test_a_key_for_pss_alone(place: Place, tmp_path: Path) -> None:
    """As OpenSSL makes it (RFC 4055): it signs by rsa_pss_pss, and by nothing else."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    call = ["openssl", "req", "-x509", "-newkey", "rsa-pss", "-noenc", "-subj", "/CN=c", "-days", "2"]
    subprocess.run([*call, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    add(place, certificate.read_bytes(), key.read_bytes())
    assert found(place).client().schemes == (0x0809, 0x080A, 0x080B)


def test_the_newer_of_two_certificates_for_one_key(place: Place) -> None:
    """As where a file has the old one and its renewal."""
    renewed = make("client", BETWEEN, key=LEAF.key, begins=NOW, ends=NOW + timedelta(days=60))
    assert add(place, certificates(LEAF, renewed, BETWEEN), key_of(LEAF))["warnings"] == []
    assert found(place).chain == (renewed.der, BETWEEN.der)


def test_authorities_of_its_own(place: Place) -> None:
    """Each once, for the verification of the server; a file without any is refused."""
    told = add(place, ca=["root.pem", certificates(ROOT, OTHER, ROOT).hex()])
    assert told["ca"] == ["CN=root", "CN=other"]
    assert found(place).anchors == (ROOT.der, OTHER.der)
    given = asking(pattern="other.example", ca=["key.pem", key_of(LEAF).hex()])
    assert place.refused("credential.add", **given).code is Code.CREDENTIAL_UNUSABLE


def test_one_pattern_has_one_credential(place: Place) -> None:
    """The second is refused and says what to do; with ``replace`` it comes in the place of the first, by its name."""
    add(place, name="acme")
    refused = place.refused("credential.add", **asking(certificates(OTHER), key_of(OTHER), pattern="*.ACME.com"))
    assert (refused.code, "--replace" in refused.fix) == (Code.STATE_FILE_EXISTS, True)
    told = add(place, certificates(OTHER), key_of(OTHER), replace=True)
    assert (told["name"], told["subject"], told["replaced"]["subject"]) == ("acme", "CN=other", "CN=client")
    assert found(place).chain == (OTHER.der,)
    assert [one["name"] for one in place.do("credential.list")["credentials"]] == ["acme"]


def test_what_is_no_name(place: Place) -> None:
    """InvalidSetting; auto and none mean something else."""
    for name in ("auto", "none", "", "a b", "-a", "ä", "a/b", "a" * 101):
        assert place.invalid("credential.add", **asking(name=name)).path == "--name"


def test_names_where_none_is_given(place: Place) -> None:
    """After the pattern; one name is not for two."""
    patterns = ("acme.com", "*.acme.com", "*.acme.com:8443", "acme.com:443", "[2001:db8::7]:443", "2001:db8::", "auto")
    assert [add(place, pattern=pattern)["name"] for pattern in patterns] == [
        *("acme.com", "wildcard.acme.com", "wildcard.acme.com-8443", "acme.com-443", "2001-db8--7-443", "2001-db8"),
        "for-auto",
    ]
    invalid = place.invalid("credential.add", **asking(pattern="other.example", name="acme.com"))
    assert (invalid.path, "acme.com" in invalid.why) == ("--name", True)


def test_the_most_exact_is_used_and_why_is_told(place: Place) -> None:
    """By the one who uses it and by the one who is asked alike; no match, none."""
    for pattern in ("*.acme.com", "api.acme.com", "*.acme.com:8443"):
        add(place, pattern=pattern)
    for host, port, pattern in (
        ("api.acme.com", 8443, "api.acme.com"),
        ("www.acme.com", 8443, "*.acme.com:8443"),
        ("WWW.acme.com", 443, "*.acme.com"),
    ):
        told = place.do("credential.for", target=f"{host}:{port}")
        used = find(place, host, port)
        assert used is not None
        assert (str(used.pattern), told["credential"]["pattern"], pattern in told["why"]) == (pattern, pattern, True)
    assert place.do("credential.for", target="www.acme.com:8443")["passed_over"] == ["wildcard.acme.com"]
    assert find(place, "acme.com") is None
    assert place.do("credential.for", target="https://a.b.acme.com/")["credential"] is None


def test_one_is_named_whatever_the_host(place: Place) -> None:
    """Who names one gets it; one that is not there is CREDENTIAL_UNKNOWN."""
    add(place, name="acme")
    assert with_source(place, lambda source: source.named("acme")).chain[0] == LEAF.der
    for name in ("other", "*.acme.com", ""):
        with pytest.raises(Refused) as caught:
            with_source(place, lambda source, name=name: source.named(name))  # type: ignore[misc]  # bound for the loop
        assert caught.value.code is Code.CREDENTIAL_UNKNOWN


def test_what_another_process_changes_is_seen(place: Place) -> None:
    """A new one at the next look at the patterns; one that is replaced or removed at once."""
    add(place)

    async def scenario() -> None:
        with open_vault(place.state, place.settings()) as vault:
            source, slow = (CredentialSource(vault, nobody, known_for=seconds) for seconds in (0, 3600))
            first = await source.find("api.acme.com", 443)
            assert first is not None
            assert await source.find("api.acme.com", 443) is first  # and it was not opened again
            assert await slow.find("api.acme.com", 443) == first
            await place.perform("credential.add", **asking(pattern="api.acme.com"))
            second = await source.find("api.acme.com", 443)
            assert second is not None
            assert str(second.pattern) == "api.acme.com"
            other = asking(certificates(OTHER), key_of(OTHER), replace=True)
            await place.perform("credential.add", **other)
            third = await slow.find("www.acme.com", 443)
            assert third is not None
            assert third.chain == (OTHER.der,)
            await place.perform("credential.remove", which="wildcard.acme.com")
            assert await slow.find("www.acme.com", 443) is None
            await place.perform("credential.remove", which="api.acme.com")
            assert await source.find("api.acme.com", 443) is None

    asyncio.run(scenario())


async def nobody(name: str) -> None:
    """Where nothing is to be renewed."""
    raise AssertionError(name)


def test_shown_and_removed_by_name_or_pattern(place: Place) -> None:
    """What is shown has the certificates; what is removed is gone, and the log tells of it all."""
    add(place, name="acme", ca=["root.pem", certificates(ROOT).hex()])
    told = place.do("credential.show", which="*.ACME.com")
    assert (told["name"], told["usable"], told["fault"]) == ("acme", True, None)
    assert (told["pem"].encode(), told["ca_pem"].encode()) == (FILES[0], certificates(ROOT))
    assert place.do("credential.remove", which="acme")["subject"] == "CN=client"
    for operation in ("credential.show", "credential.remove"):
        assert place.refused(operation, which="acme").code is Code.CREDENTIAL_UNKNOWN
    assert find(place, "api.acme.com") is None
    events = place.do("audit.export", kind=None, subject="acme", after=None)["events"]
    assert ["credential.added" in str(one) for one in events] == [True, False]
    place.do("audit.verify", kept=None)


def test_the_watch_needs_no_key(place: Place) -> None:
    """Name, pattern, end and certificate of each, although nothing can be opened."""
    add(place, name="acme")
    (place.state.authority_keys / "credentials.key").unlink()
    (watched,) = with_source(place, lambda source: source.watched())
    assert (watched.name, watched.pattern, watched.not_after) == ("acme", "*.acme.com", ENDS)
    assert watched.certificate == LEAF.der


async def put(vault: Vault, key: Any, chain: bytes, ends: datetime, identity: str | None = None) -> bytes:
    """A credential named ours for api.acme.com, as it is after some time; its key in DER."""
    one = StoredCredential("ours", "api.acme.com", chain, None, None, identity, NOW, ends)
    sealing = Sealing(vault.custody)
    await sealing.prepare(first=True)
    private: bytes = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    await credentials.stored(vault).put(await sealing.seal(private, one), Event(NOW, "credential.added", "ours"))
    return private


def test_an_expired_one_is_not_used(place: Place) -> None:
    """CREDENTIAL_EXPIRED; but it is listed and watched."""
    ends = EXPIRED.certificate.not_valid_after_utc
    place.with_vault(lambda vault: put(vault, EXPIRED.key, certificates(EXPIRED), ends))
    refused = not_found(place)
    assert (refused.code, "--replace" in refused.fix) == (Code.CREDENTIAL_EXPIRED, True)
    (listed,) = place.do("credential.list")["credentials"]
    assert (listed["state"], listed["days_left"] < 0) == ("expired", True)
    assert len(with_source(place, lambda source: source.watched())) == 1


def test_the_first_thing_that_is_done(place: Place, tmp_path: Path) -> None:
    """Without settings a credential can be added and used; and who only looks makes nothing."""
    place.state = state = StateDirectory(tmp_path / "nothing")

    def missing() -> Any:
        raise Refused(Code.CONFIG_MISSING, "There is no handclasp.yaml", "it is not there", "Make one.")

    async def scenario() -> None:
        with credential_source.opened(state, missing) as source:
            assert source is None
        with pytest.raises(Refused):
            await control.perform(state, missing, "credential.list")
        assert not state.path.exists()
        await control.perform(state, missing, "credential.add", **asking())
        with credential_source.opened(state, missing) as source:
            assert source is not None
            assert await source.find("api.acme.com", 443) is not None

    asyncio.run(scenario())
    assert sorted(path.name for path in state.authority_keys.iterdir()) == ["credentials.key"]
    assert (state.authority_keys / "credentials.key").stat().st_mode & 0o777 == 0o600
    place.issue()  # an authority is made beside it
    assert found(place).chain[0] == LEAF.der


def leaf_of(place: Place) -> x509.Certificate:
    """The certificate that is used."""
    return x509.load_der_x509_certificate(found(place).chain[0])


def test_an_identity_of_our_own(place: Place) -> None:
    """Its certificate is a caller's, by our authority, with a key that was made here."""
    told = add_identity(place)
    assert (told["identity"], told["renews_itself"]) == ("spiffe://example.org/monitor", True)
    (record,) = place.found(identity="monitor")
    assert (record["fingerprint"], record["profile"]) == (told["fingerprint"], "client")
    credential = found(place)
    assert credential.identity == "spiffe://example.org/monitor"
    assert credential.client().sign(b"data", 0x0403)
    assert len(credential.chain) == 2


async def enrolled(site: Site, age: timedelta) -> bytes:
    """A credential of the identity monitor, as it is at that age; its key in DER."""
    identity = SpiffeID.parse("spiffe://example.org/monitor")
    made = await credentials.issued(site, identity, now=ambient.now() - age)
    return await put(site.vault, made.key, pem.pem(*made.chain), made.chain[0].not_valid_after_utc, str(identity))


@pytest.fixture
def soon(place: Place) -> Place:
    """Where a caller's certificate lasts for LIFE."""
    place.text += f"lifetimes: {{client: {LIFE.seconds}s}}\n"
    return place


@pytest.mark.parametrize(("age", "renewed"), [(0.55, False), (0.68, True)], ids=["before", "after"])
def test_it_renews_itself_at_two_thirds(soon: Place, age: float, renewed: bool) -> None:
    """When it is used; with the same key, once, and the log tells of it."""

    async def scenario(site: Site) -> None:
        private = await enrolled(site, age * LIFE)
        before = await credentials.listing(site.vault)
        source = of_site(site)
        one, two = await asyncio.gather(source.find("api.acme.com", 443), source.named("ours"))
        assert one is not None
        assert (one.not_after - ambient.now() > 0.8 * LIFE) is renewed
        assert one.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()) == private
        assert two.chain == one.chain
        assert (before == await credentials.listing(site.vault)) is not renewed
        assert len(await site.authority.ledger.events(kind="credential.renewed")) == renewed
        assert await credentials.renew(site, name="ours") == {"renewed": False}

    soon.with_site(scenario)


def test_whoever_runs_there_renews_it(soon: Place) -> None:
    """A command that uses it asks the one who holds the lock, over the control socket."""

    async def scenario(site: Site) -> None:
        await enrolled(site, 0.68 * LIFE)
        server = await control.serve(site.vault, site)
        try:
            with credential_source.opened(soon.state, soon.settings) as source:
                assert source is not None
                credential = await source.find("api.acme.com", 443)
        finally:
            server.close()
        assert credential is not None
        assert credential.not_after > ambient.now() + 0.8 * LIFE

    soon.with_site(scenario)


def test_one_that_cannot_be_renewed_is_used_to_its_end(soon: Place, caplog: pytest.LogCaptureFixture) -> None:
    """The reason is logged, once a minute at most; after the end it is CREDENTIAL_EXPIRED."""
    asked: list[str] = []

    async def renew(name: str) -> None:
        asked.append(name)
        raise Refused(Code.HSM_UNAVAILABLE, "No", "the module is away", "Bring it back.")

    async def scenario(site: Site) -> None:
        await enrolled(site, 0.68 * LIFE)
        source = CredentialSource(site.vault, renew)
        for _ in range(3):
            assert await source.find("api.acme.com", 443) is not None
        later = CredentialSource(site.vault, renew, clock=lambda: ambient.now() + LIFE)
        with pytest.raises(Refused) as caught:
            await later.find("api.acme.com", 443)
        assert caught.value.code is Code.CREDENTIAL_EXPIRED

    soon.with_site(scenario)
    assert asked == ["ours", "ours"]
    assert caplog.text.count("the module is away") == 2


def test_a_rotation_is_not_held_up(place: Place) -> None:
    """What the old authority issued is renewed at its next use, long before its end; then nobody depends on it."""
    add_identity(place)
    place.do("rotate.start", what="issuing")
    place.do("rotate.advance", without=[])
    assert "monitor" in str(place.do("rotate.status")["waiting_for"])
    before = leaf_of(place)  # this use renews it
    after = leaf_of(place)
    assert before == after
    assert "monitor" not in str(place.do("rotate.status")["waiting_for"])


def test_a_revoked_identity_is_not_used(place: Place) -> None:
    """Neither the one that there is, from the next use on, nor a new one, until access is granted again."""
    add_identity(place)
    place.do("client.revoke", name="monitor", reason="unspecified")
    refused = not_found(place)
    assert (refused.code, "revoked" in refused.why) == (Code.CREDENTIAL_UNUSABLE, True)
    again = {"pattern": "api.acme.com", "identity": "monitor", "ca": None, "name": None, "replace": True}
    assert place.refused("credential.add-identity", **again).code is Code.REQUEST_IDENTITY_REVOKED
    place.issue(name="monitor")
    place.do("credential.add-identity", **again)
    assert found(place).identity == "spiffe://example.org/monitor"


def test_one_on_hold_is_not_used_until_it_is_released(place: Place) -> None:
    """CREDENTIAL_UNUSABLE meanwhile."""
    serial = add_identity(place)["serial"]
    place.do("cert.hold", which=serial)
    refused = not_found(place)
    assert (refused.code, "on hold" in refused.why) == (Code.CREDENTIAL_UNUSABLE, True)
    place.do("cert.release", which=serial)
    assert found(place).identity is not None


def test_a_pattern_that_is_none(place: Place) -> None:
    """InvalidSetting, by whichever way it is added; and nothing is issued for it."""
    assert isinstance(place.invalid("credential.add", **asking(pattern="*.com")), InvalidSetting)
    given = {"pattern": "*", "identity": "monitor", "ca": None, "name": None, "replace": False}
    place.invalid("credential.add-identity", **given)
    assert place.found(identity="monitor") == []
