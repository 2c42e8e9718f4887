"""What Envoy's own settings make of mutual TLS in one filter chain: what is demanded, resumed, and told to what is
behind. Each danger was seen with Envoy 1.40.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from handclasp.doctor.config.envoy_tree import Node
from handclasp.doctor.config.model import Named, Setting, Verify
from handclasp.doctor.diagnosis import Ailment, Fix, Place, Severity, Side
from handclasp.findings import Code

_FORWARDS = ("FORWARD_ONLY", "APPEND_FORWARD", "SANITIZE_SET", "ALWAYS_FORWARD_ONLY")  # 1 to 4; 0 is SANITIZE
_SYSTEM = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem",
           "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/ca-bundle.pem")  # fmt: skip
_MATCHERS = ("match_typed_subject_alt_names", "match_subject_alt_names", "verify_certificate_hash",
             "verify_certificate_spki")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Seen:
    """One filter chain: ``tls`` is its DownstreamTlsContext, ``context`` what certificates are judged by, of
    ``context_file``."""

    name: str
    chain: Node
    listener: Node
    file: str
    tls: Node
    context: Node
    context_file: str
    mode: Verify
    verify: Setting


def judge(seen: Seen, trust: Sequence[Named], unseen: Node | None) -> Iterator[Ailment]:
    """The findings of Envoy's own."""
    yield from _strictness(seen, trust)
    if unseen is not None:
        what = f"the authorities come by SDS ({_shown(unseen.text)}) and cannot be seen here: look at what is delivered"
        line = "curl -s localhost:9901/config_dump?include_eds"
        fix = Fix(Side.SERVER, "Look at what Envoy has received.", "envoy", (line,))
        yield Ailment(
            Code.TRUST_STORE_UNREADABLE, seen.name, what, Severity.NOTE, (fix,), Place(seen.file, unseen.line)
        )
    crl = seen.context.get("crl")
    if crl.value is not None and spiffe(seen.context):
        what = "the SPIFFE validator does not look at crl: a revoked client certificate is let in"
        fix = _fix("Issue short-lived certificates, or use the default validator.", "# without custom_validator_config",
            "validation_context:", "  trusted_ca: {filename: /etc/envoy/clients-ca.pem}",
            "  crl: {filename: /etc/envoy/clients.crl.pem}")  # fmt: skip
        place = Place(seen.context_file, crl.line)
        yield Ailment(Code.CONFIG_NO_REVOCATION, seen.name, what, Severity.ERROR, (fix,), place)
    leaf = seen.context.get("only_verify_leaf_cert_crl")
    if crl.value is not None and leaf.true:
        what = "only_verify_leaf_cert_crl: a revoked intermediate authority is not noticed"
        fix = _fix("Check the whole chain, with a CRL of every authority.", "only_verify_leaf_cert_crl: false")
        place = Place(seen.context_file, leaf.line)
        yield Ailment(Code.CONFIG_NO_REVOCATION, seen.name, what, Severity.NOTE, (fix,), place)
    wide = next((one for one in trust if one.path in _SYSTEM), None)
    if wide is not None and not any(seen.context.get(one).items for one in _MATCHERS):
        what = f"{wide.path} are the public authorities, and no name is demanded: anybody can get such a certificate"
        fix = _fix("Trust the authority of your clients, and say whom you expect.",
            "trusted_ca: {filename: /etc/envoy/clients-ca.pem}", "match_typed_subject_alt_names:",
            '- {san_type: URI, matcher: {prefix: "spiffe://example.org/"}}')  # fmt: skip
        yield Ailment(Code.CONFIG_PUBLIC_ROOTS, seen.name, what, Severity.ERROR, (fix,), wide.place)


def _strictness(seen: Seen, trust: Sequence[Named]) -> Iterator[Ailment]:
    untrusted = seen.context.get("trust_chain_verification")
    fix = _fix("Require a certificate, and verify it.", "require_client_certificate: true")
    if seen.mode is Verify.OPTIONAL:
        what = f"{seen.verify.value}: certificates are verified, and callers without one are served"
        yield Ailment(Code.MTLS_OPTIONAL, seen.name, what, Severity.WARNING, (fix,), seen.verify.place)
    elif seen.mode is Verify.OPTIONAL_UNVERIFIED and untrusted.value is not None:
        what = "trust_chain_verification: ACCEPT_UNTRUSTED takes any certificate, whoever issued it"
        fix = _fix("Verify the chain.", "trust_chain_verification: VERIFY_TRUST_CHAIN")
        place = Place(seen.context_file, untrusted.line)
        yield Ailment(Code.MTLS_NOT_ENFORCED, seen.name, what, Severity.ERROR, (fix,), place)
    elif seen.mode is Verify.OPTIONAL_UNVERIFIED and not trust:
        what = "a certificate is required, and no trusted_ca to verify it by is named: any is taken"
        fix = _fix("Name the authority of your clients.", "validation_context:", "  trusted_ca:",
            "    filename: /etc/envoy/clients-ca.pem")  # fmt: skip
        yield Ailment(Code.MTLS_NOT_ENFORCED, seen.name, what, Severity.ERROR, (fix,), seen.verify.place)


