"""Faults of mutual TLS, one at a time: each is a scene that works but for one thing, and the code of that thing.

``FAULTS`` is the table; ``Workshop`` makes what the scenes are built of. ``mended`` does what the doctor's code asks
for, and nothing else: a wrong code mends the wrong thing.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from handclasp.findings import Code
from handclasp.pki import pem
from handclasp.testing import chains
from handclasp.testing.chains import Holder
from handclasp.testing.servers import Case, Client, Credential, Material, Versions, make_material
from handclasp.testing.servers.material import NAMES

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Scene:
    """A server as it is set up, and a client as it is.

    ``raw`` names a server that does not speak TLS (``testing.faulty``). ``version`` is the only one of the client.
    ``ahead`` is what the client's clock shows more than the true time.
    """

    case: Case
    cert: Path | None
    key: Path | None
    cacert: Path
    bundle: Path
    host: str = "localhost"
    raw: str = ""
    version: str | None = None
    ahead: timedelta = timedelta()


class Workshop:
    """What scenes are made of: the laboratory's material, and whatever else is asked for, as files."""

    def __init__(self, directory: Path, *, now: datetime | None = None) -> None:
        self.now = now or datetime.now(UTC)
        self.directory = directory
        self.material = make_material(directory, now=self.now)
        self.root = self._authority("Acme clients root")
        self.issuing = self._authority("Acme clients issuing", self.root)
        self.trust = self.write("acme-roots.pem", pem.pem(self.root.certificate))
        self.material = replace(
            self.material,
            client_authorities=self.trust,
            client_authority_names=(self.root.certificate.subject.public_bytes(),),
            client=self.credential("client", self.leaf(self.issuing), self.issuing),
        )

    def good(self, versions: Versions) -> Scene:
        """A scene in which everything works."""
        one = self.material.client
        case = Case(Client.REQUIRED, versions, material=self.material)
        return Scene(case, one.chain, one.key, self.material.roots, self.trust)

    def leaf(self, issuer: Holder | None, **differing: Any) -> Holder:
        """A client's certificate, good but for what differs."""
        usual: dict[str, Any] = {
            "begins": self.now - _HOUR,
            "ends": self.now + 40 * _DAY,
            "usages": (chains.CLIENT,),
            "names": (x509.UniformResourceIdentifier("spiffe://acme.test/client"),),
        }
        return chains.make("client", issuer, **{**usual, **differing})

    def server(self, *, self_signed: bool = False, alone: bool = False, **differing: Any) -> Material:
        """The laboratory's material with another certificate for the server."""
        issuer = self.material.server.above[0]
        usual: dict[str, Any] = {
            "begins": self.now - _HOUR,
            "ends": self.now + 40 * _DAY,
            "usages": (chains.SERVER,),
            "names": NAMES,
        }
        made = chains.make(
            "localhost",
            None if self_signed else issuer,
            **{**usual, **differing},
        )
        above = () if self_signed or alone else (issuer,)
        return replace(self.material, server=self.credential("server", made, *above))

    def credential(self, name: str, holder: Holder, *above: Holder, encrypted: bool = False) -> Credential:
        """Files of a leaf and the certificates above it."""
        number = len(list(self.directory.iterdir()))
        lock = BestAvailableEncryption(b"secret") if encrypted else NoEncryption()
        key = holder.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)
        leaf = pem.pem(holder.certificate)
        issuers = b"".join(pem.pem(one.certificate) for one in above)
        name = f"{name}-{number}"
        return Credential(
            holder=holder,
            above=above,
            chain=self.write(f"{name}.pem", leaf + issuers),
            leaf=self.write(f"{name}-leaf.pem", leaf),
            issuers=self.write(f"{name}-issuers.pem", issuers),
            key=self.write(f"{name}.key", key),
            both=self.write(f"{name}-both.pem", leaf + issuers + key),
        )

    def lists(self, *crls: x509.CertificateRevocationList) -> Path:
        """A file of revocation lists."""
        number = len(list(self.directory.iterdir()))
        data = b"".join(one.public_bytes(Encoding.PEM) for one in crls)
        return self.write(f"lists-{number}.pem", data)

    def crl(
        self, issuer: Holder, *revoked: x509.Certificate, ends: timedelta = 7 * _DAY
    ) -> x509.CertificateRevocationList:
        """A list of this issuer, in date unless it ``ends`` before now."""
        return chains.make_crl(issuer, revoked, begins=self.now - 2 * _HOUR, ends=self.now + ends)

    def write(self, name: str, data: bytes) -> Path:
        path = self.directory / name
        path.write_bytes(data)
        path.chmod(0o600)
        return path

    def _authority(self, name: str, issuer: Holder | None = None, **differing: Any) -> Holder:
        usual: dict[str, Any] = {"begins": self.now - 2 * _HOUR, "ends": self.now + 90 * _DAY}
        return chains.make(
            name,
            issuer,
            authority=True,
            **{**usual, **differing},
        )

    def authority(self, name: str, issuer: Holder | None = None, **differing: Any) -> Holder:
        """Another authority."""
        return self._authority(name, issuer, **differing)


