"""From a code and what is known of the case to what to do: the drafts of the code, in the products' own words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from handclasp.doctor.advice import causes_client, causes_files, causes_server, causes_wire, quoting
from handclasp.doctor.advice.any_client import ANY_CLIENT
from handclasp.doctor.advice.any_server import ANY_SERVER
from handclasp.doctor.advice.apache import APACHE
from handclasp.doctor.advice.caddy import CADDY
from handclasp.doctor.advice.curl import CURL
from handclasp.doctor.advice.envoy import ENVOY
from handclasp.doctor.advice.go_client import GO
from handclasp.doctor.advice.go_server import GO_SERVER
from handclasp.doctor.advice.haproxy import HAPROXY
from handclasp.doctor.advice.iis import IIS
from handclasp.doctor.advice.java_client import JAVA
from handclasp.doctor.advice.java_server import JAVA_SERVER
from handclasp.doctor.advice.nginx import NGINX
from handclasp.doctor.advice.node import NODE
from handclasp.doctor.advice.openssl_server import OPENSSL_SERVER
from handclasp.doctor.advice.python_client import PYTHON
from handclasp.doctor.advice.quoting import Quote
from handclasp.doctor.advice.values import fill, is_about_server, known, standing
from handclasp.doctor.advice.vocabulary import Draft, Lines, Product, Program
from handclasp.doctor.diagnosis import Fix, Side
from handclasp.findings import Code

_PRODUCTS = {
    one.name: one for one in (NGINX, APACHE, HAPROXY, ENVOY, CADDY, IIS, JAVA_SERVER, GO_SERVER, OPENSSL_SERVER)
}
_PROGRAMS = {one.name: one for one in (CURL, PYTHON, JAVA, GO, NODE)}

SERVERS = tuple(_PRODUCTS)
CLIENTS = tuple(_PROGRAMS)

_CAUSES: Mapping[Code, tuple[Draft, ...]] = (
    causes_client.causes() | causes_server.causes() | causes_wire.causes() | causes_files.causes()
)

# What the verifier of chains calls it, and what it is called once the side is known: the client's, the server's.
_CHAINS: Mapping[Code, tuple[Code, Code]] = {
    Code.CHAIN_MALFORMED: (Code.CLIENT_CHAIN_INVALID, Code.SERVER_CHAIN_INVALID),
    Code.CHAIN_UNTRUSTED: (Code.CLIENT_CERT_UNKNOWN_CA, Code.SERVER_CERT_UNKNOWN_CA),
    Code.CHAIN_SELF_SIGNED: (Code.CLIENT_CERT_SELF_SIGNED, Code.SERVER_CERT_SELF_SIGNED),
    Code.CHAIN_BAD_SIGNATURE: (Code.CLIENT_CERT_CA_NAME_COLLISION, Code.SERVER_CERT_UNKNOWN_CA),
    Code.CHAIN_EXPIRED: (Code.CLIENT_CERT_EXPIRED, Code.SERVER_CERT_EXPIRED),
    Code.CHAIN_NOT_YET_VALID: (Code.CLIENT_CERT_NOT_YET_VALID, Code.SERVER_CERT_NOT_YET_VALID),
    Code.CHAIN_TOO_DEEP: (Code.CLIENT_CHAIN_TOO_DEEP, Code.SERVER_CHAIN_INVALID),
    Code.CHAIN_EXTENDED_KEY_USAGE: (Code.CLIENT_CERT_WRONG_EKU, Code.SERVER_CERT_WRONG_EKU),
    Code.CHAIN_NAME_MISMATCH: (Code.CLIENT_IDENTITY_NOT_ALLOWED, Code.SERVER_CERT_HOSTNAME_MISMATCH),
    Code.CHAIN_WEAK_KEY: (Code.CLIENT_KEY_TOO_WEAK, Code.SERVER_CERT_WEAK),
    Code.CHAIN_WEAK_SIGNATURE: (Code.CLIENT_SIGNATURE_TOO_WEAK, Code.SERVER_CERT_WEAK),
    Code.CHAIN_REVOKED: (Code.CLIENT_CERT_REVOKED, Code.SERVER_CERT_REVOKED),
    Code.CHAIN_CRL_MISSING: (Code.SERVER_CRL_MISSING, Code.SERVER_CRL_MISSING),
    Code.CHAIN_CRL_EXPIRED: (Code.SERVER_CRL_EXPIRED, Code.SERVER_CRL_EXPIRED),
    Code.CHAIN_CRL_INVALID: (Code.SERVER_CRL_MISSING, Code.SERVER_CRL_MISSING),
}
_OF_KEYS = (Code.FILE_KEY_EXPOSED, Code.FILE_KEY_UNPAIRED, Code.FILE_TWO_KEYS)


def fixes(
    code: Code, *, server: str = "", clients: Sequence[str] = CLIENTS, facts: Mapping[str, str] | None = None
) -> tuple[Fix, ...]:
    """What can be done about a code: first what lets the handshake pass, on the side where the cause is.

    ``server`` is a product of ``SERVERS`` and ``clients`` are programs of ``CLIENTS``; any other name gives general
    advice. ``facts`` replace the placeholders: ``host``, ``port``; names of files: ``cert``, ``key``, ``chain`` (of the
    side whose certificate it is about), ``cacert`` (by which clients judge the server), ``bundle`` (by which the server
    judges clients), ``crl``, ``intermediate``, ``issuing``, ``file``; ``issuer``, ``subject`` (names as RFC 4514 writes
    them), ``name`` (a SPIFFE ID or DNS name of the caller), ``depth`` (certificates above the leaf), ``version``
    ("1.2"). ``side`` ("client", "server") says whose certificate or file it is where the code does not. They may come
    from strangers: what makes no sense, or cannot be written where it belongs, is left at its placeholder. Empty where
    nothing can be done; never raises.
    """
    facts = dict(facts or {})
    at_server = facts.get("side") == "server"
    if code.startswith("CHAIN_"):
        pair = _CHAINS.get(code, (Code.CLIENT_CHAIN_INVALID, Code.SERVER_CHAIN_INVALID))
        code = pair[at_server]
    about_server = is_about_server(code, facts)
    if code in _OF_KEYS and "file" not in facts:
        facts["file"] = facts.get("key", standing(about_server)["key"])
    filler = {at: _Filler(known(facts, at, about_server), standing(at)) for at in (True, False)}
    product = _PRODUCTS.get(server, ANY_SERVER)
    programs = [_PROGRAMS[name] for name in dict.fromkeys(clients) if name in _PROGRAMS] or [ANY_CLIENT]
    found: list[Fix] = []
    for draft in _drafts(code, facts):
        for owner, lines in _continued(draft, product, programs):
            found.append(_fix(draft, owner, lines, filler[about_server], filler[isinstance(owner, Product)]))
    return tuple(found)


def _drafts(code: Code, facts: Mapping[str, str]) -> tuple[Draft, ...]:
    """Those of files are written down as the client's; those of either side begin with the side at hand."""
    drafts = _CAUSES.get(code, ())
    side = facts.get("side")
    if code.startswith("FILE_"):
        where = Side.SERVER if side == "server" else Side.CLIENT
        return tuple(
            replace(one, side=where, setting=None) if where is Side.CLIENT else replace(one, side=where, use=None)
            for one in drafts
        )
    if code in (Code.TRUST_STORE_UNREADABLE, Code.CLOCK_SKEW) and side in ("client", "server"):
        return tuple(sorted(drafts, key=lambda one: one.side != side))
    return drafts


