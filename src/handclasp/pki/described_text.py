"""What ``describe`` says, as lines for a person at a terminal.

Text out of certificates is a stranger's: whatever could move the cursor, end a line or turn the direction of writing
is shown as its code point.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from handclasp.pki.describe import Described

_WIDTH = 14  # of the names of fields
_WORDS = {
    "digitalSignature": "digital signature",
    "contentCommitment": "content commitment",
    "keyEncipherment": "key encipherment",
    "dataEncipherment": "data encipherment",
    "keyAgreement": "key agreement",
    "encipherOnly": "encipher only",
    "decipherOnly": "decipher only",
    "keyCertSign": "signing certificates",
    "cRLSign": "signing CRLs",
    "serverAuth": "TLS server",
    "clientAuth": "TLS client",
    "codeSigning": "code signing",
    "emailProtection": "e-mail",
    "timeStamping": "time stamping",
    "OCSPSigning": "OCSP signing",
    "anyExtendedKeyUsage": "any purpose",
}


def printable(text: object) -> str:
    """The text with everything that a terminal would not show as itself written as ``\\u{202e}``."""
    return "".join(one if one.isprintable() else f"\\u{{{ord(one):x}}}" for one in str(text))


def lines(described: Described) -> Iterator[str]:
    """The lines for one file: what it holds, then each thing in it."""
    yield _summary(described)
    certificates = described["certificates"]
    for number, one in enumerate(certificates, 1):
        yield ""
        yield f"Certificate {number} of {len(certificates)}" if len(certificates) > 1 else "Certificate"
        yield from _fields(_certificate(one, len(certificates)))
    for one in described["requests"]:
        yield ""
        yield "Certificate request"
        yield from _fields(_request(one))
    for one in described["crls"]:
        yield ""
        yield "Certificate revocation list"
        yield from _fields(_crl(one))
    for one in described["private_keys"]:
        yield ""
        yield "Private key"
        yield from _fields(_private_key(one, len(certificates)))
    for one in described["public_keys"]:
        yield ""
        yield "Public key"
        yield from _fields([("Key", one["kind"]), ("Key SHA-256", one["spki_sha256"])])
    if described["chain"] is not None:
        yield ""
        yield f"Chain: {printable(_chain(described['chain']))}"
    if described["faults"]:
        yield ""
        yield "Not as it should be:"
        yield from (f"  {printable(fault)}" for fault in described["faults"])


def _summary(described: Described) -> str:
    kinds = (
        ("certificates", "certificate"),
        ("private_keys", "private key"),
        ("requests", "certificate request"),
        ("crls", "CRL"),
        ("public_keys", "public key"),
    )
    counts = [(len(described[key]), word) for key, word in kinds if described[key]]
    held = [f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts]
    return f"{described['form']}: {', '.join(held)}"


def _certificate(one: Described, count: int) -> Iterator[tuple[str, object]]:
    if one["name"]:
        yield "Alias", one["name"]
    yield from _names(one["names"])
    yield "Subject", one["subject"] or "(empty)"
    if one["self_signed"]:
        yield "Issuer", "itself: self-signed"
    else:
        above = f" (certificate {one['issued_by']} here)" if one["issued_by"] else ""
        yield "Issuer", f"{one['issuer']}{above}"
    yield "Valid", f"{_day(one['not_before'])} to {_day(one['not_after'])}: {_left(one)}"
    yield "Serial", one["serial"]
    yield "SHA-256", one["sha256"]
    yield "Key", one["key"]["kind"]
    yield "Key SHA-256", one["key"]["spki_sha256"]
    yield "Signature", one["signature_algorithm"]
    yield from _usages(one)
    length = one["path_length"]
    if one["ca"]:
        below = "any number of authorities" if length is None else _count(length or "no", "authority", "authorities")
        yield "Authority", f"yes, with {below} below it"
    else:
        yield "Authority", "no" if one["ca"] is False else "unreadable"
    if one["name_constraints"]:
        for kind in ("permitted", "excluded"):
            yield from (("Only" if kind == "permitted" else "Never", _name(n)) for n in one["name_constraints"][kind])
    yield from (("CRL", url) for url in one["crl_urls"])
    yield from (("OCSP", url) for url in one["ocsp_urls"])
    yield from (("Issuer at", url) for url in one["issuer_urls"])
    if one["trusted_by_java"]:
        yield "Java", "trusts it (an entry of a trust store)"
    yield from _unknown(one)


def _request(one: Described) -> Iterator[tuple[str, object]]:
    yield from _names(one["names"])
    yield "Subject", one["subject"] or "(empty)"
    yield "Key", one["key"]["kind"]
    yield "Key SHA-256", one["key"]["spki_sha256"]
    yield "Signature", f"{one['signature_algorithm']}, {'valid' if one['signature_valid'] else 'NOT VALID'}"
    yield from _usages(one)
    if one["ca"]:
        yield "Authority", "wishes to be one"
    yield from _unknown(one)


def _crl(one: Described) -> Iterator[tuple[str, object]]:
    yield "Issuer", one["issuer"]
    yield "Number", "none" if one["number"] is None else one["number"]
    if one["delta"] is not None:
        yield "Delta", f"only what changed since number {one['delta']}"
    yield "This update", _day(one["this_update"])
    yield "Next update", f"{_day(one['next_update'])}{': EXPIRED' if one['expired'] else ''}"
    yield "SHA-256", one["sha256"]
    yield "Signature", one["signature_algorithm"]
    yield "Revoked", _count(one["count"], "certificate", "certificates") if one["count"] else "none"
    for entry in one["entries"]:
        if "error" in entry:
            yield "", entry["error"]
        else:
            yield "", f"{entry['serial']}  {_day(entry['revoked_at'])}  {entry['reason'] or ''}".rstrip()
    if isinstance(one["count"], int) and one["count"] > len(one["entries"]):
        yield "", f"and {one['count'] - len(one['entries'])} more (--json gives all)"
    yield from _unknown(one)


def _private_key(one: Described, certificates: int) -> Iterator[tuple[str, object]]:
    if one["name"]:
        yield "Alias", one["name"]
    if not one["opened"]:
        yield "Key", f"encrypted ({one['form']}); --password-file opens it"
        return
    yield "Key", one["kind"]
    yield "Key SHA-256", one["spki_sha256"]
    yield "Encrypted", f"{'yes' if one['encrypted'] else 'no'} ({one['form']})"
    if one["certificates"]:
        yield "Belongs to", ", ".join(f"certificate {number}" for number in one["certificates"])
    elif certificates:
        yield "Belongs to", "none of the certificates here"


def _chain(chain: Described) -> str:
    if not chain["one_chain"]:
        return "the certificates are not one chain"
    order = "leaf first" if chain["in_order"] else f"in the order {', '.join(map(str, chain['order']))}"
    if chain["complete"]:
        return f"complete up to a self-signed root, {order}"
    return f"{order}; the issuer of the last is not here: {chain['missing']}"


def _names(names: Iterable[Described]) -> Iterator[tuple[str, object]]:
    for name in names:
        yield ("SPIFFE ID" if name["value"].startswith("spiffe://") else name["kind"]), name["value"]


def _name(name: Described) -> str:
    return f"{name['kind']} {name['value']}"


def _usages(one: Described) -> Iterator[tuple[str, object]]:
    if one["key_usage"] is not None:
        yield "Key usages", ", ".join(_WORDS[word] for word in one["key_usage"]) or "none"
    if one["extended_key_usage"] is not None:
        yield "Purposes", ", ".join(_WORDS.get(word, word) for word in one["extended_key_usage"])


def _unknown(one: Described) -> Iterator[tuple[str, object]]:
    """Extensions that could not be read, and critical ones that are not known here."""
    for extension in one["extensions"]:
        if "error" in extension:
            yield (
                "Unreadable",
                f"{extension['name']}: {extension['error']}" if "name" in extension else extension["error"],
            )
        elif extension["critical"] and extension["value"] is None:
            yield "Critical", f"{extension['name']} ({extension['oid']}), which is not known here"


def _left(one: Described) -> str:
    days = one["days_left"]
    if days is None:
        return "unreadable"
    amount = _count(abs(int(days)), "day", "days") if abs(days) >= 2 else f"{abs(days) * 24:.1f} hours"
    if one["status"] == "expired":
        return f"EXPIRED {amount} ago"
    return f"NOT YET VALID, {amount} to its end" if one["status"] == "not yet valid" else f"{amount} left"


def _day(moment: object) -> str:
    return str(moment).replace("T", " ").replace("Z", " UTC") if moment else "never"


def _count(number: object, one: str, many: str) -> str:
    return f"{number} {one if number in (1, 'no') else many}"


def _fields(fields: Iterable[tuple[str, object]]) -> Iterator[str]:
    last = None
    for name, value in fields:
        shown = "" if name == last else name
        last = name
        yield f"  {shown:{_WIDTH}}{printable(value)}"
