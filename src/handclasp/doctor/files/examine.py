"""``handclasp doctor --files``: everything that is wrong with a heap of files, before any handshake.

Codes of loading are those of a client unless every certificate with a key is a server's; ``judge`` says how a side is
told from a certificate.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import Final

from cryptography import x509

from handclasp.doctor.diagnosis import Ailment, Candidate, Diagnosis, Proof, Severity, Side
from handclasp.doctor.files.gather import (
    MAX_FILES,
    Paired,
    authorities,
    by_key,
    certificates_of,
    is_authority,
    keys_of,
    loaded,
    match,
    mismatch,
    sent,
    unpaired,
)
from handclasp.doctor.files.judge import Chain, judged, judged_bundle, judged_lists, side_of
from handclasp.doctor.files.load import Loaded
from handclasp.doctor.rules.client_chain import subject_of
from handclasp.doctor.sources import Source
from handclasp.findings import CATALOGUE, Code
from handclasp.pki import sequence

MAX_CHAINS: Final = 50
_SEVERITIES: Final = (Severity.ERROR, Severity.WARNING, Severity.NOTE)
_FIRST: Final = (  # what comes first hides or explains what comes later
    Code.CLIENT_FILE_UNREADABLE,
    Code.CONFIG_FILE_MISSING,
    Code.CLIENT_FILE_NOT_PEM,
    Code.FILE_UNRECOGNIZED,
    Code.FILE_DAMAGED,
    Code.CLIENT_KEY_PASSPHRASE,
    Code.FILE_PASSPHRASE_WRONG,
    Code.FILE_PASSPHRASE_MISSING,
    Code.CLIENT_KEY_MISMATCH,
    Code.SERVER_KEY_MISMATCH,
    Code.FILE_CHAIN_ORDER,
    Code.CLIENT_CERT_EXPIRED,
    Code.SERVER_CERT_EXPIRED,
    Code.CLIENT_CERT_NOT_YET_VALID,
    Code.SERVER_CERT_NOT_YET_VALID,
    Code.CLIENT_CERT_REVOKED,
    Code.SERVER_CERT_REVOKED,
    Code.CLIENT_CHAIN_INCOMPLETE,
    Code.SERVER_CHAIN_INCOMPLETE,
)
_LAST: Final = (Code.FILE_TWO_KEYS, Code.FILE_KEY_UNPAIRED, Code.FILE_KEY_IN_CONFIG, Code.FILE_KEY_EXPOSED)


def examine(sources: Sequence[Source], at: datetime, passphrase: bytes | None = None) -> Diagnosis:
    """What is wrong with these files, all together. Never raises; the first 500 files are read.

    The verdict is the gravest finding: what hides or explains the others first, exposed keys last, since they break no
    handshake. ``examined`` is False where no file could be read at all.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library, about what it will not read some day
        return _examine(sources, at, passphrase)


def _examine(sources: Sequence[Source], at: datetime, passphrase: bytes | None) -> Diagnosis:
    subject = _subject(sources)
    files = loaded(sources, Side.CLIENT, passphrase)
    pairs = _pairs(files, Side.CLIENT, at)
    leaves = [one.leaf for one in pairs if one.leaf is not None]
    side = Side.SERVER if leaves and all(side_of(one) is Side.SERVER for one in leaves) else Side.CLIENT
    if side is Side.SERVER:
        files = loaded(sources, side, passphrase)
        pairs = _pairs(files, side, at)
    known = certificates_of(files)
    trust = authorities(files)
    crls = tuple(one for file in files for one in file.contents.crls)
    found = [one for file in files for one in file.ailments]
    found += _keys(files, pairs, side)
    proofs = [_file_proof(one) for one in files]
    for pair in pairs:
        found += pair.ailments
        if pair.file is None or pair.leaf is None:
            continue
        path = sent(pair)
        if path[:1] != (pair.leaf,):
            path = (pair.leaf, *(one for one in path if one != pair.leaf))
        found += judged(Chain(pair.file, path, files, known, trust, crls), at)
        proofs.append(_pair_proof(pair, known))
    for file in files:
        if file.certificates and all(is_authority(one) for one in file.certificates):
            found += judged_bundle(file, at)
    found += judged_lists(files, known, at)
    if len(sources) > MAX_FILES:
        proofs.append(Proof("read the files", f"there are {len(sources)}; the first {MAX_FILES} were read"))
    held = any(one.certificates or one.contents.keys or one.contents.crls or one.contents.requests for one in files)
    examined = any(one.unreadable is None for one in sources)
    return _diagnosis(subject, at, found, proofs, examined=examined, held=held)


def _pairs(files: Sequence[Loaded], side: Side, at: datetime) -> list[Paired]:
    """Each key with its certificate, and each end entity's certificate that has no key in the files."""
    places = by_key(files)
    matched = (match(places, key, side, at) for key in keys_of(files))
    found = [one for one in matched if one is not None][:MAX_CHAINS]
    leaves = {one.leaf for one in found}
    publics = {sequence.certified(one) for one in leaves if one is not None}
    for file in files:
        for leaf in file.certificates:
            if len(found) >= MAX_CHAINS:
                return found
            if leaf not in leaves and not is_authority(leaf) and sequence.certified(leaf) not in publics:
                leaves.add(leaf)
                found.append(Paired(None, leaf, _best(files, leaf, file)))
    return found


