"""The certificates that TLS 1.2 shows in clear, judged: each distinct chain once, and a bounded number of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509

from handclasp.doctor.diagnosis import Ailment
from handclasp.doctor.rules.client_chain import client_ailments, issuer_of, server_ailments, signed, subject_of, top_of
from handclasp.pki.chain_names import shown
from handclasp.pki.containers import UNREADABLE
from handclasp.probe import distinguished

_MOST: Final = 8
"""Certificates of a chain that are looked at; some servers send their whole trust store."""
_CHAINS: Final = 24
"""Distinct chains of a capture that are judged: a stranger's keys may be made to take long."""
_NAMES: Final = 8
"""Authorities that are written out."""


@dataclass(frozen=True, slots=True)
class Chain:
    """``certificates`` leaf first, as far as they could be read. ``ailments`` say what is wrong with them.

    ``self_signed``: it is a leaf that is its own issuer. ``ends_open``: it ends below a certificate that is not there,
    the root or an intermediate that was left out; ``top`` is that end. ``intermediates`` are counted without roots.
    """

    certificates: tuple[x509.Certificate, ...] = ()
    ailments: tuple[Ailment, ...] = ()
    self_signed: bool = False
    ends_open: bool = False
    top: x509.Certificate | None = None
    intermediates: int = 0

    @property
    def leaf(self) -> str:
        """Whose it is, and from whom."""
        if not self.certificates:
            return "not read"
        leaf = self.certificates[0]
        return shown(f"{subject_of(leaf)}, issued by {issuer_of(leaf)}")

    def named(self, authorities: Sequence[bytes]) -> bool | None:
        """Whether an issuer of the chain is among these names (DER); None where there are none."""
        if not authorities:
            return None
        names = set(authorities)
        for one in self.certificates:
            try:
                if one.issuer.public_bytes() in names or one.subject.public_bytes() in names:
                    return True
            except UNREADABLE:
                continue
        return False


class Judge:
    """Judges chains at ``at``, and remembers what it found."""

    def __init__(self, at: datetime) -> None:
        self.at = at
        self._known: dict[tuple[object, ...], Chain] = {}

    def client(self, ders: Sequence[bytes]) -> Chain:
        """A client's chain, for what it says itself: nobody knows whom the server trusts. Never raises."""
        return self._judged(("client",), ders)

    def server(self, ders: Sequence[bytes], name: str | None) -> Chain:
        """A server's chain, as if its highest certificate were trusted; ``name`` is what the client asked for. Never
        raises."""
        return self._judged(("server", name), ders)

    def _judged(self, what: tuple[str | None, ...], ders: Sequence[bytes]) -> Chain:
        key = (*what, *ders[:_MOST])
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _CHAINS:
                return Chain()
            found = self._known[key] = self._read(what, ders)
        return found

    def _read(self, what: tuple[str | None, ...], ders: Sequence[bytes]) -> Chain:
        certificates = tuple(one for der in ders[:_MOST] if (one := _certificate(der)) is not None)
        if not certificates:
            return Chain()
        top = top_of(certificates)
        own = _own_issuer(top)
        return Chain(
            certificates,
            self._ailments(what, certificates),
            self_signed=own and len(certificates) == 1,
            ends_open=not own,
            top=top,
            intermediates=sum(one.subject != one.issuer for one in certificates[1:]),
        )

    def _ailments(self, what: tuple[str | None, ...], sent: tuple[x509.Certificate, ...]) -> tuple[Ailment, ...]:
        try:
            if what[0] == "client":
                return client_ailments(sent, (), (), (), self.at)
            return server_ailments(sent, [top_of(sent)], (), self.at, what[1])
        except Exception:  # strange keys make the library raise many things; a capture is examined all the same
            return ()


def authorities(names: Sequence[bytes]) -> str:
    """The authorities of a CertificateRequest, in words."""
    if not names:
        return "of no authority in particular"
    listed = "; ".join(shown(distinguished.text(one)) for one in names[:_NAMES])
    more = f"; and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return f"of {listed}{more}"


def _certificate(der: bytes) -> x509.Certificate | None:
    try:
        certificate = x509.load_der_x509_certificate(der)
        _ = certificate.subject, certificate.issuer, certificate.not_valid_after_utc  # they are read at first use
    except UNREADABLE:
        return None
    return certificate


def _own_issuer(one: x509.Certificate) -> bool:
    return one.subject == one.issuer and signed(one, one)
