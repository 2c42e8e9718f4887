"""What OpenSSL says of a chain, in the doctor's codes and in words (``doctor --pair``)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from handclasp.doctor.diagnosis import Ailment, Proof, Side
from handclasp.doctor.replay import Judged, Replayed, Says
from handclasp.findings import Code
from handclasp.tlswire.names import alert_name

c = Code
_UNKNOWN: Final = (c.CLIENT_CERT_UNKNOWN_CA, c.SERVER_CERT_UNKNOWN_CA)
_INVALID: Final = (c.CLIENT_CHAIN_INVALID, c.SERVER_CHAIN_INVALID)
_NO_LIST: Final = (c.SERVER_CRL_MISSING, c.SERVER_CRL_MISSING)
_OLD_LIST: Final = (c.SERVER_CRL_EXPIRED, c.SERVER_CRL_EXPIRED)
_WEAK_KEY: Final = (c.CLIENT_KEY_TOO_WEAK, c.SERVER_CERT_WEAK)
_NAME: Final = (c.CLIENT_IDENTITY_NOT_ALLOWED, c.SERVER_CERT_HOSTNAME_MISMATCH)
_CODES: Final[Mapping[int, tuple[Code, Code]]] = {
    2: _UNKNOWN,
    3: _NO_LIST,
    7: (c.CLIENT_CERT_CA_NAME_COLLISION, c.SERVER_CHAIN_INVALID),
    8: _NO_LIST,
    9: (c.CLIENT_CERT_NOT_YET_VALID, c.SERVER_CERT_NOT_YET_VALID),
    10: (c.CLIENT_CERT_EXPIRED, c.SERVER_CERT_EXPIRED),
    11: _OLD_LIST,
    12: _OLD_LIST,
    18: (c.CLIENT_CERT_SELF_SIGNED, c.SERVER_CERT_SELF_SIGNED),
    19: _UNKNOWN,
    20: _UNKNOWN,
    21: _UNKNOWN,
    22: (c.CLIENT_CHAIN_TOO_DEEP, c.SERVER_CHAIN_INVALID),
    23: (c.CLIENT_CERT_REVOKED, c.SERVER_CERT_REVOKED),
    26: (c.CLIENT_CERT_WRONG_EKU, c.SERVER_CERT_WRONG_EKU),
    27: _UNKNOWN,
    28: _UNKNOWN,
    30: (c.CLIENT_CERT_CA_NAME_COLLISION, c.SERVER_CERT_UNKNOWN_CA),
    33: _NO_LIST,
    35: _NO_LIST,
    36: _NO_LIST,
    44: _NO_LIST,
    54: _NO_LIST,
    62: _NAME,
    64: _NAME,
    66: _WEAK_KEY,
    67: _WEAK_KEY,
    68: (c.CLIENT_SIGNATURE_TOO_WEAK, c.SERVER_CERT_WEAK),
}
"""X509_V_ERR (OpenSSL include/openssl/x509_vfy.h): of the client's chain, and of the server's."""
_OF_TRUST: Final = frozenset({2, 18, 19, 20, 21, 27, 28, 30})


def code_of(judged: Judged, side: Side) -> Code:
    """The doctor's code for a verify error about the chain of ``side``; chain invalid for those without one."""
    if judged.code == 10 and judged.depth > 0 and side is Side.CLIENT:
        return Code.CLIENT_CHAIN_EXPIRED
    of_client, of_server = _CODES.get(judged.code, _INVALID)
    return of_client if side is Side.CLIENT else of_server


def doubtful(code: int, trust_known: bool) -> bool:
    """Whether the verify error says nothing, because it is not known whom the judging side trusts."""
    return not trust_known and code in _OF_TRUST


def ailment_of(judged: Judged, side: Side) -> Ailment:
    """A verify error as a finding about the chain of ``side``."""
    what = f"OpenSSL refuses it: {judged.text} (verify code {judged.code})"
    where = f"chain[{judged.depth}] {judged.subject}"
    return Ailment(code_of(judged, side), where, what, facts={"verify_code": str(judged.code)})


def played(run: Replayed, name: str | None, trust_unknown: Collection[Side] = ()) -> Proof:
    """One handshake, as both sides' logs would have it. What a side of ``trust_unknown`` says for want of authorities
    is not told."""
    heard = {Side.CLIENT: run.client, Side.SERVER: run.server}
    silent = {
        side
        for side in trust_unknown
        if heard[side].errors and all(doubtful(one.code, trust_known=False) for one in heard[side].errors)
    }
    facts = {"version": run.version, "completed": str(run.completed).lower()}
    parts = []
    for side, says in heard.items():
        if side in silent:
            parts.append(f"the {side} is taken to accept the {_OTHER[side]}, since whom it trusts is not known")
            continue
        parts.append(_says(says, side, run.version))
        if says.errors:
            facts[f"{side}_verify_code"] = str(says.code)
            facts[f"{side}_verify_text"] = says.errors[0].text
        if says.alert is not None:
            facts[f"{side}_alert"] = str(says.alert)
    parts.append(_end(run, [side for side, says in heard.items() if not says.accepted and side not in silent], silent))
    asked = "" if name is None else f", asking for {name}"
    return Proof(f"play the handshake in TLS {run.version} with OpenSSL{asked}", "; ".join(parts), facts)


def _end(run: Replayed, refusing: Sequence[Side], silent: Collection[Side]) -> str:
    if run.completed:
        return f"it completes with {run.cipher}"
    if run.refused_by is None:
        return "it cannot begin"
    if run.refused_by not in silent:
        return f"the {run.refused_by} breaks it off"
    return f"the {refusing[0]} breaks it off" if refusing else "nothing else stands in its way"


def _says(says: Says, side: Side, version: str) -> str:
    if says.accepted:
        return f"the {side} accepts the {_OTHER[side]}"
    parts = [f"the {side} says: {says.text}"]
    if says.errors:
        told = ", ".join(f"{one.code} ({one.text}) at depth {one.depth} {one.subject}" for one in says.errors[:5])
        parts.append(f"verify code {told}")
    if says.alert is not None:
        parts.append(f"alert {says.alert} ({alert_name(says.alert)}) {_STEPS[side, version == '1.3']}")
    return ", ".join(parts)


_OTHER: Final = {Side.CLIENT: Side.SERVER, Side.SERVER: Side.CLIENT}
_STEPS: Final[Mapping[tuple[Side, bool], str]] = {
    (Side.CLIENT, False): "after the server's flight",
    (Side.CLIENT, True): "after the server's flight",
    (Side.SERVER, False): "after the client's certificate, inside the handshake",
    (Side.SERVER, True): "after the client has finished, which sees it at its first read",
}