Make = Callable[[Workshop, Scene], Scene]


@dataclass(frozen=True, slots=True)
class Fault:
    """``make`` puts it into a good scene. ``kind`` is where it lies. ``versions`` are those of TLS in which it exists,
    ``products`` whom it can be shown with (empty: all that can serve the case)."""

    name: str
    code: Code
    kind: str
    make: Make
    versions: Sequence[Versions] = (Versions.TLS12, Versions.TLS13)
    products: frozenset[str] = frozenset()


def _shown(scene: Scene, credential: Credential) -> Scene:
    return replace(scene, cert=credential.chain, key=credential.key)


def _client(**differing: Any) -> Make:
    return lambda shop, scene: _shown(
        scene, shop.credential("client", shop.leaf(shop.issuing, **differing), shop.issuing)
    )


def _served(**differing: Any) -> Make:
    def make(shop: Workshop, scene: Scene) -> Scene:
        return replace(scene, case=replace(scene.case, material=shop.server(**differing)))

    return make


def _cased(**differing: Any) -> Make:
    return lambda _, scene: replace(scene, case=replace(scene.case, **differing))


def _stranger(shop: Workshop, scene: Scene) -> Scene:
    return _shown(scene, shop.material.stranger)


def _self_signed(shop: Workshop, scene: Scene) -> Scene:
    return _shown(scene, shop.credential("client", shop.leaf(None)))


def _incomplete(shop: Workshop, scene: Scene) -> Scene:
    return replace(scene, cert=shop.material.client.leaf)


def _collision(shop: Workshop, scene: Scene) -> Scene:
    root = shop.authority("Acme clients root")
    issuing = shop.authority("Acme clients issuing", root)
    return _shown(scene, shop.credential("client", shop.leaf(issuing), issuing))


def _chain_expired(shop: Workshop, scene: Scene) -> Scene:
    issuing = shop.authority("Acme clients issuing", shop.root, ends=shop.now - timedelta(minutes=10))
    return _shown(scene, shop.credential("client", shop.leaf(issuing), issuing))


def _no_authority(shop: Workshop, scene: Scene) -> Scene:
    issuing = shop.leaf(shop.issuing, usages=None)
    return _shown(scene, shop.credential("client", shop.leaf(issuing), issuing, shop.issuing))


def _deep(shop: Workshop, scene: Scene) -> Scene:
    lower = shop.authority("Acme clients department", shop.issuing)
    scene = _shown(scene, shop.credential("client", shop.leaf(lower), lower, shop.issuing))
    return replace(scene, case=replace(scene.case, depth=1))


def _revoked(shop: Workshop, scene: Scene) -> Scene:
    crl = shop.lists(shop.crl(shop.root), shop.crl(shop.issuing, shop.material.client.holder.certificate))
    return replace(scene, case=replace(scene.case, crl=crl))


def _crl_expired(shop: Workshop, scene: Scene) -> Scene:
    crl = shop.lists(shop.crl(shop.root), shop.crl(shop.issuing, ends=timedelta(minutes=-5)))
    return replace(scene, case=replace(scene.case, crl=crl))


def _crl_missing(shop: Workshop, scene: Scene) -> Scene:
    return replace(scene, case=replace(scene.case, crl=shop.lists(shop.crl(shop.root))))


def _key_mismatch(shop: Workshop, scene: Scene) -> Scene:
    return replace(scene, key=shop.credential("other", shop.leaf(shop.issuing)).key)


def _passphrase(shop: Workshop, scene: Scene) -> Scene:
    one = shop.material.client.holder
    return replace(scene, key=shop.credential("locked", one, encrypted=True).key)


