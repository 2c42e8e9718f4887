"""The reader of Envoy's log, on a caller whose chain is too long."""

from __future__ import annotations

import json

from handclasp.dataplane.accesslog import read
from handclasp.findings import Code


def test_a_chain_that_is_too_long() -> None:
    """OpenSSL's words for it, as Envoy writes them, become the code; the caller is not let in."""
    why = "verify_cert_failed:_X509_verify_cert:_certificate_verification_error_at_depth_3:_certificate_chain_too_long"
    fail = f"TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:{why}:TLS_error_end"
    line = {"k": "connection", "at": "2026-11-21T04:48:12.810Z", "from": "192.0.2.7:53470", "flags": "-", "fail": fail}
    record = read(json.dumps(line))
    assert record is not None
    assert (record.code, record.accepted, record.evidence) == (Code.CLIENT_CHAIN_TOO_DEEP, False, fail)