def spiffe(context: Node) -> bool:
    """Whether the SPIFFE validator judges, which heeds no CRL."""
    return context.get("custom_validator_config", "name").text == "envoy.tls.cert_validator.spiffe"


def resumes(seen: Seen) -> Setting | None:
    """By what sessions are resumed: tickets, and where those are off, the cache of TLS 1.2."""
    tickets = seen.tls.get("session_ticket_keys")
    if tickets.value is None:
        tickets = seen.tls.get("session_ticket_keys_sds_secret_config")
    stateless = seen.tls.get("disable_stateless_session_resumption")
    stateful = seen.tls.get("disable_stateful_session_resumption")
    if tickets.value is not None:
        return Setting("session_ticket_keys", Place(seen.file, tickets.line))
    if not stateless.true:
        default = "" if stateless.value is False else " (the default)"
        value = f"disable_stateless_session_resumption: false{default}"
        return Setting(value, Place(seen.file, stateless.line))
    if not stateful.true:
        default = "" if stateful.value is False else " (the default)"
        value = f"disable_stateful_session_resumption: false{default}"
        return Setting(value, Place(seen.file, stateful.line))
    return None


def headers(seen: Seen) -> tuple[tuple[Setting, ...], tuple[Ailment, ...]]:
    """The headers that carry the caller's identity, and what is wrong with them."""
    settings: list[Setting] = []
    found: list[Ailment] = []
    for one in seen.chain.get("filters").everything():
        if not one.get("@type").text.endswith(".HttpConnectionManager"):
            continue
        forward = one.get("forward_client_cert_details")
        value = forward.text
        if isinstance(forward.value, int) and 1 <= forward.value <= 4:
            value = _FORWARDS[forward.value - 1]
        if value in _FORWARDS:
            settings.append(Setting(f"x-forwarded-client-cert {value}", Place(seen.file, forward.line)))
        if value in {"FORWARD_ONLY", "APPEND_FORWARD", "ALWAYS_FORWARD_ONLY"}:
            found.append(_forwarded(seen, value, forward))
        for name, header, removed in _added(one):
            settings.append(
                Setting(f"{name} {header.get('header', 'value').text}"[:200], Place(seen.file, header.line))
            )
            if name.lower() not in removed:
                found.append(_kept(seen, name, header))
    return tuple(settings), tuple(found)


def _forwarded(seen: Seen, value: str, node: Node) -> Ailment:
    what = (
        f"forward_client_cert_details: {value} hands x-forwarded-client-cert on as the caller sent it: who holds any "
        "accepted certificate can be anybody"
    )
    severity = Severity.ERROR
    if value == "ALWAYS_FORWARD_ONLY":
        what = (
            f"forward_client_cert_details: {value} hands x-forwarded-client-cert on as the caller sent it, with or "
            "without a certificate: a caller can be anybody"
        )
    fix = _fix("Have Envoy write the header itself.", "forward_client_cert_details: SANITIZE_SET",
        "set_current_client_cert_details: {subject: true, uri: true, dns: true}")  # fmt: skip
    return Ailment(Code.CONFIG_IDENTITY_HEADER, seen.name, what, severity, (fix,), Place(seen.file, node.line))


def _added(manager: Node) -> Iterator[tuple[str, Node, frozenset[str]]]:
    """Every header that gets a value of the client's certificate, with the headers removed on its way."""
    waiting: list[tuple[Node, frozenset[str]]] = [(manager, frozenset())]
    count = 0
    while waiting and count < 100_000:
        node, removed = waiting.pop()
        count += 1
        own = [one.text.lower() for one in node.get("request_headers_to_remove").items[:100]]
        removed = removed.union(own) if own and len(removed) < 1000 else removed
        for one in node.get("request_headers_to_add").items:
            if "%DOWNSTREAM_PEER_" in one.get("header", "value").text:
                yield _shown(one.get("header", "key").text), one, removed
        below = node.value.values() if isinstance(node.value, dict) else node.items
        waiting.extend((one, removed) for one in reversed(tuple(below)))


def _kept(seen: Seen, name: str, header: Node) -> Ailment:
    what = (
        f"{name} is set from the certificate, and where that has no such value the caller's own header stays, "
        "whatever the append_action: a caller can send it and be anybody"
    )
    fix = _fix("Remove what the caller sends first.", f'request_headers_to_remove: ["{name}"]')
    return Ailment(Code.CONFIG_IDENTITY_HEADER, seen.name, what, Severity.ERROR, (fix,), Place(seen.file, header.line))


def _fix(what: str, *lines: str) -> Fix:
    return Fix(Side.SERVER, what, "envoy", configuration=lines)


def _shown(text: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in text[:200])