def _html(shop: Workshop, scene: Scene) -> Scene:
    page = b"<!DOCTYPE html>\n<html><body>Please log in</body></html>\n"
    return replace(scene, cert=shop.write("login.crt", page))


def _absent(shop: Workshop, scene: Scene) -> Scene:
    return replace(scene, cert=shop.directory / "no-such-file.pem")


def _bad_store(shop: Workshop, scene: Scene) -> Scene:
    return replace(scene, cacert=shop.write("empty.pem", b"no certificate here\n"))


def _other_cacert(shop: Workshop, scene: Scene) -> Scene:
    return replace(scene, cacert=shop.trust)


def _fast_clock(_: Workshop, scene: Scene) -> Scene:
    return replace(scene, ahead=60 * _DAY)


def _slow_clock(_: Workshop, scene: Scene) -> Scene:
    return replace(scene, ahead=-2 * _DAY)


def _raw(kind: str) -> Make:
    return lambda _, scene: replace(scene, raw=kind)


def _weak_key(shop: Workshop, scene: Scene) -> Scene:
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505 - the fault
    leaf = shop.leaf(shop.issuing, key=key, hash_=hashes.SHA256())
    return _shown(scene, shop.credential("client", leaf, shop.issuing))


def _sha1(shop: Workshop, scene: Scene) -> Scene:
    """Made by ``openssl``: our own library refuses to."""
    key = shop.material.client.key
    ca = shop.credential("ca", shop.issuing, shop.root)
    request, made = ca.leaf.with_suffix(".csr"), ca.leaf.with_suffix(".sha1")
    wishes = shop.write(f"{made.name}.cnf", b"extendedKeyUsage=clientAuth\n")
    subprocess.run(["openssl", "req", "-new", "-key", key, "-subj", "/CN=client", "-out", request], check=True)
    issue: list[str | Path] = [
        "openssl",
        "x509",
        "-req",
        "-sha1",
        "-in",
        request,
        "-CA",
        ca.leaf,
        "-CAkey",
        ca.key,
        "-days",
        "40",
    ]
    issue += ["-set_serial", "77", "-extfile", wishes, "-out", made]
    subprocess.run(issue, check=True, capture_output=True)
    return replace(
        scene, cert=shop.write(f"{made.name}.pem", made.read_bytes() + pem.pem(shop.issuing.certificate)), key=key
    )


def _no_cert(_: Workshop, scene: Scene) -> Scene:
    return replace(scene, cert=None, key=None)


