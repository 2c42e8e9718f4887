"""Alerts in the forms of their receivers: what is said, and that nothing a server says can mean more than itself."""

from __future__ import annotations

import base64
import email
import email.policy
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.findings import CATALOGUE, Code, InvalidSetting
from handclasp.monitor.alerts import alertmanager, mail, message, pagerduty, slack, webhook
from handclasp.monitor.alerts.message import Message
from handclasp.monitor.alerts.receiver import Email
from handclasp.monitor.definition import State
from handclasp.monitor.ports import Standing
from handclasp.monitor.results import CheckResult, Transition
from handclasp.testing.watching import AT, a_certificate, a_monitor, a_result

ORIGIN = "example.org"
TO = Email(("ops@example.org", "two@example.org"), "handclasp@example.org", "mail.example.org")
BEFORE = AT - timedelta(hours=2)


def moved(
    before: State = State.OK, after: State = State.CRITICAL, result: CheckResult | None = None, **rest: Any
) -> Transition:
    """A transition of the monitor m."""
    given_ = {"monitor": "m", "labels": (("team", "payments"),)} | rest
    return Transition("ab12", given_.pop("monitor"), AT, before, after, BEFORE, result or a_result(after), **given_)


def told(before: State = State.OK, after: State = State.CRITICAL, **rest: Any) -> Message:
    """The message of it."""
    return message.of(moved(before, after, **rest), ORIGIN)


def test_a_message_has_what_a_person_asks_for() -> None:
    """What, since when, why it matters, what to do, which certificate, and where there is more."""
    code = Code.NET_CONNECTION_REFUSED
    assert message.facts(told()) == (
        ("Monitor", "m"),
        ("Target", "a.test:443"),
        ("State", "ok -> critical at 2027-03-01T12:00:00Z"),
        ("Before", "ok since 2027-03-01T10:00:00Z"),
        ("Code", "NET_CONNECTION_REFUSED"),
        ("What to do", CATALOGUE[code].remedy),
        ("Certificate", "CN=a.test"),
        ("Ends", "in 60 days, on 2027-04-30T12:00:00Z"),
        ("Issuer", "CN=CA"),
        ("SHA-256", "leaf-CN=a.test-aaaaaaaa-60 days, 0:00:00"),
        ("Labels", "team=payments"),
        ("More", "handclasp monitor show m"),
    )
    assert told().subject == "CRITICAL m: It is so."
    assert told(State.CRITICAL, State.OK).subject == "RESOLVED m: It is so."


HOSTILE = "<!channel> \r\nBcc: x@evil.test\x00\x1b[2J\u202e\ud800 <b>&amp;</b> " + "A" * 10_000


def hostile() -> Message:
    """A transition whose every text is a stranger's."""
    certificate = replace(a_certificate(), subject=HOSTILE, issuer=HOSTILE, names=(HOSTILE,) * 1_000)
    result = a_result(State.CRITICAL, summary=HOSTILE, certificates=(certificate,), facts={"target": HOSTILE})
    labels = tuple((f"label{number}", HOSTILE) for number in range(1_000))
    return message.of(moved(result=result, labels=labels), ORIGIN)


def test_no_form_is_large_or_unprintable_whatever_a_server_says() -> None:
    """Bounded, and in printable ASCII once it is on the wire."""
    forms = (
        webhook.alert(hostile()),
        slack.alert(hostile()),
        pagerduty.event(hostile(), "k"),
        alertmanager.alerts(hostile(), AT),
    )
    for body in forms:
        assert len(body) < 40_000
        assert all(text.isprintable() for text in texts(json.loads(body)))
    assert len(bytes(mail.alert(hostile(), TO, AT))) < 40_000


def texts(value: Any) -> list[str]:
    """All of a JSON value."""
    if isinstance(value, dict):
        return [*value, *(text for inner in value.values() for text in texts(inner))]
    if isinstance(value, list):
        return [text for inner in value for text in texts(inner)]
    return [value] if isinstance(value, str) else []


