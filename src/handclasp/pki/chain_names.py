"""Names as path validation compares them: distinguished names (RFC 5280 §7.1), name constraints (§4.2.1.10)
and the host names of RFC 9525.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from cryptography import x509

from handclasp.findings import InvalidSetting
from handclasp.pki import der
from handclasp.pki.chain_terms import ExpectedName, Work
from handclasp.pki.names import MAX_DNS_NAME, dns_name
from handclasp.pki.spiffe import SpiffeID

Name = tuple[frozenset[tuple[bytes, int, str | bytes]], ...]
"""A distinguished name in the form in which two that match are equal."""

_TEXT = {0x0C: "utf-8", 0x12: "ascii", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1A: "ascii"}
_WIDE = {0x1C: "utf-32-be", 0x1E: "utf-16-be"}
_SHORT = 1024  # octets of a name that is worth remembering; strangers choose how long theirs are
_LONG = 200
_EMAIL_ADDRESS = bytes.fromhex("2a864886f70d010901")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_LOCAL = re.compile(r"[^\s@<>()\[\]\\,;:\"]+")


def normal_name(content: bytes) -> Name:
    """The name whose relative names are ``content``: letters folded, spaces collapsed, string types alike.

    Raises ValueError where it is not DER. Text that its type cannot hold is compared byte by byte.
    """
    return _remembered(content) if len(content) <= _SHORT else _normal(content)


@lru_cache(maxsize=1024)
def _remembered(content: bytes) -> Name:
    return _normal(content)


def _normal(content: bytes) -> Name:
    return tuple(frozenset(_attributes(rdn.content)) for rdn in der.elements(content))


def normal(name: x509.Name) -> Name:
    """The same of a name that is read already."""
    (sequence,) = der.elements(name.public_bytes())
    return normal_name(sequence.content)


def _attributes(rdn: bytes) -> Iterator[tuple[bytes, int, str | bytes]]:
    for pair in der.elements(rdn):
        kind, value = der.elements(pair.content)
        encoding = _TEXT.get(value.tag) or _WIDE.get(value.tag)
        if encoding is None:
            yield kind.content, value.tag, value.content
            continue
        try:
            text = value.content.decode(encoding)
        except UnicodeDecodeError:
            yield kind.content, value.tag, value.content
            continue
        # The profile of RFC 4518 §2 as far as it matters: compatibility forms, case, insignificant spaces.
        folded = unicodedata.normalize("NFKC", text).casefold()
        yield kind.content, 0, " ".join(folded.split())


def shown(text: str) -> str:
    """What a stranger wrote, fit for a message: no control characters, and no longer than a line or two."""
    text = text if len(text) <= _LONG else f"{text[:_LONG]}..."
    return text if text.isprintable() else "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in text)


def emails_of(name: Name) -> Iterator[str]:
    """The values of emailAddress in a distinguished name, as §4.2.1.10 wants them constrained."""
    for rdn in name:
        for kind, _, value in rdn:
            if kind == _EMAIL_ADDRESS and isinstance(value, str):
                yield value


@dataclass(frozen=True, slots=True)
class Presented:
    """A name that a certificate presents: its kind, its text for people, its value for comparison.

    The value is None where the name is malformed; ``fault`` says how.
    """

    kind: str
    text: str
    value: Any
    fault: str | None = None


def presented(name: x509.GeneralName) -> Presented:
    """One subject alternative name."""
    match name:
        case x509.DNSName():
            return _dns(name.value)
        case x509.IPAddress():
            if isinstance(name.value, IPv4Address | IPv6Address):
                return Presented("ip", str(name.value), name.value)
            return Presented("ip", str(name.value), None, "it is a network, not an address")
        case x509.UniformResourceIdentifier():
            return _uri(name.value)
        case x509.RFC822Name():
            return email(name.value)
        case x509.DirectoryName():
            return Presented("directory", name.value.rfc4514_string(), normal(name.value))
        case x509.OtherName():
            return Presented("other", name.type_id.dotted_string, name.type_id.dotted_string)
        case _:
            return Presented("registered", str(name.value), str(name.value))


def email(text: str) -> Presented:
    """A mailbox: the part before @ as it stands, the host in lower case (§7.5)."""
    local, at, host = text.rpartition("@")
    if at and _LOCAL.fullmatch(local) and _HOST.fullmatch(host.lower()):
        return Presented("email", text, (local, host.lower()))
    return Presented("email", text, None, "it is no mailbox (user@host)")


def _dns(text: str) -> Presented:
    try:
        return Presented("dns", text, dns_name(text))
    except InvalidSetting as error:
        host = text.lower()
        # Underscores are against the profile, but it is clear which host is meant.
        value = host if "_" in host and _HOST.fullmatch(host) and len(host) <= MAX_DNS_NAME else None
        return Presented("dns", text, value, error.why)


def _uri(text: str) -> Presented:
    if not _SCHEME.match(text):
        return Presented("uri", text, None, "it has no scheme")
    if text.startswith("spiffe://"):
        try:
            return Presented("uri", text, SpiffeID.parse(text).trust_domain.name)
        except InvalidSetting as error:
            # A trust domain alone is a SPIFFE ID of an authority (SPIFFE-ID §2, X509-SVID §3.1).
            if re.fullmatch(r"spiffe://[a-z0-9._-]{1,255}", text):
                return Presented("uri", text, text.removeprefix("spiffe://"))
            return Presented("uri", text, None, error.why)
    return Presented("uri", text, _uri_host(text))


def _uri_host(text: str) -> str | None:
    """The host of a URI, or None where it has none or an address: no constraint can permit it (§4.2.1.10)."""
    _, slashes, rest = text.partition("://")
    if not slashes:
        return None
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2].lower()
    host = authority.partition(":")[0] if "\\" not in authority else ""
    try:
        ip_address(host)
    except ValueError:
        return host if _HOST.fullmatch(host) else None
    return None


@dataclass(frozen=True, slots=True)
class Subtree:
    """One name space: its text for people and its base, of the type that its kind compares."""

    text: str
    base: Any


@dataclass(frozen=True, slots=True)
class Constraints:
    """A name constraints extension by kind of name. ``faults`` are subtrees that RFC 5280 does not allow."""

    permitted: dict[str, tuple[Subtree, ...]]
    excluded: dict[str, tuple[Subtree, ...]]
    faults: tuple[str, ...]


def constraints(extension: x509.NameConstraints) -> Constraints:
    """The extension, its bases made comparable once."""
    faults: list[str] = []

    def by_kind(subtrees: Iterable[x509.GeneralName] | None) -> dict[str, tuple[Subtree, ...]]:
        found: dict[str, list[Subtree]] = {}
        for subtree in subtrees or ():
            kind, base, fault = _subtree(subtree)
            if fault:
                faults.append(fault)
            found.setdefault(kind, []).append(base)
        return {kind: tuple(bases) for kind, bases in found.items()}

    return Constraints(by_kind(extension.permitted_subtrees), by_kind(extension.excluded_subtrees), tuple(faults))


def _subtree(name: x509.GeneralName) -> tuple[str, Subtree, str | None]:
    match name:
        case x509.DNSName():
            text, fault = name.value.lower(), None
            if text and not _HOST.fullmatch(text):
                fault = f"the DNS constraint {name.value!r} is no domain" + (
                    " (a leading dot belongs to URI and email constraints)" if text.startswith(".") else ""
                )
            return "dns", Subtree(name.value, text), fault
        case x509.IPAddress():
            return "ip", Subtree(str(name.value), name.value), None
        case x509.UniformResourceIdentifier():
            text = name.value.lower()
            bad = bool(text) and not _HOST.fullmatch(text.removeprefix("."))
            return "uri", Subtree(name.value, text), f"the URI constraint {name.value!r} is no host" if bad else None
        case x509.RFC822Name():
            local, at, host = name.value.rpartition("@")
            text = host.lower()
            bad = bool(text) and not _HOST.fullmatch(text if at else text.removeprefix("."))
            bad = bad or (bool(at) and not _LOCAL.fullmatch(local))
            base = (local if at else None, text)
            fault = f"the email constraint {name.value!r} is no mailbox, host or domain" if bad else None
            return "email", Subtree(name.value, base), fault
        case x509.DirectoryName():
            return "directory", Subtree(name.value.rfc4514_string(), normal(name.value)), None
        case x509.OtherName():
            return "other", Subtree(name.type_id.dotted_string, name.type_id.dotted_string), None
        case _:
            return "registered", Subtree(str(name.value), str(name.value)), None


def violations(names: Iterable[Presented], limits: Constraints, work: Work) -> Iterator[tuple[Presented, str]]:
    """Every name that the constraints do not allow, and why."""
    kinds: dict[str, list[Presented]] = {}
    for name in names:
        kinds.setdefault(name.kind, []).append(name)
    for kind, those in kinds.items():
        permitted, excluded = limits.permitted.get(kind), limits.excluded.get(kind, ())
        if permitted is None and not excluded:
            continue
        work.spend("comparisons", len(those) * (len(permitted or ()) + len(excluded)))
        within, overlaps = _COMPARED.get(kind, (_unknown, _unknown))
        for name in those:
            if name.value is None or within is _unknown:
                yield name, "it cannot be compared with the constraints on its kind"
                continue
            for subtree in excluded:
                if overlaps(name.value, subtree.base):
                    yield name, f"{shown(subtree.text) or 'every name of its kind'} is excluded"
                    break
            if permitted is not None and not any(within(name.value, subtree.base) for subtree in permitted):
                those_few = ", ".join(shown(subtree.text) for subtree in permitted[:5])
                yield name, f"only {those_few}{' and others' if len(permitted) > 5 else ''} may be named"


def _unknown(_value: Any, _base: Any) -> bool:
    return True


def _in_domain(host: str, base: str) -> bool:
    return not base or host == base or host.endswith(base if base.startswith(".") else f".{base}")


def _dns_within(name: str, base: str) -> bool:
    """Every host that ``name`` stands for is within; a wildcard stands for one label (RFC 9525 §6.3)."""
    if name.startswith("*."):
        return not base or f".{name[2:]}".endswith(f".{base.removeprefix('.')}")
    return _in_domain(name, base)


def _dns_overlaps(name: str, base: str) -> bool:
    """Some host that ``name`` stands for is within."""
    if not name.startswith("*."):
        return _in_domain(name, base)
    label, dot, parent = base.removeprefix(".").partition(".")
    return _dns_within(name, base) or bool(dot and label and parent == name[2:])


def _uri_within(host: str, base: str) -> bool:
    return not base or (host.endswith(base) and host != base if base.startswith(".") else host == base)


def _email_within(mailbox: tuple[str, str], base: tuple[str | None, str]) -> bool:
    local, host = base
    if local is not None:
        return mailbox == base
    return _uri_within(mailbox[1], host)


def _ip_within(address: IPv4Address | IPv6Address, network: Any) -> bool:
    return bool(address.version == network.version and address in network)


def _directory_within(name: Name, base: Name) -> bool:
    return name[: len(base)] == base


_COMPARED: dict[str, tuple[Callable[[Any, Any], bool], Callable[[Any, Any], bool]]] = {
    "dns": (_dns_within, _dns_overlaps),
    "ip": (_ip_within, _ip_within),
    "uri": (_uri_within, _uri_within),
    "email": (_email_within, _email_within),
    "directory": (_directory_within, _directory_within),
}


def names_it(names: Iterable[Presented], wanted: ExpectedName) -> bool:
    """Whether one of the names is the one wanted (RFC 9525 §6), each by its own kind; never the common name.

    A wildcard is the whole first label and stands for exactly one. A SPIFFE ID must be the only URI
    (X509-SVID §2).
    """
    if isinstance(wanted, SpiffeID):
        return [name.text for name in names if name.kind == "uri"] == [str(wanted)]
    if not isinstance(wanted, str):
        return any(name.kind == "ip" and name.value == wanted for name in names)
    host = wanted.lower().removesuffix(".")
    parent = host.partition(".")[2]
    accepted = {host, f"*.{parent}"} if parent else {host}
    return any(name.kind == "dns" and name.value in accepted for name in names)