_OPENSSL = frozenset({"nginx", "haproxy", "apache", "openssl"})
_HTTP = frozenset({"nginx", "haproxy", "envoy", "apache", "caddy"})
_ONE = (Versions.TLS12,)
_past = {"ends": datetime(2020, 1, 2, tzinfo=UTC), "begins": datetime(2020, 1, 1, tzinfo=UTC)}
_future = {"begins": datetime(2090, 1, 1, tzinfo=UTC), "ends": datetime(2090, 1, 2, tzinfo=UTC)}
c = Code
FAULTS: tuple[Fault, ...] = (
    Fault("no certificate sent", c.CLIENT_CERT_MISSING, "client", _no_cert),
    Fault("certificate of another authority", c.CLIENT_CERT_UNKNOWN_CA, "client", _stranger),
    Fault("self-signed certificate", c.CLIENT_CERT_SELF_SIGNED, "client", _self_signed),
    Fault("intermediate not sent", c.CLIENT_CHAIN_INCOMPLETE, "client", _incomplete),
    Fault("another authority of the same name", c.CLIENT_CERT_CA_NAME_COLLISION, "client", _collision),
    Fault("expired", c.CLIENT_CERT_EXPIRED, "client", _client(**_past)),
    Fault("intermediate expired", c.CLIENT_CHAIN_EXPIRED, "client", _chain_expired),
    Fault("not yet valid", c.CLIENT_CERT_NOT_YET_VALID, "client", _client(**_future)),
    Fault("a server's certificate", c.CLIENT_CERT_WRONG_EKU, "client", _client(usages=(chains.SERVER,))),
    Fault("issued by a certificate that is no authority", c.CLIENT_CHAIN_INVALID, "client", _no_authority),
    Fault("RSA key of 1024 bits", c.CLIENT_KEY_TOO_WEAK, "client", _weak_key, products=_OPENSSL),
    Fault("signed with SHA-1", c.CLIENT_SIGNATURE_TOO_WEAK, "client", _sha1, products=_OPENSSL),
    Fault("chain deeper than allowed", c.CLIENT_CHAIN_TOO_DEEP, "trust", _deep),
    Fault("revoked", c.CLIENT_CERT_REVOKED, "crl", _revoked),
    Fault("revocation list out of date", c.SERVER_CRL_EXPIRED, "crl", _crl_expired),
    Fault("no list of the issuing authority", c.SERVER_CRL_MISSING, "crl", _crl_missing),
    Fault("key of another certificate", c.CLIENT_KEY_MISMATCH, "client", _key_mismatch, _ONE),
    Fault("key under a passphrase", c.CLIENT_KEY_PASSPHRASE, "client", _passphrase, _ONE),
    Fault("a login page saved as a certificate", c.CLIENT_FILE_NOT_PEM, "client", _html, _ONE),
    Fault("no such file", c.CLIENT_FILE_UNREADABLE, "client", _absent, _ONE),
    Fault("a trust store without certificates", c.TRUST_STORE_UNREADABLE, "trust", _bad_store, _ONE),
    Fault("server: expired", c.SERVER_CERT_EXPIRED, "server", _served(**_past)),
    Fault("server: not yet valid", c.SERVER_CERT_NOT_YET_VALID, "server", _served(**_future)),
    Fault("server: another name", c.SERVER_CERT_HOSTNAME_MISMATCH, "server", _served(names=(x509.DNSName("a.test"),))),
    Fault("server: no alternative name", c.SERVER_CERT_NO_SAN, "server", _served(names=())),
    Fault("server: self-signed", c.SERVER_CERT_SELF_SIGNED, "server", _served(self_signed=True)),
    Fault("server: authority not trusted", c.SERVER_CERT_UNKNOWN_CA, "trust", _other_cacert),
    Fault("server: intermediate not sent", c.SERVER_CHAIN_INCOMPLETE, "server", _served(alone=True)),
    Fault("server: a client's certificate", c.SERVER_CERT_WRONG_EKU, "server", _served(usages=(chains.CLIENT,))),
    Fault(
        "client offers TLS 1.2 only",
        c.TLS_VERSION_MISMATCH,
        "protocol",
        lambda _, scene: replace(scene, version="1.2"),
        (Versions.TLS13,),
    ),
    Fault(
        "client offers TLS 1.3 only",
        c.TLS_VERSION_MISMATCH,
        "protocol",
        lambda _, scene: replace(scene, version="1.3"),
        (Versions.TLS12,),
    ),
    Fault(
        "no cipher in common",
        c.TLS_NO_SHARED_CIPHER,
        "protocol",
        _cased(ciphers="ECDHE-ECDSA-CAMELLIA128-SHA256"),
        _ONE,
    ),
    Fault("no group in common", c.TLS_NO_SHARED_GROUP, "protocol", _cased(groups="X448")),
    Fault("plain HTTP on the port", c.PROTO_TLS_TO_PLAIN, "protocol", _raw("http"), _ONE),
    Fault("SSH on the port", c.PROTO_NOT_TLS, "protocol", _raw("ssh"), _ONE),
    Fault("nobody listens", c.NET_CONNECTION_REFUSED, "network", _raw("refused"), _ONE),
    Fault("a name that is not known", c.NET_DNS_FAILURE, "network", _raw("dns"), _ONE),
    Fault("the server says nothing", c.NET_HANDSHAKE_TIMEOUT, "network", _raw("silent"), _ONE),
    Fault("the server hangs up", c.NET_CLOSED_DURING_HANDSHAKE, "network", _raw("close"), _ONE),
    Fault("the server resets", c.NET_RESET_DURING_HANDSHAKE, "network", _raw("reset"), _ONE),
    Fault("caller not allowed", c.CLIENT_IDENTITY_NOT_ALLOWED, "identity", _cased(forbidden=True)),
    Fault("verification only optional", c.MTLS_OPTIONAL, "enforcement", _cased(client=Client.OPTIONAL)),
    Fault("verification forgotten", c.MTLS_NOT_ENFORCED, "enforcement", _cased(client=Client.NONE)),
    Fault("client's clock fast", c.CLOCK_SKEW, "clock", _fast_clock, products=frozenset({"nginx"})),
    Fault("client's clock slow", c.CLOCK_SKEW, "clock", _slow_clock, products=frozenset({"nginx"})),
)


def mended(shop: Workshop, scene: Scene, code: Code) -> Scene:
    """The scene after what this code asks for was done."""
    mend = _MENDED.get(code)
    return scene if mend is None else mend(shop, scene)


