"""What every Ledger must do, as a suite: subclass it in a test module and say how to open one.

    class TestSqlLedger(LedgerContract):
        def open(self, directory): ...

The same suite runs on every database, so that no caller needs to know which one it has.
"""

from __future__ import annotations

from handclasp.testing.ledger_contract_audit import AuditContract
from handclasp.testing.ledger_contract_authorities import AuthorityContract
from handclasp.testing.ledger_contract_certificates import CertificateContract
from handclasp.testing.ledger_contract_requests import RequestContract
from handclasp.testing.ledger_contract_revocations import RevocationContract
from handclasp.testing.ledger_contract_search import SearchContract


class LedgerContract(
    CertificateContract, SearchContract, RevocationContract, AuthorityContract, RequestContract, AuditContract
):
    """The whole suite."""
