"""DNS names, IP addresses and distinguished names, as certificates and settings carry them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from cryptography import x509

from handclasp.findings import InvalidSetting
from handclasp.pki.spiffe import SpiffeID

IPAddress = IPv4Address | IPv6Address

MAX_DNS_NAME = 253  # characters without the final dot, RFC 1035 §3.1
MAX_LABEL = 63

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_ALLOWED_DNS = "a DNS name, as in api.example.org, or with a wildcard as its first label, as in *.example.org"
_ALLOWED_HOST = "a DNS name, as in api.example.org, or an IP address, as in 192.0.2.7 or 2001:db8::7"


@dataclass(frozen=True, slots=True)
class Names:
    """The subject alternative names of a certificate. Raises InvalidSetting for what is no DNS name."""

    spiffe_id: SpiffeID | None = None
    dns: tuple[str, ...] = ()
    ips: tuple[IPAddress, ...] = ()

    def __post_init__(self) -> None:
        for name in self.dns:
            if dns_name(name) != name:
                raise InvalidSetting("", f"{name!r} has upper-case letters", "the name in lower case")

    def general_names(self) -> tuple[x509.GeneralName, ...]:
        """As RFC 5280 §4.2.1.6 has them: the URI, the DNS names, the addresses, each once."""
        uris = () if self.spiffe_id is None else (x509.UniformResourceIdentifier(str(self.spiffe_id)),)
        return (
            *uris,
            *(x509.DNSName(name) for name in dict.fromkeys(self.dns)),
            *(x509.IPAddress(address) for address in dict.fromkeys(self.ips)),
        )


def dns_name(text: str) -> str:
    """A DNS name in lower case, as a certificate carries it (RFC 5280 §4.2.1.6, RFC 9525 §6.3).

    Letters, digits and hyphens only: a name in another script is to be written in its ``xn--`` form (the
    A-label of RFC 5890), because the standard library knows only the superseded IDNA of 2003 and a guess
    could name somebody else. ``*`` may stand for the whole first label. An IP address is not a DNS name.
    Raises InvalidSetting.
    """
    return _dns_name(text, _ALLOWED_DNS, wildcard=True)


def host(text: str) -> str | IPAddress:
    """A DNS name without wildcard, or an IP address: what stands in a URL. Raises InvalidSetting."""
    try:
        address = ip_address(text)
    except ValueError:
        if ":" in text:
            why = f"{text!r} is no IPv6 address (they are written without brackets and port)"
            raise InvalidSetting("", why, _ALLOWED_HOST) from None
        return _dns_name(text, _ALLOWED_HOST, wildcard=False)
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise InvalidSetting("", f"{text!r} has a zone, which means nothing elsewhere", _ALLOWED_HOST)
    if address.is_unspecified or address.is_multicast:
        raise InvalidSetting("", f"{text!r} is not the address of one host", _ALLOWED_HOST)
    return address


def rfc4514(name: x509.Name) -> str:
    """The distinguished name as text (RFC 4514): ``CN=checkout,O=Example``; empty for the empty name."""
    return escaped(name.rfc4514_string())


def escaped(text: str) -> str:
    """A stranger's text without anything that could speak to a terminal: the octets of such characters are written
    as ``\\0a`` (RFC 4514 §2.4)."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else "".join(f"\\{octet:02x}" for octet in one.encode(errors="surrogatepass"))
        for one in text
    )


def _dns_name(text: str, allowed: str, *, wildcard: bool) -> str:
    if why := _dns_fault(text, wildcard=wildcard):
        raise InvalidSetting("", why, allowed)
    return text.lower()


def _dns_fault(text: str, *, wildcard: bool) -> str | None:
    if not text:
        return "the DNS name is empty"
    shown = repr(text if len(text) <= 60 else f"{text[:57]}...")
    if not text.isascii():
        return f"{shown} has letters outside ASCII: write the name in its xn-- form"
    if len(text) > MAX_DNS_NAME:
        return f"{shown} is {len(text)} characters long; a DNS name has at most {MAX_DNS_NAME}"
    if text.endswith("."):
        return f"{shown} ends with a dot, which certificates leave out"
    labels = text.lower().split(".")
    if labels[0] == "*":
        if not wildcard:
            return f"{shown} is a wildcard, which stands for many hosts"
        del labels[0]
        if len(labels) < 2:
            # OpenSSL matches no wildcard with fewer than two labels behind it.
            return f"{shown} is a wildcard for a whole top-level domain, which clients do not accept"
    for label in labels:
        if not label:
            return f"{shown} has an empty label"
        if len(label) > MAX_LABEL:
            return f"{shown} has a label of {len(label)} characters; a label has at most {MAX_LABEL}"
        if not _LABEL.fullmatch(label):
            return f"{shown} has the label {label!r}; labels are letters, digits and inner hyphens"
    if _NUMBER.fullmatch(labels[-1]):
        # Whatever ends in a number is read as an IP address by URL parsers (WHATWG URL §3.5).
        return f"{shown} ends in a number, so it is an IP address and not a DNS name"
    return None