def _continued(draft: Draft, product: Product, programs: Sequence[Program]) -> list[tuple[Product | Program, Lines]]:
    """The draft in the words of whom it concerns: of every client's program, or of the server's product."""
    if draft.product:
        return [(Product(draft.product, {}), Lines())]
    if draft.use is not None:
        return [(one, one.uses[draft.use]) for one in programs]
    if draft.setting is not None:
        return [(product, product.settings.get(draft.setting, Lines()))]
    return [(Product("", {}), Lines())]


@dataclass(frozen=True, slots=True)
class _Filler:
    """What stands for the tokens in the words of one side."""

    values: Mapping[str, str]
    placeholders: Mapping[str, str]

    def fill(self, texts: Sequence[str], quote: Quote, show: str) -> tuple[str, ...]:
        """``show`` says which file is shown to the other side: the ``chain``, the ``cert``, or a ``new_cert``."""
        key = "new_key" if show == "new_cert" else "key"
        values, placeholders = ({**one, "show": one[show], "key": one[key]} for one in (self.values, self.placeholders))
        return tuple(fill(text, values, placeholders, quote) for text in texts)


def _fix(draft: Draft, owner: Product | Program, lines: Lines, about: _Filler, own: _Filler) -> Fix:
    """A draft speaks of the certificate in question (``about``), a product's own words of its own files (``own``)."""
    windows = isinstance(owner, Product) and not owner.shell
    shell = quoting.powershell if windows else quoting.shell
    # One that joins or writes a chain means the file it wrote, one that makes a key the certificate of that.
    said = " ".join((draft.what, *draft.commands))
    show = next((name for name in ("new_cert", "chain") if f"{{{name}}}" in said), "cert")
    after = owner.after if isinstance(owner, Product) and lines.configuration else ()
    what = own.fill([lines.what], quoting.plain, show) if lines.what else about.fill([draft.what], quoting.plain, show)
    return Fix(
        draft.side,
        what[0],
        owner.name,
        about.fill(() if windows else draft.commands, shell, show) + own.fill((*lines.commands, *after), shell, show),
        own.fill(lines.configuration, quoting.CONFIGURATION.get(owner.name, quoting.shell), show),
    )
