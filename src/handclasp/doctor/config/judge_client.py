"""One client's certificate against one server of a configuration: let in or refused, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from handclasp.doctor.config.judge_files import Material, intermediates, path_above
from handclasp.doctor.config.judge_fixes import fix
from handclasp.doctor.config.judge_settings import too_shallow
from handclasp.doctor.config.model import MutualServer, Verify
from handclasp.doctor.diagnosis import Ailment, Proof, Severity
from handclasp.doctor.files.gather import Gathered
from handclasp.doctor.replay import Party, replay
from handclasp.doctor.rules.client_chain import client_ailments, subject_of
from handclasp.findings import Code

_OPENSSL: Final = frozenset({"nginx", "haproxy", "apache"})
_CRLS: Final = frozenset({3, 11, 12, 33, 44})  # X509_V_ERR_UNABLE_TO_GET_CRL, CRL_NOT_YET_VALID, CRL_HAS_EXPIRED, ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server says to the client. ``accepted`` is None where it asks for nothing."""

    accepted: bool | None
    proof: Proof
    ailments: tuple[Ailment, ...] = ()


def answer(server: MutualServer, found: Material, client: Gathered, at: datetime) -> Answer:
    """The verdict of our own verifier, and of OpenSSL's where the product uses it. Never raises."""
    tried = f"the client's certificate at {server.product} {server.name}, {server.place}"
    if not client.sent:
        return _without(server, tried)
    if server.verifies in {Verify.NONE, Verify.OPTIONAL_UNVERIFIED}:
        seen = f"let in: verify is {server.verify.value}, whatever certificate is shown"
        return Answer(None, Proof(tried, seen))
    if not found.trust:
        return Answer(None, Proof(tried, "not judged: the server's authorities could not be read"))
    ailments = list(client_ailments(client.sent, client.known, found.trust, found.crls, at, depth=server.depth))
    refused = [one for one in ailments if one.severity is Severity.ERROR]
    facts = {"subject": subject_of(client.sent[0])}
    if server.product in _OPENSSL:
        says, text = _openssl(found, client, at, server.depth)
        facts["openssl"] = text
        if says is True:
            ailments = [replace(one, severity=Severity.WARNING) if one in refused else one for one in ailments]
            refused = []
        elif says is False and not refused:
            ailments.append(_by_openssl(server, text))
            refused = ailments[-1:]
    needed = intermediates(path_above(client.sent[0], (*client.sent[1:], *found.trust)))
    if refused and server.depth is not None and needed > server.depth:
        ailments.append(
            too_shallow(
                server, needed, f"the client's chain has {needed} {'intermediate' if needed == 1 else 'intermediates'}"
            )
        )
    placed = tuple(_placed(one, server) for one in ailments)
    if not refused:
        return Answer(True, Proof(tried, "accepted", facts), placed)
    first = _placed(refused[0], server)
    return Answer(False, Proof(tried, f"refused: {first.what}", {**facts, "code": str(first.code)}), placed)


def _without(server: MutualServer, tried: str) -> Answer:
    if server.verifies is not Verify.REQUIRED:
        return Answer(None, Proof(tried, "let in without a certificate"))
    what = "the client has no certificate to show, and this server requires one"
    ailment = Ailment(Code.CLIENT_CERT_MISSING, server.name, what, place=server.verify.place)
    return Answer(False, Proof(tried, f"refused: {what}", {"code": str(ailment.code)}), (ailment,))


def _openssl(found: Material, client: Gathered, at: datetime, depth: int | None) -> tuple[bool | None, str]:
    """What OpenSSL's own verifier says in a handshake in memory; None where it could not be played."""
    if client.key is None or found.key is None or not found.sent:
        return None, "not played: a private key is not at hand"
    theirs = Party(client.sent, client.key, client.trust)
    ours = Party(found.sent, found.key, found.trust, found.crls)
    result = replay(theirs, ours, at, depth=depth)
    if result.server.errors:
        first = result.server.errors[0]
        return False, f"{first.code} {first.text}, at depth {first.depth}"
    if result.server.accepted:
        return True, "accepted"
    return None, result.server.text or "not played to the end"


def _by_openssl(server: MutualServer, text: str) -> Ailment:
    number = text.partition(" ")[0]
    code = Code.SERVER_CRL_MISSING if number in {str(one) for one in _CRLS} else Code.CLIENT_CHAIN_INVALID
    code = Code.CLIENT_CERT_UNKNOWN_CA if number in {"2", "19", "20", "21"} else code
    if number == "2" and server.trust:
        path = server.trust[0].path
        what = f"the server trusts the intermediate, but not the root above it, where the path would end ({text})"
        return Ailment(
            code, server.name, what, fixes=fix(server.product, "trust", f"Append the root to {path}.", file=path)
        )
    return Ailment(code, server.name, f"OpenSSL refuses it: {text}")


def _placed(ailment: Ailment, server: MutualServer) -> Ailment:
    """With the place of the server and its own line, where the finding has none."""
    fixes = ailment.fixes
    if not fixes and ailment.code in {Code.SERVER_CRL_EXPIRED, Code.SERVER_CRL_MISSING} and server.crls:
        path = server.crls[0].path
        fixes = fix(server.product, "crl", "Give the server the authority's current CRLs.", file=path)
    if not fixes and ailment.code is Code.CLIENT_CERT_UNKNOWN_CA and server.trust:
        path = server.trust[0].path
        advice = "Add the client's authority to this file, or use a certificate of one that is in it."
        fixes = fix(server.product, "trust", advice, file=path)
    where = f"{ailment.where}, at {server.name}" if server.name not in ailment.where else ailment.where
    return replace(ailment, where=where, fixes=fixes, place=ailment.place or server.verify.place)
