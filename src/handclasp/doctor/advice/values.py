"""What is known of the case at hand, and what stands where nothing is known."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

from handclasp.doctor.advice.quoting import Quote, printable
from handclasp.findings import Code

_TOKEN = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_DEPTH = re.compile(r"[0-9]{1,2}")
_VERSION = re.compile(r"1\.[0-3]")
_COMMON_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@: -]{0,63}")
_SUBJECT = re.compile(r"[A-Za-z][A-Za-z0-9.]{0,30} ?=.*")

# What needs no quotes because it cannot hold anything that would need them.
_BARE = frozenset(
    ("host", "port", "target", "url", "depth", "version", "starttls", "san_type", "san_field", "alt_name")
) | {"common_name_bare", "common_name_pattern"}
_FILES = frozenset(("cert", "key", "cacert", "bundle", "crl", "intermediate", "issuing", "file", "chain"))

_OF_ONE = frozenset(("cert", "key", "chain", "file"))
# By its CRLs a server judges its clients.
_JUDGES_CLIENTS = (Code.SERVER_CRL_EXPIRED, Code.SERVER_CRL_MISSING)

_STANDING: Mapping[str, str] = {
    "host": "api.example.com",
    "port": "443",
    "cert": "client.pem",
    "key": "client.key",
    "chain": "client-chain.pem",
    "request": "client.csr",
    "p12": "client.p12",
    "new_cert": "client-new.pem",
    "new_key": "client-new.key",
    "cacert": "server-ca.pem",
    "bundle": "client-ca.pem",
    "crl": "client-ca.crl.pem",
    "intermediate": "intermediate.pem",
    "issuing": "issuing-ca.pem",
    "issuer": "the authority that issued the caller's certificate",
    "subject": "CN=caller",
    "name": "spiffe://example.com/caller",
    "caller": "NAME",
    "common_name": "caller",
    "depth": "3",
    "version": "1.2",
    "starttls": "smtp",
}
_OF_A_SERVER: Mapping[str, str] = {
    "cert": "server.pem",
    "key": "server.key",
    "chain": "server-chain.pem",
    "request": "server.csr",
    "p12": "server.p12",
    "new_cert": "server-new.pem",
    "new_key": "server-new.key",
}


def standing(server: bool) -> dict[str, str]:
    """The placeholders, as the server or a client would have them."""
    return known({}, server, server)


def known(facts: Mapping[str, str], server: bool, about_server: bool) -> dict[str, str]:
    """The facts, cleaned, over the placeholders; one that makes no sense is left out.

    ``server`` says whose words are to be filled in; ``about_server`` whose certificate the facts speak of. Nobody is
    given the other's.
    """
    values = dict(_STANDING) | (dict(_OF_A_SERVER) if server else {})
    for key, text in facts.items():
        if server != about_server and key in _OF_ONE:
            continue
        # Another file, host or caller than was meant is worse than none: only a name that is read may be mended.
        shown = printable(text)
        if (shown == text or key == "issuer") and (value := _accepted(key, shown)):
            values[key] = value
    values = _derived(values)
    callers = values if not server else known(facts, False, about_server)
    return values | {"caller_cert": callers["cert"], "caller_chain": callers["chain"]}


def is_about_server(code: Code, facts: Mapping[str, str]) -> bool:
    """Whether the certificate in question is the server's. Where the code does not say, ``side`` does."""
    if code.startswith("CLIENT_") or code in _JUDGES_CLIENTS:
        return False
    if code.startswith(("SERVER_", "CONFIG_", "MTLS_")) or code is Code.TLS_SERVER_NOT_PROVED:
        return True
    return facts.get("side") == "server"


def fill(text: str, values: Mapping[str, str], placeholders: Mapping[str, str], quote: Quote) -> str:
    """The text with its tokens replaced, once: what comes in is not looked at again. Unknown braces stay."""

    def replaced(found: re.Match[str]) -> str:
        key = found[1]
        if key not in values:
            return found[0]
        if key in _BARE:
            return values[key]
        quoted = quote(values[key])
        return quoted if quoted is not None else (quote(placeholders[key]) or "")

    return _TOKEN.sub(replaced, text)


def _accepted(key: str, value: str) -> str:
    """The value as it can be used; empty: not at all."""
    if key == "host":
        return _host(value)
    if key == "port":
        return value if _PORT.fullmatch(value) and int(value) <= 65535 else ""
    if key == "depth":
        return str(int(value)) if _DEPTH.fullmatch(value) and value.isascii() else ""
    if key == "version":
        found = value.removeprefix("TLSv").removeprefix("TLS ")
        return found if _VERSION.fullmatch(found) else ""
    if key == "subject":
        return value if _SUBJECT.fullmatch(value) else ""
    if key in _FILES:
        return f"./{value}" if value.startswith("-") else value  # else a program would take it for an option
    if key in ("issuer", "name"):
        return value[:300]
    return ""


def _host(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value.strip("[]")))
    except ValueError:
        return value if _HOST.fullmatch(value) else ""


def _derived(values: dict[str, str]) -> dict[str, str]:
    host, name = values["host"], values["name"]
    numeric = ":" in host or host.replace(".", "").isdigit()
    if ":" in host:
        host = host.partition("%")[0]  # a zone means something on one machine only
    authority = f"[{host}]" if ":" in host else host
    values["target"] = f"{authority}:{values['port']}"
    values["url"] = f"https://{values['target'].removesuffix(':443')}/"
    values["host"] = host
    values["alt_name"] = f"IP:{host}" if numeric else f"DNS:{host}"
    values["san_type"] = "URI" if "://" in name else "DNS"
    values["san_field"] = "uris" if "://" in name else "dns_names"
    values.setdefault("file", values["cert"])
    caller = name.partition("://")[2].partition("/")[2]
    values["caller"] = caller if caller and not caller.startswith("-") and name != _STANDING["name"] else "NAME"
    subject = values["subject"]  # one with an escape in it could hide another's common name
    common = None if {"\\", '"'} & set(subject) else re.search(r"(?:^|, ?)CN ?= ?([^,+]{1,64})", subject)
    if common and _COMMON_NAME.fullmatch(common[1].strip()):
        values["common_name"] = common[1].strip()
    values["common_name_bare"] = values["common_name"]
    values["common_name_pattern"] = values["common_name"].replace(".", "\\.")
    return values
