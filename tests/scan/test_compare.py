"""What differs between two scans."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from handclasp.scan.compare import Change, Compared, Comparison, Difference, differences
from handclasp.scan.results import Row

ROW = Row("a:443", "OK", "required", "TLS 1.3", "f1", "CN=One", "2026-07-01T00:00:00Z", "s1")
OLD_LEAF = {"fingerprint": "f1", "issuer": "CN=One", "not_after": "2026-07-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"client_certificate": "optional"}, [(Change.CLIENT_CERTIFICATE, True)]),
        ({"client_certificate": "required_at_http"}, [(Change.CLIENT_CERTIFICATE, True)]),
        ({"client_certificate": "undetermined"}, [(Change.CLIENT_CERTIFICATE, None)]),
        ({"code": "SERVER_CERT_EXPIRED"}, [(Change.CODE, True)]),
        ({"tls_version": "TLS 1.2"}, [(Change.TLS_VERSION, True)]),
        ({"fingerprint": "f2", "not_after": "2027"}, [(Change.CERTIFICATE, None)]),
        ({"fingerprint": "f2", "issuer": "CN=Two"}, [(Change.ISSUER, None)]),
        (
            {
                "code": "NET_CONNECTION_REFUSED",
                "client_certificate": "undetermined",
                "tls_version": None,
                "fingerprint": None,
            },
            [(Change.CODE, True)],
        ),
    ],
)
def test_one_target(changes: dict[str, Any], found: list[tuple[Change, bool | None]]) -> None:
    """Each change by itself; a server that was not seen has its code changed and nothing else."""
    assert [(one.change, one.worse) for one in differences(ROW, replace(ROW, **changes))] == found


def test_what_people_must_see_comes_first() -> None:
    """A server that no longer demands a certificate, before everything else; renewals and what got better, last."""
    names = ("weaker", "expired", "older", "moved", "stricter", "vanished", "renewed", "well", "same")
    old = {name: replace(ROW, target=name) for name in names}
    old["stricter"] = replace(old["stricter"], client_certificate="optional")
    old["well"] = replace(old["well"], code="SERVER_CERT_EXPIRED")
    new = {**old, "appeared": replace(ROW, target="appeared")}
    del new["vanished"]
    new["weaker"] = replace(old["weaker"], client_certificate="optional")
    new["expired"] = replace(old["expired"], code="SERVER_CERT_EXPIRED")
    new["older"] = replace(old["older"], tls_version="TLS 1.2")
    new["moved"] = replace(old["moved"], fingerprint="f2", issuer="CN=Two")
    new["stricter"] = replace(old["stricter"], client_certificate="required")
    new["renewed"] = replace(old["renewed"], fingerprint="f3")
    new["well"] = replace(old["well"], code="OK")
    compared = Compared(reversed(old.values()), new.values())
    assert [one.target for one in compared] == [
        *("weaker", "expired", "older", "moved", "stricter", "vanished", "appeared", "renewed", "well"),
    ]
    assert compared.summary == Comparison(9, 9, True)
    compared.close()


def test_a_difference_in_json_and_in_words() -> None:
    """Old and new stand beside each other."""
    (one,) = differences(ROW, replace(ROW, fingerprint="f2", issuer="CN=T\x1bwo", not_after="2027-01-01T00:00:00Z"))
    assert one.as_json() == {
        "target": "a:443",
        "change": "issuer",
        "worse": None,
        "old": OLD_LEAF,
        "new": {"fingerprint": "f2", "issuer": "CN=T\x1bwo", "not_after": "2027-01-01T00:00:00Z"},
    }
    assert one.line() == (
        "       a:443: issuer CN=One to 2026-07-01T00:00:00Z (f1) -> CN=T\\u{1b}wo to 2027-01-01T00:00:00Z (f2)"
    )
    assert Difference("b:443", Change.CLIENT_CERTIFICATE, True, "required", "optional").line() == (
        "worse  b:443: client certificate required -> optional"
    )


def test_other_options_are_told_and_the_last_of_two_rows_counts() -> None:
    """Results that were made in another manner; a target that stands twice in one file."""
    compared = Compared([replace(ROW, code="UNKNOWN"), ROW], [replace(ROW, scan="s2")])
    assert (list(compared), compared.summary.same_manner) == ([], False)
    compared.close()
