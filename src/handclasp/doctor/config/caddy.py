"""Caddy: every site of a Caddyfile, or TLS connection policy of its JSON, that asks for client certificates.

Source: the documentation of ``tls`` and of ``tls_connection_policies``. Caddy heeds no CRL, has no limit of depth, and
resumes sessions unless ``apps.tls.session_tickets.disabled`` says otherwise, which a Caddyfile cannot.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from handclasp.doctor.config import caddy_syntax
from handclasp.doctor.config.apache_syntax import Directive
from handclasp.doctor.config.caddy_syntax import shown, unreadable
from handclasp.doctor.config.envoy_tree import Malformed, Node, parse_json
from handclasp.doctor.config.model import Configuration, Load, MutualServer, Named, Setting, Verify
from handclasp.doctor.config.nginx_tree import Find, matching
from handclasp.doctor.diagnosis import Ailment, Fix, Place, Severity, Side
from handclasp.doctor.files.exposure import in_configuration
from handclasp.doctor.sources import Source
from handclasp.findings import Code

_MODES = {
    "request": Verify.OPTIONAL_UNVERIFIED,
    "require": Verify.OPTIONAL_UNVERIFIED,
    "verify_if_given": Verify.OPTIONAL,
    "require_and_verify": Verify.REQUIRED,
}
_VERSIONS = {"tls1.0": 0, "tls1.1": 1, "tls1.2": 2, "tls1.3": 3}
_SPELLED = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_SUBJECT = ("http.request.tls.client.", "{tls_client_")


def read(path: str, load: Load, find: Find = matching) -> Configuration:
    """The configuration in the file at this absolute path, a Caddyfile or JSON; never raises."""
    source = load(path)
    if source.unreadable is None and source.data.lstrip()[:1] == b"{":
        try:
            root = parse_json(source.data)
        except Malformed as error:
            if path.endswith(".json"):
                ailment = unreadable(Place(path, error.line), str(error))
                return Configuration("caddy", (path,), (), (ailment, *in_configuration(source, Side.SERVER)))
        else:
            return Configuration("caddy", (path,), tuple(_policies(path, root)), in_configuration(source, Side.SERVER))
    parsed = caddy_syntax.parse(path, load, find)
    insecure = [
        one
        for options in parsed.sites
        if options.name == "options"
        for servers in options.inner
        if servers.name == "servers"
        for one in servers.inner
        if one.name == "strict_sni_host" and one.first in {"off", "insecure_off"}
    ]
    loose = Setting(f"strict_sni_host {insecure[0].first}", insecure[0].place) if insecure else None
    sites = tuple(server for one in parsed.sites if one.name == "site" for server in _site(one, loose))
    return Configuration("caddy", tuple(parsed.files) or (path,), sites, tuple(parsed.ailments))


@dataclass(frozen=True, slots=True)
class _Asking:
    """What one site demands of clients. ``mode`` is None where it is not written."""

    name: str
    place: Place
    mode: Setting | None
    trust: tuple[Named, ...]
    leaves: tuple[Named, ...]
    other: bool
    """Whether the trusted authorities come from where they cannot be seen."""

    @property
    def verify(self) -> Setting:
        if self.mode is not None:
            return Setting(f"mode {shown(self.mode.value)}", self.mode.place)
        known = self.trust or self.leaves or self.other
        return Setting(f"mode {'require_and_verify' if known else 'require'} (the default)", self.place)

    @property
    def verifies(self) -> Verify:
        if self.mode is None:
            return Verify.REQUIRED if self.trust or self.leaves or self.other else Verify.OPTIONAL_UNVERIFIED
        if self.mode.value in {"request", "require"} and self.leaves:
            return Verify.REQUIRED  # the certificates themselves are compared, in every mode
        return _MODES.get(self.mode.value, Verify.NONE)

    def ailments(self, loose: Setting | None) -> Iterator[Ailment]:
        fix = _fix("Require a certificate, and verify it.", "client_auth {", "  mode require_and_verify",
                   "  trust_pool file /etc/caddy/clients-ca.pem", "}")  # fmt: skip
        place, value = self.verify.place, self.verify.value
        if self.verifies is Verify.OPTIONAL_UNVERIFIED:
            what = f"{value} takes any certificate at all, whoever issued it"
            if "request" in value:
                what += ", and callers without one"
            yield Ailment(Code.MTLS_NOT_ENFORCED, self.name, what, Severity.ERROR, (fix,), place)
        elif self.verifies is Verify.OPTIONAL:
            what = f"{value}: callers without a certificate are served"
            yield Ailment(Code.MTLS_OPTIONAL, self.name, what, Severity.WARNING, (fix,), place)
        elif self.verifies is Verify.NONE:
            yield unreadable(place, f"{value}: Caddy knows request, require, verify_if_given and require_and_verify")
        if self.verifies in {Verify.OPTIONAL, Verify.REQUIRED} and not (self.trust or self.leaves or self.other):
            what = f"{value} without a trust_pool: the system's public authorities are trusted, and anybody can get a "
            what += "certificate from them"
            yield Ailment(Code.CONFIG_PUBLIC_ROOTS, self.name, what, Severity.ERROR, (fix,), place)
        if loose is not None:
            what = f"{loose.value}: a client can name a site without client certificates in the handshake (SNI), and "
            what += "then ask for this one (Host)"
            strict = _fix("Have both names compared.", "servers {", "  strict_sni_host on", "}")
            yield Ailment(Code.MTLS_NOT_ENFORCED, self.name, what, Severity.ERROR, (strict,), loose.place)


def _site(site: Directive, loose: Setting | None) -> Iterator[MutualServer]:
    for tls in site.inner:
        auth = next((one for one in tls.inner if one.name == "client_auth"), None) if tls.name == "tls" else None
        if auth is None:
            continue
        name = shown(" ".join(site.arguments).replace(", ", " ").rstrip(","))
        trust: list[Named] = []
        leaves: list[Named] = []
        other = False
        mode = None
        for one in auth.inner:
            if one.name == "mode" and one.arguments:
                mode = Setting(one.first, one.place)
            elif one.name in {"trusted_ca_cert_file", "trusted_leaf_cert_file"}:
                target = trust if "_ca_" in one.name else leaves
                target += [_named(path, one.place) for path in one.arguments]
            elif one.name in {"trusted_ca_cert", "trusted_leaf_cert"}:
                (trust if "_ca_" in one.name else leaves).extend(_held(word, one.place) for word in one.arguments)
            elif one.name == "trust_pool":
                pool = list(_pool(one))
                trust += pool
                other = other or (not pool and one.first != "system")
        asking = _Asking(name, auth.place, mode, tuple(trust), tuple(leaves), other)
        protocols = next((one for one in tls.inner if one.name == "protocols"), None)
        words = protocols.arguments if protocols is not None else ()
        files = [word for word in tls.arguments if "/" in word or "." in word] if len(tls.arguments) == 2 else []
        headers, unsafe = _headers(site, name)
        yield MutualServer(
            product="caddy",
            name=name,
            place=site.place,
            verify=asking.verify,
            verifies=asking.verifies,
            certificates=tuple(_named(one, tls.place) for one in files[:1]),
            keys=tuple(_named(one, tls.place) for one in files[1:]),
            trust=(*trust, *leaves),
            protocols=_protocols(words[0] if words else "", words[1] if len(words) > 1 else ""),
            protocols_place=protocols.place if protocols is not None else None,
            resumes=Setting("session tickets (the default)", site.place),
            identity_headers=headers,
            ailments=(*asking.ailments(loose), *unsafe),
        )


def _pool(one: Directive) -> Iterator[Named]:
    if one.first == "file":
        for word in one.arguments[1:]:
            yield _named(word, one.place)
        for inner in one.inner:
            if inner.name == "pem_file":
                yield from (_named(word, inner.place) for word in inner.arguments)
    elif one.first == "inline":
        for inner in one.inner:
            if inner.name == "trust_der":
                yield from (_held(word, inner.place) for word in inner.arguments)


def _headers(site: Directive, name: str) -> tuple[tuple[Setting, ...], tuple[Ailment, ...]]:
    """The request headers that carry the caller's identity: only a plain ``set`` leaves nothing of the caller's own."""
    settings: list[Setting] = []
    found: list[Ailment] = []
    waiting = list(site.inner)
    while waiting:
        one = waiting.pop(0)
        waiting.extend(one.inner)
        words = one.arguments
        if one.name == "request_header" and words and words[0].startswith(("@", "/", "*")):
            words = words[1:]
        if one.name not in {"header_up", "request_header"} or len(words) != 2:
            continue
        key, value = words
        if not any(sign in value for sign in _SUBJECT):
            continue
        settings.append(Setting(shown(f"{key} {value}"), one.place))
        if key[:1] in {"+", "?"}:
            plain = shown(key[1:])
            what = f"{shown(key)} leaves what the caller sends as {plain}: a caller can send it and be anybody"
            fix = _fix("Replace the header.", f"{one.name} {plain} {shown(value)}")
            found.append(Ailment(Code.CONFIG_IDENTITY_HEADER, name, what, Severity.ERROR, (fix,), one.place))
    return tuple(settings), tuple(found)


def _policies(path: str, root: Node) -> Iterator[MutualServer]:
    servers = root.get("apps", "http", "servers").value
    tickets = root.get("apps", "tls", "session_tickets", "disabled").true
    for label, server in servers.items() if isinstance(servers, dict) else ():
        strict = server.get("strict_sni_host")
        loose = Setting("strict_sni_host: false", Place(path, strict.line)) if strict.value is False else None
        listen = " ".join(one.text for one in server.get("listen").items[:5])
        for policy in server.get("tls_connection_policies").items:
            auth = policy.get("client_authentication")
            if not isinstance(auth.value, dict) or not auth.value:
                continue
            names = " ".join(one.text for one in policy.get("match", "sni").items[:5])
            name = shown(f"{listen or label} ({names})" if names else listen or label)
            asking = _asking(path, name, auth)
            lowest, highest = policy.get("protocol_min"), policy.get("protocol_max")
            written = next((one for one in (lowest, highest) if one.text), None)
            place = Place(path, auth.line)
            yield MutualServer(
                product="caddy",
                name=name,
                place=place,
                verify=asking.verify,
                verifies=asking.verifies,
                trust=(*asking.trust, *asking.leaves),
                protocols=_protocols(lowest.text, highest.text),
                protocols_place=Place(path, written.line) if written is not None else None,
                resumes=None if tickets else Setting("session tickets (the default)", place),
                identity_headers=tuple(_json_headers(path, server)),
                ailments=tuple(asking.ailments(loose)),
            )


def _asking(path: str, name: str, auth: Node) -> _Asking:
    pool = auth.get("ca")
    files = (*auth.get("trusted_ca_certs_pem_files").items, *pool.get("pem_files").items)
    inline = (*auth.get("trusted_ca_certs").items, *pool.get("trusted_ca_certs").items)
    trust = (
        *(_named(one.text, Place(path, one.line)) for one in files if one.text),
        *(_held(one.text, Place(path, one.line)) for one in inline),
    )
    leaves = tuple(_held(one.text, Place(path, one.line)) for one in auth.get("trusted_leaf_certs").items)
    other = (pool.value is not None and not trust and pool.get("provider").text != "system") or auth.has("verifiers")
    mode = auth.get("mode")
    written = Setting(mode.text, Place(path, mode.line)) if mode.text else None
    return _Asking(name, Place(path, auth.line), written, trust, leaves, other)


def _json_headers(path: str, server: Node) -> Iterator[Setting]:
    for one in server.get("routes").everything():
        fields = one.get("request", "set").value
        for key, values in fields.items() if isinstance(fields, dict) else ():
            for value in values.items:
                if any(sign in value.text for sign in _SUBJECT):
                    yield Setting(shown(f"{key} {value.text}"), Place(path, value.line))


def _protocols(lowest: str, highest: str) -> tuple[str, ...]:
    return _SPELLED[_VERSIONS.get(lowest, 2) : _VERSIONS.get(highest, 3) + 1]


def _held(text: str, place: Place) -> Named:
    """A certificate in the configuration: DER in base64."""
    try:
        data = base64.b64decode(text.encode("ascii", "replace"), validate=True)
    except (binascii.Error, ValueError):
        data = b""
    return Named(str(place), place, Source(str(place), data, line=place.line))


def _named(path: str, place: Place) -> Named:
    """Caddy counts from the directory in which it was started; by convention, that of its configuration."""
    full = path if path.startswith("/") else str(PurePosixPath(place.file).parent / path)
    return Named(full, place)


def _fix(what: str, *lines: str) -> Fix:
    return Fix(Side.SERVER, what, "caddy", configuration=lines)
