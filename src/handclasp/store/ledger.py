"""The authority's ledger in SQL, on SQLite and PostgreSQL: one class, its methods by topic in the modules beside."""

from __future__ import annotations

from handclasp.store.ledger_audit import AuditLog
from handclasp.store.ledger_authorities import Authorities
from handclasp.store.ledger_certificates import Certificates
from handclasp.store.ledger_requests import Requests
from handclasp.store.ledger_revocations import Revocations
from handclasp.store.ledger_search import Searching


class SqlLedger(Certificates, Searching, Revocations, Authorities, Requests, AuditLog):
    """A Ledger in a database. Each writing method is one transaction with its audit event.

    ``writer`` names this program's chain of audit events (D22): where several processes share a database, each has
    a name of its own.
    """