def test_slack_calls_nobody_whom_a_server_names() -> None:
    """No angle bracket is left, and no markup is read."""
    body = json.loads(slack.alert(hostile()))
    assert not [text for text in texts(body) if "<" in text or ">" in text]
    assert (body["mrkdwn"], body["attachments"][0]["mrkdwn_in"]) == (False, [])
    assert "&lt;!channel&gt;" in body["text"]


def parsed(made: EmailMessage) -> EmailMessage:
    """As it is read at the other end, by way of its octets."""
    read = email.message_from_bytes(made.as_bytes(), policy=email.policy.default)
    assert isinstance(read, EmailMessage)
    return read


@given(st.text(max_size=300))
def test_nothing_gets_into_the_headers_of_a_mail(text: str) -> None:
    """Whatever a summary is: the headers are ours, and the subject is one line."""
    read = parsed(mail.alert(told(result=a_result(State.CRITICAL, summary=text)), TO, AT))
    assert [name.lower() for name in read] == [
        *("from", "to", "subject", "date", "message-id", "auto-submitted", "references"),
        *("content-type", "content-transfer-encoding", "mime-version"),
    ]
    assert read["subject"].strip().startswith("[Handclasp] CRITICAL m")
    assert read["to"] == "ops@example.org, two@example.org"


def test_a_mail_reads_well() -> None:
    """The sentence first, then the facts; the same Message-ID at every try, and a thread for each monitor."""
    read = parsed(mail.alert(told(), TO, AT))
    assert read.get_content().splitlines()[:3] == ["It is so.", "", "Monitor      m"]
    again = parsed(mail.alert(told(), TO, AT + timedelta(hours=1)))
    later = parsed(mail.alert(replace(told(State.CRITICAL, State.OK), id="cd34"), TO, AT))
    assert read["message-id"] == again["message-id"] == "<ab12@example.org>"
    assert later["message-id"] == "<cd34@example.org>"
    assert read["references"] == later["references"]


def test_a_webhook_is_signed_by_the_standard() -> None:
    """The example of the Standard Webhooks specification, and a secret that is used as it is."""
    secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
    id_, at = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", AT
    body = b'{"email":"test@example.com"}'
    headers = webhook.headers(secret.encode(), id_, at, body)
    signed = f"{id_}.{int(at.timestamp())}.".encode() + body
    mac = hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256)
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(mac).decode()}"
    raw = webhook.headers(b"r" * 24, id_, at, body)
    mac = hmac.digest(b"r" * 24, signed, hashlib.sha256)
    assert raw["webhook-signature"] == f"v1,{base64.b64encode(mac).decode()}"


@pytest.mark.parametrize("secret", [b"", b"tiny", b"whsec_%%%", b"whsec_c2hvcnQ="])
def test_a_secret_that_is_none_is_not_used(secret: bytes) -> None:
    """And is not quoted."""
    with pytest.raises(InvalidSetting) as raised:
        webhook.key(secret)
    if secret:
        assert secret.decode() not in str(raised.value)


def test_a_webhook_says_what_happened() -> None:
    """For programs, with the type that tells what the data are."""
    read = json.loads(webhook.alert(told()))
    assert (read["type"], read["timestamp"]) == ("monitor.state_changed", "2027-03-01T12:00:00Z")
    certificate = read["data"].pop("certificate")
    assert (certificate["subject"], certificate["days_left"]) == ("CN=a.test", 60.0)
    assert read["data"] == {
        "id": "ab12",
        "origin": ORIGIN,
        "at": "2027-03-01T12:00:00Z",
        "monitor": "m",
        "target": "a.test:443",
        "before": "ok",
        "after": "critical",
        "since": "2027-03-01T10:00:00Z",
        "code": "NET_CONNECTION_REFUSED",
        "summary": "It is so.",
        "remedy": CATALOGUE[Code.NET_CONNECTION_REFUSED].remedy,
        "labels": {"team": "payments"},
        "command": "handclasp monitor show m",
        "test": False,
    }


