"""From findings and certificates to a state, a code and a sentence."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from handclasp.findings import Code, Finding
from handclasp.monitor.definition import Kind, Monitor, State
from handclasp.monitor.judge import days_left, first_to_end, judge, may_pass, thresholds
from handclasp.monitor.results import CheckResult, WatchedCertificate
from handclasp.testing.watching import AT, a_certificate, a_monitor, a_result, seen

DAY = timedelta(days=1)
LONG = timedelta(days=300)


def judged(
    *certificates: WatchedCertificate, findings: tuple[Finding, ...] = (), monitor: Monitor | None = None, **rest: Any
) -> CheckResult:
    result = a_result(State.PENDING, certificates=certificates, findings=findings, **rest)
    return judge(monitor or a_monitor(), result)


@pytest.mark.parametrize(
    ("left", "state", "code", "summary"),
    [
        (60 * DAY, State.OK, Code.OK, "Everything is as expected; the certificate of CN=a.test ends in 60 days."),
        (21 * DAY + timedelta(seconds=1), State.OK, Code.OK, None),
        (
            21 * DAY,
            State.WARNING,
            Code.SERVER_CERT_EXPIRES_SOON,
            "The certificate of CN=a.test ends in 21 days, on 2027-03-22 12:00 UTC.",
        ),
        (7 * DAY, State.CRITICAL, Code.SERVER_CERT_EXPIRES_SOON, None),
        (
            -2 * DAY,
            State.CRITICAL,
            Code.SERVER_CERT_EXPIRED,
            "The certificate of CN=a.test ended 2 days ago, on 2027-02-27 12:00 UTC.",
        ),
        (timedelta(), State.CRITICAL, Code.SERVER_CERT_EXPIRED, None),
    ],
)
def test_the_end_of_a_certificate(left: timedelta, state: State, code: Code, summary: str | None) -> None:
    """By the monitor's thresholds; the sentence says which, when, and how long that is."""
    result = judged(a_certificate(left, lived=LONG))
    assert (result.state, result.code) == (state, code)
    assert summary is None or result.summary == summary


@pytest.mark.parametrize(
    ("role", "what"),
    [
        ("intermediate", "the intermediate certificate CN=x ends in 5 days, on 2027-03-06 12:00 UTC"),
        ("credential", "our own client certificate CN=x ends in 5 days, on 2027-03-06 12:00 UTC"),
        ("file", "the certificate CN=x in tls.pem ends in 5 days, on 2027-03-06 12:00 UTC"),
        ("authority", "the authority CN=x ends in 5 days, on 2027-03-06 12:00 UTC"),
        ("issued", "the certificate CN=x (tls.pem) ends in 5 days, on 2027-03-06 12:00 UTC"),
        ("root", None),
        ("extra", None),
    ],
)
def test_which_certificates_count(role: str, what: str | None) -> None:
    """All but a served root, and what is beside the path: nobody needs those."""
    result = judged(a_certificate(5 * DAY, role=role, subject="CN=x", place="tls.pem", lived=LONG))
    assert [one.what for one in result.findings] == ([what] if what else [])


def test_the_first_to_end_is_told_first() -> None:
    """And the others are counted."""
    leaf = a_certificate(3 * DAY, lived=LONG)
    above = a_certificate(2 * DAY, role="intermediate", subject="CN=CA", lived=LONG)
    result = judged(leaf, above)
    assert result.summary == "The intermediate certificate CN=CA ends in 2 days, on 2027-03-03 12:00 UTC (1 more)."
    assert first_to_end((leaf, above)) == above


def test_our_own_expired_certificate_has_a_code_of_its_own() -> None:
    """It is not the server's fault."""
    assert judged(a_certificate(-DAY, role="credential", lived=LONG)).code is Code.CREDENTIAL_EXPIRED