def _with_good_client(shop: Workshop, scene: Scene) -> Scene:
    return _shown(scene, shop.material.client)


def _with_good_server(shop: Workshop, scene: Scene) -> Scene:
    return replace(scene, case=replace(scene.case, material=shop.material))


def _with_intermediate(shop: Workshop, scene: Scene) -> Scene:
    """``cat leaf.pem intermediate.pem > chain.pem``."""
    if scene.cert is None:
        return scene
    whole = shop.write(f"whole-{scene.cert.name}", scene.cert.read_bytes() + pem.pem(shop.issuing.certificate))
    return replace(scene, cert=whole)


def _with_new_certificate(shop: Workshop, scene: Scene) -> Scene:
    """A new certificate from the right authority."""
    return _shown(scene, shop.credential("renewed", shop.leaf(shop.issuing), shop.issuing))


def _with_fresh_lists(shop: Workshop, scene: Scene) -> Scene:
    fresh = shop.lists(shop.crl(shop.root), shop.crl(shop.issuing))
    return replace(scene, case=replace(scene.case, crl=fresh))


_MENDED: Mapping[Code, Make] = {
    c.CLIENT_CERT_MISSING: _with_good_client,
    c.CLIENT_CHAIN_INCOMPLETE: _with_intermediate,
    c.CLIENT_CHAIN_TOO_DEEP: _cased(depth=3),
    c.SERVER_CRL_EXPIRED: _with_fresh_lists,
    c.SERVER_CRL_MISSING: _with_fresh_lists,
    c.TRUST_STORE_UNREADABLE: lambda shop, scene: replace(scene, cacert=shop.material.roots),
    c.SERVER_CERT_UNKNOWN_CA: lambda shop, scene: replace(scene, cacert=shop.material.roots),
    c.TLS_VERSION_MISMATCH: lambda _, scene: replace(scene, version=None),
    c.TLS_NO_SHARED_CIPHER: _cased(ciphers=""),
    c.TLS_NO_SHARED_GROUP: _cased(groups=""),
    c.CLIENT_IDENTITY_NOT_ALLOWED: _cased(forbidden=False),
    c.MTLS_OPTIONAL: _cased(client=Client.REQUIRED),
    c.MTLS_NOT_ENFORCED: _cased(client=Client.REQUIRED),
    c.CLOCK_SKEW: lambda _, scene: replace(scene, ahead=timedelta()),
    **dict.fromkeys(
        (
            c.CLIENT_CERT_UNKNOWN_CA,
            c.CLIENT_CERT_SELF_SIGNED,
            c.CLIENT_CERT_CA_NAME_COLLISION,
            c.CLIENT_CERT_EXPIRED,
            c.CLIENT_CHAIN_EXPIRED,
            c.CLIENT_CERT_NOT_YET_VALID,
            c.CLIENT_CERT_WRONG_EKU,
            c.CLIENT_CHAIN_INVALID,
            c.CLIENT_KEY_TOO_WEAK,
            c.CLIENT_SIGNATURE_TOO_WEAK,
            c.CLIENT_CERT_REVOKED,
        ),
        _with_new_certificate,
    ),
    **dict.fromkeys(
        (c.CLIENT_KEY_MISMATCH, c.CLIENT_KEY_PASSPHRASE, c.CLIENT_FILE_NOT_PEM, c.CLIENT_FILE_UNREADABLE),
        _with_good_client,
    ),
    **dict.fromkeys(
        (
            c.SERVER_CERT_EXPIRED,
            c.SERVER_CERT_NOT_YET_VALID,
            c.SERVER_CERT_HOSTNAME_MISMATCH,
            c.SERVER_CERT_NO_SAN,
            c.SERVER_CERT_SELF_SIGNED,
            c.SERVER_CHAIN_INCOMPLETE,
            c.SERVER_CERT_WRONG_EKU,
        ),
        _with_good_server,
    ),
    **dict.fromkeys(
        (
            c.PROTO_TLS_TO_PLAIN,
            c.PROTO_NOT_TLS,
            c.NET_CONNECTION_REFUSED,
            c.NET_DNS_FAILURE,
            c.NET_HANDSHAKE_TIMEOUT,
            c.NET_CLOSED_DURING_HANDSHAKE,
            c.NET_RESET_DURING_HANDSHAKE,
        ),
        _raw(""),
    ),
}
