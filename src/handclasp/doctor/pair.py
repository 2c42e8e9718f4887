"""Both sides' files at hand (``doctor --pair``): what each would say of the other, before anybody tries.

1. The files of each side, put together as its program would.
2. Whom each side trusts: what was given, else what its files show, else whatever root makes the chain whole.
3. Each chain judged by our own verifier, which tells every fault.
4. The handshake played again with OpenSSL, in TLS 1.2 and 1.3: the words, codes and alerts that the programs will log.

Our verifier's code is the verdict, OpenSSL's confirms it, and stands alone where ours has nothing to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from cryptography import x509

from handclasp.doctor import replay
from handclasp.doctor.diagnosis import Ailment, Candidate, Diagnosis, Proof, Severity, Side
from handclasp.doctor.files.gather import Gathered, gather, is_authority
from handclasp.doctor.pair_words import ailment_of, doubtful, played
from handclasp.doctor.replay import Party, Replayed, Says
from handclasp.doctor.rules.client_chain import (
    client_ailments,
    issuer_known,
    issuer_of,
    server_ailments,
    subject_of,
    top_of,
)
from handclasp.doctor.sources import Credentials
from handclasp.findings import CATALOGUE, Code
from handclasp.pki import sequence
from handclasp.pki.containers import UNREADABLE

VERSIONS: Final = ("1.2", "1.3")
_TOLD: Final = 5  # names in a sentence
_HOPS: Final = 8  # intermediates that are looked for
_SUBJECT: Final = 300  # characters

Certificates = tuple[x509.Certificate, ...]


@dataclass(frozen=True, slots=True)
class Trusted:
    """Whom a side trusts, and how that is known. ``given``: by the caller. No certificates: it is not known."""

    certificates: Certificates
    how: str
    given: bool = False


@dataclass(frozen=True, slots=True)
class _Half:
    """One side: its files, whom it trusts, and what is wrong with its own chain as the other judges it."""

    side: Side
    gathered: Gathered
    trusted: Trusted
    found: tuple[Ailment, ...] = ()

    @property
    def party(self) -> Party:
        return Party(self.gathered.sent, self.gathered.key, self.trusted.certificates, self.gathered.crls)


def pair(
    client: Credentials, server: Credentials, at: datetime, *, name: str | None = None, depth: int | None = None
) -> Diagnosis:
    """Whether the two would complete a handshake at ``at``, and if not, who breaks it off and why.

    ``name`` is the host name or address that the client asks for (None: not checked); ``depth`` the most intermediates
    that the server follows (None: OpenSSL's 100). Never raises. Without a certificate of the server nothing can be
    examined: ``examined`` is False.
    """
    theirs, ours = gather(client, Side.CLIENT, at), gather(server, Side.SERVER, at)
    theirs, ours = _leaf_first(theirs), _leaf_first(ours)
    one = _Half(Side.CLIENT, theirs, _trusted(client, theirs, ours))
    other = _Half(Side.SERVER, ours, _trusted(server, ours, theirs))
    one = replace(one, found=_of_client(one, other, at, depth))
    other = replace(other, found=_of_server(one, other, at, name))
    runs = _runs(one, other, at, name, depth)
    one = replace(one, found=_with_replay(one, [run.server for run in runs], other.trusted))
    other = replace(other, found=_with_replay(other, [run.client for run in runs], one.trusted))
    subject = f"{_names(client)} against {_names(server)}"
    return _diagnosis(subject, at, one, other, runs, name)


def _diagnosis(
    subject: str, at: datetime, client: _Half, server: _Half, runs: Sequence[Replayed], name: str | None
) -> Diagnosis:
    together = _together(client, server, runs)
    # In the order in which they break it off: at loading, over the server's chain, over the client's.
    loading = [*client.gathered.ailments, *server.gathered.ailments]
    once = {(one.code, one.where, one.what): one for one in (*loading, *server.found, *client.found, *together)}
    findings = tuple(sorted(once.values(), key=lambda one: _SEVERITIES.index(one.severity)))
    errors = [one for one in findings if one.severity is Severity.ERROR]
    decider = ""
    if errors:
        candidate = Candidate(errors[0].code, f"{errors[0].where}: {errors[0].what}")
        verdict = f"{CATALOGUE[candidate.code].meaning.rstrip('.')} ({candidate.why})."
        decider = _decider(candidate.code, client, server)
    elif not server.trusted.certificates:
        why = "whom the server trusts for clients is not in the files"
        candidate = Candidate(Code.UNKNOWN, why)
        verdict, decider = f"Nothing is wrong with the chains themselves, but {why}.", _GIVE[Side.SERVER]
    else:
        verdict = _healthy(client, runs)
        candidate = Candidate(Code.OK, verdict)
    return Diagnosis(
        subject=subject,
        at=at,
        verdict=verdict,
        candidates=(candidate,),
        evidence=tuple(_evidence(client, server, runs, name)),
        findings=findings,
        decider=decider,
        examined=bool(server.gathered.sent),
    )


_SEVERITIES: Final = (Severity.ERROR, Severity.WARNING, Severity.NOTE)
_GIVE: Final[Mapping[Side, str]] = {
    Side.CLIENT: "Give the authorities by which the client judges servers.",
    Side.SERVER: "Give the authorities by which the server judges clients.",
}
_GUESSED: Final[Mapping[Code, Side]] = {
    Code.SERVER_CERT_UNKNOWN_CA: Side.CLIENT,
    Code.SERVER_CERT_SELF_SIGNED: Side.CLIENT,
    Code.SERVER_CHAIN_INCOMPLETE: Side.CLIENT,
    Code.CLIENT_CERT_UNKNOWN_CA: Side.SERVER,
    Code.CLIENT_CERT_SELF_SIGNED: Side.SERVER,
    Code.CLIENT_CHAIN_INCOMPLETE: Side.SERVER,
    Code.CLIENT_CERT_CA_NAME_COLLISION: Side.SERVER,
}
"""Verdicts that are only as good as what is known of that side's trust."""


def _decider(code: Code, client: _Half, server: _Half) -> str:
    side = _GUESSED.get(code)
    if side is None:
        return ""
    trusted = client.trusted if side is Side.CLIENT else server.trusted
    return "" if trusted.given else _GIVE[side]


def _healthy(client: _Half, runs: Sequence[Replayed]) -> str:
    if not runs:
        return "Both chains are sound; without both private keys the handshake cannot be played."
    if not client.trusted.certificates:
        return "The server takes the client's certificate; whom the client trusts is not in the files."
    return "The handshake completes, in TLS " + " and ".join(run.version for run in runs if run.completed) + "."


def _leaf_first(gathered: Gathered) -> Gathered:
    """Judged as if in order, so that a wrong order, which was told, does not hide the rest."""
    sent = gathered.sent
    if gathered.key is None or len(sent) < 2:
        return gathered
    try:
        public = sequence.spki_of(gathered.key)
        leaf = next((one for one in sent if sequence.certified(one) == public), sent[0])
    except UNREADABLE:
        return gathered
    return replace(gathered, sent=(leaf, *(one for one in sent if one is not leaf)))


def _trusted(credentials: Credentials, mine: Gathered, others: Gathered) -> Trusted:
    if credentials.trust:
        return Trusted(mine.trust, "as given", given=True)
    if mine.trust:
        return Trusted(mine.trust, "not given; taken from its files that hold authorities alone")
    apart = tuple(one for one in mine.known if one not in mine.sent and is_authority(one))
    if any(sequence.is_self_signed(one) for one in apart):
        return Trusted(apart, "not given; taken from the authorities among its files")
    roots = tuple(
        dict.fromkeys(one for one in (*mine.known, *others.known) if is_authority(one) and sequence.is_self_signed(one))
    )
    # Whoever's root it is: where it makes the chain whole it is the likely one, else it says nothing.
    if others.sent and _leads(top_of(others.sent), (*mine.known, *others.known), roots):
        return Trusted(roots, "not given; any root among the files of both sides is taken")
    return Trusted((), "not given, and no root among the files fits the other side's chain: not judged")


def _leads(top: x509.Certificate, known: Certificates, roots: Certificates) -> bool:
    """Whether the path leads from ``top`` to a root, by way of what was found anywhere."""
    for _ in range(_HOPS):
        if top in roots or issuer_known(top, roots) is not None:
            return True
        above = issuer_known(top, known)
        if above is None or above == top:
            return False
        top = above
    return False


def _of_client(client: _Half, server: _Half, at: datetime, depth: int | None) -> tuple[Ailment, ...]:
    mine = client.gathered
    if mine.sent:
        known = (*mine.known, *server.gathered.known)
        return client_ailments(mine.sent, known, server.trusted.certificates, server.gathered.crls, at, depth=depth)
    if any(one.severity is Severity.ERROR for one in mine.ailments):
        return ()  # why there is none was told
    return (Ailment(Code.CLIENT_CERT_MISSING, "the client's files", "there is no certificate among them"),)


def _of_server(client: _Half, server: _Half, at: datetime, name: str | None) -> tuple[Ailment, ...]:
    mine = server.gathered
    if not mine.sent:
        if any(one.severity is Severity.ERROR for one in mine.ailments):
            return ()
        return (Ailment(Code.FILE_UNSUITABLE, "the server's files", "there is no certificate among them"),)
    trust = client.trusted.certificates
    found = server_ailments(mine.sent, trust, client.gathered.crls, at, name)
    top = top_of(mine.sent)
    known = (*mine.known, *client.gathered.known)
    if issuer_known(top, trust) is not None or not _leads(top, known, trust):
        return found
    return tuple(_incomplete(one, top) if one.code is Code.SERVER_CERT_UNKNOWN_CA else one for one in found)


def _incomplete(one: Ailment, top: x509.Certificate) -> Ailment:
    what = f"the certificate of {issuer_of(top)} is not sent, and leads to an authority that the client trusts"
    return replace(one, code=Code.SERVER_CHAIN_INCOMPLETE, what=what)


def _runs(client: _Half, server: _Half, at: datetime, name: str | None, depth: int | None) -> tuple[Replayed, ...]:
    """Empty where a key or the server's certificate is missing: then there is nothing to play."""
    mine = server.gathered
    if not mine.sent or mine.key is None or (client.gathered.sent and client.gathered.key is None):
        return ()
    return tuple(
        replay.replay(client.party, server.party, at, name=name, version=version, depth=depth) for version in VERSIONS
    )


def _with_replay(half: _Half, says: Sequence[Says], trusted: Trusted) -> tuple[Ailment, ...]:
    """What our verifier found of this half, and what OpenSSL refuses where ours has no error."""
    found = half.found
    if any(one.severity is Severity.ERROR for one in found):
        return found
    judged = [error for each in says for error in each.errors if not doubtful(error.code, bool(trusted.certificates))]
    if not judged:
        return found
    added = ailment_of(judged[0], half.side)
    return (added, *(one for one in found if one.code is not added.code))


def _together(client: _Half, server: _Half, runs: Sequence[Replayed]) -> Iterator[Ailment]:
    """What is no fault of either chain: a key that does not fit, or nothing that both can do."""
    told = {one.code for half in (client, server) for one in (*half.gathered.ailments, *half.found)}
    for half, said in ((client, [run.client for run in runs]), (server, [run.server for run in runs])):
        loading = next((each.loading for each in said if each.loading), "")
        if loading and (code := _LOADING.get((loading, half.side))) is not None and code not in told:
            yield Ailment(code, f"the {half.side}'s files", f"OpenSSL does not load its certificate and key: {loading}")
            told.add(code)
    broken = [run for run in runs if run.refused_by is not None and not run.client.errors and not run.server.errors]
    for run in broken:
        text = run.server.text or run.client.text
        if Code.CLIENT_CERT_MISSING in told or not text or not client.gathered.sent:
            continue
        code = next((code for part, code in _NOTHING_SHARED.items() if part in text), Code.UNKNOWN)
        severity = Severity.ERROR if len(broken) == len(runs) else Severity.WARNING
        if (code, severity) == (Code.UNKNOWN, Severity.WARNING):
            severity = Severity.NOTE
        yield Ailment(code, f"TLS {run.version}", f"the handshake fails: {text}", severity)


_LOADING: Final[Mapping[tuple[str, Side], Code]] = {
    ("key values mismatch", Side.CLIENT): Code.CLIENT_KEY_MISMATCH,
    ("key values mismatch", Side.SERVER): Code.SERVER_KEY_MISMATCH,
    ("key type mismatch", Side.CLIENT): Code.CLIENT_KEY_MISMATCH,
    ("key type mismatch", Side.SERVER): Code.SERVER_KEY_MISMATCH,
    ("ee key too small", Side.CLIENT): Code.CLIENT_KEY_TOO_WEAK,
    ("ee key too small", Side.SERVER): Code.SERVER_CERT_WEAK,
    ("ca md too weak", Side.CLIENT): Code.CLIENT_SIGNATURE_TOO_WEAK,
    ("ca md too weak", Side.SERVER): Code.SERVER_CERT_WEAK,
}
_NOTHING_SHARED: Final[Mapping[str, Code]] = {
    "cipher": Code.TLS_NO_SHARED_CIPHER,
    "signature algorithm": Code.TLS_NO_SHARED_CIPHER,
    "group": Code.TLS_NO_SHARED_GROUP,
    "key share": Code.TLS_NO_SHARED_GROUP,
}


def _evidence(client: _Half, server: _Half, runs: Sequence[Replayed], name: str | None) -> Iterator[Proof]:
    for half in (client, server):
        yield _read(half)
    for half in (client, server):
        told = [subject_of(one) for one in half.trusted.certificates[:_TOLD]]
        more = len(half.trusted.certificates) - len(told)
        names = ", ".join(told) + (f" and {more} more" if more > 0 else "")
        lists = len(half.gathered.crls)
        facts = {"given": str(half.trusted.given).lower(), "lists": str(lists)}
        seen = f"{half.trusted.how}: {names or 'nobody'}" if told or half.trusted.given else half.trusted.how
        yield Proof(f"choose whom the {half.side} trusts", f"{seen}; {lists} revocation lists", facts)
    for half in (server, client):
        errors = [f"{one.where}: {one.what} ({one.code})" for one in half.found if one.severity is Severity.ERROR]
        yield Proof(f"judge the {half.side}'s chain", "; ".join(errors) or "sound")
    if not runs:
        yield Proof("play the handshake", "not possible without both sides' private keys and the server's certificate")
    for run in runs:
        yield played(run, name, {half.side for half in (client, server) if not half.trusted.certificates})


def _read(half: _Half) -> Proof:
    sent = half.gathered.sent
    tried = f"read the {half.side}'s files"
    if not sent:
        return Proof(tried, "no certificate to send")
    leaf = sent[0]
    key = "with its private key" if half.gathered.key is not None else "without a private key"
    seen = f"sends {len(sent)} certificates, {subject_of(leaf)} first, {key}"
    facts = {"subject": subject_of(leaf), "issuer": issuer_of(leaf), "certificates": str(len(sent))}
    try:
        facts |= {"serial": f"{leaf.serial_number:x}", "not_after": f"{leaf.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"}
    except UNREADABLE:
        return Proof(tried, seen, facts)
    return Proof(tried, seen, facts)


def _names(credentials: Credentials) -> str:
    return ", ".join(one.name for one in credentials.files)[:_SUBJECT] or "no files"