@pytest.mark.parametrize(
    ("life", "warning", "critical"),
    [
        (90 * DAY, 21 * DAY, 7 * DAY),
        (47 * DAY, 21 * DAY, 7 * DAY),
        (20 * DAY, 5 * DAY, 5 * DAY),
        (7 * DAY, 1.75 * DAY, 0.7 * DAY),
        (timedelta(hours=1), timedelta(minutes=15), timedelta(minutes=6)),
    ],
)
def test_short_lives_have_thresholds_of_their_own(life: timedelta, warning: timedelta, critical: timedelta) -> None:
    """Where the monitor's would hold for half of the life and more: a quarter of it, and a tenth."""
    certificate = a_certificate(DAY, lived=life - DAY)
    assert thresholds(a_monitor(), certificate) == (warning, critical)


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (Code.NET_CONNECTION_REFUSED, State.CRITICAL),
        (Code.MTLS_NOT_ENFORCED, State.CRITICAL),
        (Code.UNKNOWN, State.CRITICAL),
        (Code.CHECK_LATENCY, State.WARNING),
        (Code.SERVER_STAPLE_EXPIRED, State.WARNING),
    ],
)
def test_findings_have_a_state(code: Code, state: State) -> None:
    """What does not work is critical; a few things are a warning."""
    result = judged(a_certificate(lived=LONG), findings=(Finding(code, "a", "it is so"),))
    assert (result.state, result.code, result.summary) == (state, code, "It is so.")


def test_the_worst_comes_first() -> None:
    """Whatever the order in which they were found."""
    mild, bad = Finding(Code.CHECK_LATENCY, "a", "slow"), Finding(Code.PIN_MISMATCH, "a", "another key")
    result = judged(a_certificate(20 * DAY, lived=LONG), findings=(mild, bad))
    assert [one.code for one in result.findings] == [
        Code.PIN_MISMATCH,
        Code.SERVER_CERT_EXPIRES_SOON,
        Code.CHECK_LATENCY,
    ]


def test_expiry_is_told_once() -> None:
    """The verifier sees it too, and knows less."""
    said = Finding(Code.SERVER_CERT_EXPIRED, "chain[0]", "it has expired")
    result = judged(a_certificate(-DAY, lived=LONG), findings=(said,))
    assert [one.what for one in result.findings] == [
        "the certificate of CN=a.test ended 24 hours ago, on 2027-02-28 12:00 UTC"
    ]


def test_what_is_remembered_comes_after_what_is_seen() -> None:
    """An endpoint that is down: that comes first, and the certificate that has ended meanwhile second."""
    down = Finding(Code.NET_CONNECTION_REFUSED, "a", "nothing listens there")
    result = judged(a_certificate(-DAY, lived=LONG), findings=(down,), seen_at=AT - DAY)
    assert [one.code for one in result.findings] == [Code.NET_CONNECTION_REFUSED, Code.SERVER_CERT_EXPIRED]


@pytest.mark.parametrize(
    ("left", "text"),
    [
        (timedelta(days=2), "in 2 days"),
        (timedelta(hours=47), "in 47 hours"),
        (timedelta(minutes=119), "in 119 minutes"),
        (timedelta(minutes=1), "in 1 minute"),
        (timedelta(), "0 minutes ago"),
        (timedelta(days=-400), "400 days ago"),
    ],
)
def test_times_are_told_in_words(left: timedelta, text: str) -> None:
    """In the largest unit that there are two of."""
    assert days_left(a_certificate(left), AT) == text


def test_good_ones_have_a_sentence_too() -> None:
    """For a stranger who was refused, and for what has no certificates."""
    refused = a_monitor(kind=Kind.REFUSED)
    assert judged(*seen().certificates, monitor=refused).summary == "A caller without a certificate is refused."
    assert judged().summary == "Everything is as expected; there is no certificate that could end."


def test_time_alone_is_not_tried_again() -> None:
    """A certificate that ends soon does so a moment later too; a connection may come about."""
    ending = judged(a_certificate(DAY, lived=LONG))
    down = judged(a_certificate(DAY, lived=LONG), findings=(Finding(Code.NET_CONNECT_TIMEOUT, "a", "no answer"),))
    assert (may_pass(ending), may_pass(down)) == (False, True)