def _best(files: Sequence[Loaded], leaf: x509.Certificate, first: Loaded) -> Loaded:
    """Of the files that begin with a leaf, the one that sends the most."""
    begin = [one for one in files if one.certificates[:1] == (leaf,)]
    return max(begin, key=lambda one: len(one.certificates), default=first)


def _keys(files: Sequence[Loaded], pairs: Sequence[Paired], side: Side) -> Iterator[Ailment]:
    """Keys without a certificate: a mismatch where a certificate without a key is there for it, else unpaired."""
    certified = {sequence.certified(one) for one in certificates_of(files)}
    requested = {_requested(one) for file in files for one in file.contents.requests}
    alone = [one for one in keys_of(files) if one.public not in certified and one.public not in requested]
    lonely = [one for one in pairs if one.key is None and one.file is not None and one.leaf is not None]
    damaged = any(one.code is Code.FILE_DAMAGED and one.severity is Severity.ERROR for f in files for one in f.ailments)
    for key in alone:
        named = [one for one in lonely if one.file is not None and _stem(one.file) == _stem(key.file)]
        candidates = named or (lonely if len(lonely) == 1 and len(alone) == 1 else [])
        if candidates and not damaged:
            file, leaf = candidates[0].file, candidates[0].leaf
            assert file is not None and leaf is not None
            yield mismatch(key, file, file.certificates.index(leaf), side_of(leaf))
        elif certified and not damaged:
            yield unpaired(key, side)


def _requested(request: x509.CertificateSigningRequest) -> bytes | None:
    try:
        return sequence.spki(request.public_key())
    except Exception:  # the library raises many things for strange keys; each means that it cannot be compared
        return None


def _stem(file: Loaded) -> str:
    return PurePosixPath(file.source.name).stem.lower()


def _rank(one: Ailment) -> tuple[int, int]:
    if one.code in _FIRST:
        place = _FIRST.index(one.code)
    else:
        place = len(_FIRST) + (1 + _LAST.index(one.code) if one.code in _LAST else 0)
    return _SEVERITIES.index(one.severity), place


def _diagnosis(
    subject: str, at: datetime, found: Sequence[Ailment], proofs: Sequence[Proof], *, examined: bool, held: bool
) -> Diagnosis:
    once = {(one.code, one.place, one.what): one for one in found}
    findings = tuple(sorted(once.values(), key=_rank))
    gravest = [one for one in findings if one.severity is Severity.ERROR] or [
        one for one in findings if one.severity is Severity.WARNING
    ]
    if gravest:
        ranked = {one.code: one for one in reversed(gravest)}
        codes = dict.fromkeys(one.code for one in gravest)
        candidates = tuple(
            Candidate(code, f"{ranked[code].place or ranked[code].where}: {ranked[code].what}") for code in codes
        )
        first = gravest[0]
        verdict = f"{first.place or first.where}: {first.what}."
        decider = "Each is true by itself: put the first right and examine the files again." if len(codes) > 1 else ""
    elif not examined:
        candidates = (Candidate(Code.UNKNOWN, "there was no file to read"),)
        verdict, decider = CATALOGUE[Code.UNKNOWN].meaning, "Name at least one file that exists."
    elif not held:
        verdict, decider = "There is no certificate, key or list in the files.", "Name those that hold them."
        candidates, examined = (Candidate(Code.UNKNOWN, verdict),), False
    else:
        verdict, decider = "Nothing is wrong with the files.", ""
        candidates = (Candidate(Code.OK, verdict),)
    return Diagnosis(subject, at, verdict, candidates, tuple(proofs), findings, decider, examined=examined)


def _subject(sources: Sequence[Source]) -> str:
    names = [one.name for one in sources[:3]]
    more = f" and {len(sources) - 3} more" if len(sources) > 3 else ""
    return (", ".join(names) or "no files") + more


def _file_proof(file: Loaded) -> Proof:
    contents = file.contents
    counts = (
        (len(contents.certificates), "certificate", "certificates"),
        (len(contents.keys), "private key", "private keys"),
        (len(contents.requests), "request", "requests"),
        (len(contents.crls), "revocation list", "revocation lists"),
    )
    held = ", ".join(f"{number} {one if number == 1 else many}" for number, one, many in counts if number)
    seen = f"{contents.form}: {held}" if held else (file.source.unreadable or "no certificate, key or revocation list")
    return Proof(f"read {file.source.name}", seen)


def _pair_proof(pair: Paired, known: Sequence[x509.Certificate]) -> Proof:
    assert pair.leaf is not None and pair.file is not None
    heap = [pair.leaf, *(one for one in known if one != pair.leaf)]
    path = " < ".join(subject_of(heap[one]) for one in sequence.chain(heap, 0)[:10])
    with_key = "with its private key" if pair.key is not None else "without a private key"
    side = "server" if side_of(pair.leaf) is Side.SERVER else "client"
    try:
        ends = f"{pair.leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    except ValueError:
        ends = "unreadable"
    facts = {"file": pair.file.source.name, "side": side, "ends": ends}
    return Proof("put keys, certificates and issuers together", f"a {side}'s certificate {with_key}: {path}", facts)
