"""What the gateway itself answers and logs, as it is told to Envoy."""

from __future__ import annotations

import pytest

from handclasp.dataplane.accesslog import CONNECTION_FORMAT, REQUEST_FORMAT
from handclasp.dataplane.replies import REPLIES, local_replies
from handclasp.findings import Code


def test_every_reply_is_a_problem() -> None:
    """Each has type, title, status and detail (RFC 9457), its code, and the caller's own identity; in their order."""
    mappers = local_replies()["mappers"]
    assert [m["body_format_override"]["json_format"]["code"] for m in mappers] == [str(r.code) for r in REPLIES]
    for form in [m["body_format_override"] for m in mappers] + [local_replies()["body_format"]]:
        assert form["content_type"] == "application/problem+json"
        assert {"type", "title", "status", "detail", "code", "identity", "request_id"} <= set(form["json_format"])


def test_a_title_is_text() -> None:
    """RFC 9457 §3.1.3: a title is a string. A lone operator of a number would be written as a number."""
    forms = [m["body_format_override"] for m in local_replies()["mappers"]] + [local_replies()["body_format"]]
    assert [f["json_format"]["title"] for f in forms if f["json_format"]["title"] == "%RESPONSE_CODE%"] == []


def test_only_a_refusal_by_rules_may_show_rules() -> None:
    """`rules` and `decided_by` are in that one reply."""
    mappers = [m["body_format_override"]["json_format"] for m in local_replies()["mappers"]]
    assert {f["code"] for f in mappers if {"rules", "decided_by"} & set(f)} == {str(Code.POLICY_NO_RULE_ALLOWS)}


@pytest.mark.parametrize("form", [CONNECTION_FORMAT, REQUEST_FORMAT], ids=["connection", "request"])
def test_no_query_is_logged(form: dict[str, str]) -> None:
    """Queries carry secrets: paths are logged without them, and no Referer or Cookie."""
    assert not [value for value in form.values() if value.startswith(("%REQ(:PATH", "%REQ(X-ENVOY-ORIG", "%PATH(WQ"))]
    assert not [value for value in form.values() if "REFERER" in value or "COOKIE" in value or "AUTHORIZATION" in value]
