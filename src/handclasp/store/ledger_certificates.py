"""Certificates: from intent to issue, and by name."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from handclasp.authority.ports import KeyBarred, NotIntended, RequestRepeated, SerialInUse
from handclasp.authority.records import EXTERNAL, CertificateRecord, CertificateState, Event
from handclasp.pki.profile import OCSP_SIGNER
from handclasp.store.ledger_part import LedgerPart
from handclasp.store.rows import Statement, add_certificate, microseconds, serial_text
from handclasp.store.schema import is_serial

_HARMLESS = ("superseded", "affiliationChanged", "cessationOfOperation")
"""Reasons for revocation that say nothing against the key."""

# A key that nobody may have certified; the literals are constants so that the index is used as it is.
_barred = Statement(
    "SELECT 'authority' FROM authorities WHERE spki_sha256 = ? UNION ALL "  # noqa: S608 - constants
    "SELECT 'revoked' FROM certificates WHERE spki_sha256 = ? AND state = 'revoked' "
    f"AND reason NOT IN {_HARMLESS!r} UNION ALL SELECT 'held' FROM certificates WHERE spki_sha256 = ? "
    "AND state = 'held' UNION ALL SELECT state FROM authorities WHERE key_id = ? "
    "AND state IN ('retiring', 'retired') LIMIT 1"
)
_requested = Statement("SELECT 1 FROM certificates WHERE request_id = ?")
_tally = Statement("SELECT state, not_after <= ?, count(*) FROM certificates WHERE profile = ? GROUP BY 1, 2")
_issue = Statement(
    "UPDATE certificates SET state = 'issued', not_before = ?, issued_at = ?, fingerprint = ?, tbs = ?, der = ? "
    "WHERE serial = ? AND issuer_key_id = ? AND state = 'intended'"
)


class Certificates(LedgerPart):
    """The first part of Ledger."""

    async def record_intent(self, record: CertificateRecord, event: Event) -> None:
        """As Ledger says."""
        if record.state is not CertificateState.INTENDED:
            raise ValueError(f"a certificate is first intended, not {record.state}")

        def work(connection: sa.Connection) -> None:
            if not record.is_authority:
                spki = record.spki_sha256
                why = [str(row[0]) for row in _barred.rows(connection, (spki, spki, spki, record.issuer_key_id))]
                # A retiring authority answers for what it has issued, by OCSP too.
                if why and not (why[0] == "retiring" and record.profile == OCSP_SIGNER.name):
                    raise KeyBarred(why[0])
            if not add_certificate(connection, record):
                if record.request_id is not None and _requested.rows(connection, (record.request_id,)):
                    raise RequestRepeated(f"there is a certificate for the request {record.request_id}")
                raise SerialInUse(f"the issuer {record.issuer_key_id or '(self)'} has a certificate {record.serial:x}")
            self._append(connection, event)

        await self._database.write(work)

    async def record_issued(self, record: CertificateRecord, event: Event) -> None:
        """As Ledger says."""
        if record.state is not CertificateState.ISSUED:
            raise ValueError(f"a certificate that was issued is not {record.state}")
        values = (
            microseconds(record.not_before),
            microseconds(record.issued_at),
            record.fingerprint or None,
            record.tbs,
            record.der,
            serial_text(record.serial),
            record.issuer_key_id,
        )

        def work(connection: sa.Connection) -> None:
            if _issue.count(connection, values) != 1:
                raise NotIntended(f"no certificate {record.serial:x} is waiting to be issued")
            self._append(connection, event)

        await self._database.write(work)

    async def record_external(self, record: CertificateRecord, event: Event) -> bool:
        """As Ledger says."""
        if record.profile != EXTERNAL:
            raise ValueError(f"a certificate of the profile {record.profile} was issued here")

        def work(connection: sa.Connection) -> bool:
            if not add_certificate(connection, record):
                return False
            self._append(connection, event)
            return True

        return await self._database.write(work)

    async def certificate(self, issuer_key_id: str, serial: int) -> CertificateRecord | None:
        """As Ledger says."""
        if not is_serial(serial):
            return None
        found = await self._select("serial = ? AND issuer_key_id = ?", (serial_text(serial), issuer_key_id))
        return found[0] if found else None

    async def certificate_for(self, request_id: str) -> CertificateRecord | None:
        """As Ledger says."""
        found = await self._select("request_id = ?", (request_id,))
        return found[0] if found else None

    async def tally(self, profile: str, now: datetime) -> dict[tuple[CertificateState, bool], int]:
        """As Ledger says."""

        def work(connection: sa.Connection) -> dict[tuple[CertificateState, bool], int]:
            rows = _tally.rows(connection, (microseconds(now), profile))
            return {(CertificateState(state), bool(expired)): int(count) for state, expired, count in rows}

        return await self._database.read(work)

    async def certificates(
        self, *, identity: str | None = None, profile: str | None = None, state: CertificateState | None = None
    ) -> tuple[CertificateRecord, ...]:
        """As Ledger says."""
        wanted = {"identity": identity, "profile": profile, "state": None if state is None else state.value}
        given = {column: value for column, value in wanted.items() if value is not None}
        where = " AND ".join(f"{column} = ?" for column in given) or "1 = 1"
        return await self._select(where, tuple(given.values()))