def test_pagerduty_has_one_incident_for_a_monitor() -> None:
    """Warning and critical change it, ok resolves it; another monitor, or another installation, has its own."""
    steps = [(State.OK, State.WARNING), (State.WARNING, State.CRITICAL), (State.CRITICAL, State.OK)]
    events = [json.loads(pagerduty.event(told(*step), "KEY")) for step in steps]
    assert [(one["event_action"], one.get("payload", {}).get("severity")) for one in events] == [
        ("trigger", "warning"),
        ("trigger", "critical"),
        ("resolve", None),
    ]
    assert {one["dedup_key"] for one in events} == {"handclasp/example.org/m"}
    assert {one["routing_key"] for one in events} == {"KEY"}
    long = pagerduty.dedup_key("o" * 200, "m" * 80)
    assert len(long) <= 255
    assert long != pagerduty.dedup_key("o" * 200, "n" * 80)


def fired(body: bytes) -> list[tuple[str, str | None, str]]:
    """Severity, start and end of each alert."""
    return [(one["labels"]["severity"], one.get("startsAt"), one["endsAt"]) for one in json.loads(body)]


def test_alertmanager_is_told_what_begins_and_what_ends() -> None:
    """The severity is a label: what was a warning and is critical is an end and a beginning."""
    now, lapse = "2027-03-01T12:00:00Z", "2027-03-01T12:15:00Z"
    assert fired(alertmanager.alerts(told(State.OK, State.WARNING), AT)) == [("warning", now, lapse)]
    assert fired(alertmanager.alerts(told(State.WARNING, State.CRITICAL), AT)) == [
        ("warning", None, now),
        ("critical", now, lapse),
    ]
    assert fired(alertmanager.alerts(told(State.CRITICAL, State.OK), AT)) == [
        ("warning", None, now),
        ("critical", None, now),
    ]
    (one,) = json.loads(alertmanager.alerts(told(), AT))
    assert one["labels"] == {
        "alertname": "HandclaspMonitor",
        "monitor": "m",
        "instance": "a.test:443",
        "severity": "critical",
        "team": "payments",
    }


def test_a_monitors_labels_cannot_take_the_place_of_ours() -> None:
    """Nor be a way to silence another monitor's alert."""
    labels = (("alertname", "Other"), ("monitor", "other"), ("severity", "info"), ("instance", "x"))
    (one,) = json.loads(alertmanager.alerts(told(labels=labels), AT))
    assert one["labels"] == {
        "alertname": "HandclaspMonitor",
        "monitor": "m",
        "instance": "a.test:443",
        "severity": "critical",
    }


def standing(name: str, state: State, since: timedelta, *, paused: bool = False) -> Standing:
    """One that is so since then."""
    result = replace(a_result(state), monitor=name)
    return Standing(a_monitor(name, paused=paused, labels=(("team", "payments"),)), state, AT - since, result, AT)


def test_what_is_firing_is_said_again_until_it_is_well() -> None:
    """With the labels of the first time. What became well lately is over; what is paused, or was well for long, is
    nothing to Alertmanager."""
    hour, minute = timedelta(hours=1), timedelta(minutes=1)
    standings = [
        standing("m", State.CRITICAL, hour),
        standing("lately", State.OK, minute),
        standing("well", State.OK, hour),
        standing("paused", State.CRITICAL, hour, paused=True),
        Standing(a_monitor("new"), State.PENDING, None, None, AT),
    ]
    (body,) = alertmanager.repetition(standings, AT)
    assert [(one["labels"]["monitor"], one["labels"]["severity"], one["endsAt"]) for one in json.loads(body)] == [
        ("m", "critical", "2027-03-01T12:15:00Z"),
        ("lately", "warning", "2027-03-01T11:59:00Z"),
        ("lately", "critical", "2027-03-01T11:59:00Z"),
    ]
    (first,) = json.loads(alertmanager.alerts(told(), AT))
    assert json.loads(body)[0]["labels"] == first["labels"]
