"""handclasp.yaml: who is told, and where the secrets for it are."""

from __future__ import annotations

from datetime import UTC, datetime, time

import pytest

from handclasp.app.settings import parse
from handclasp.monitor.alerts.receiver import (
    Alertmanager,
    Email,
    Login,
    PagerDuty,
    Receiver,
    Slack,
    Times,
    Webhook,
)
from handclasp.monitor.definition import Trust
from handclasp.testing.settings_files import a_file, a_service, problems

MAIL = "email: a@b.test, smtp: 'mail.b.test:587', from: c@b.test"


def test_without_alerts_nobody_is_told() -> None:
    """The default."""
    assert parse(a_file(a_service()), "handclasp.yaml").alerts == ()


def test_everything_said_is_read() -> None:
    """Each way to be told, with the places of its secrets."""
    text = a_file(
        a_service(),
        rest="""\
alerts:
  oncall: {pagerduty: env:PAGERDUTY_KEY}
  europe: {pagerduty: env:PAGERDUTY_KEY, url: https://events.eu.pagerduty.com/v2/enqueue}
  chat: {slack: env:SLACK_WEBHOOK, trust: own}
  ops: {email: [ops@example.org, two@example.org], smtp: 'Mail.example.org:587', from: handclasp@example.org,
        user: me, password: env:SMTP_PASSWORD}
  weekly: {email: ops@example.org, smtp: 'mail.example.org:465', from: handclasp@example.org, digest: mon-fri 08:00}
  local: {email: ops@example.org, smtp: '[::1]:25', from: handclasp@example.org, tls: none}
  hook: {webhook: 'http://hooks.internal:8080/x?y=1', secret: file:/run/secrets/hook}
  hidden: {webhook: 'env:HOOK', secret: keyring:hook, trust: ca.pem}
  am: {alertmanager: http://alertmanager:9093}
  am2: {alertmanager: https://alertmanager/x/, user: u, password: env:PASSWORD}
""",
    )
    sender = "handclasp@example.org"
    assert parse(text, "conf/handclasp.yaml").alerts == (
        Receiver("oncall", PagerDuty("env:PAGERDUTY_KEY")),
        Receiver("europe", PagerDuty("env:PAGERDUTY_KEY", "https://events.eu.pagerduty.com/v2/enqueue")),
        Receiver("chat", Slack("env:SLACK_WEBHOOK"), Trust.OWN),
        Receiver(
            "ops",
            Email(
                ("ops@example.org", "two@example.org"),
                sender,
                "mail.example.org",
                587,
                "starttls",
                Login("me", "env:SMTP_PASSWORD"),
            ),
        ),
        Receiver(
            "weekly",
            Email(("ops@example.org",), sender, "mail.example.org", 465, "implicit"),
            digest=Times(frozenset(range(5)), time(8)),
        ),
        Receiver("local", Email(("ops@example.org",), sender, "::1", 25, "none")),
        Receiver("hook", Webhook("http://hooks.internal:8080/x?y=1", "file:/run/secrets/hook")),
        Receiver("hidden", Webhook("env:HOOK", "keyring:hook"), Trust.FILE, "conf/ca.pem"),
        Receiver("am", Alertmanager("http://alertmanager:9093")),
        Receiver("am2", Alertmanager("https://alertmanager/x/", Login("u", "env:PASSWORD"))),
    )


@pytest.mark.parametrize(
    ("said", "path", "why"),
    [
        ("trust: own", "", "it does not say how anybody is told"),
        ("slack: env:A, pagerduty: env:B", ".pagerduty", "slack and pagerduty exclude each other"),
        ("slack: env:A, smtp: 'a:1'", ".smtp", "this does not belong to slack"),
        ("pagerduty: env:A, digest: mon 08:00", ".digest", "this does not belong to pagerduty"),
        ("pagerduty: env:A, url: http://a/", ".url", "the routing key is a secret, and this is not https://"),
        ("webhook: https://a/", ".secret", "secret is missing"),
        ("webhook: https://a/, secret: env:A, from: a@b", ".from", "this does not belong to webhook"),
        ("alertmanager: http://a:9093, user: u, password: env:A", ".password", "it would be sent in the clear"),
        ("alertmanager: http://a:9093?x=1", ".alertmanager", "this is not the address of a first page"),
        ("email: a@b.test, from: a@b.test", ".smtp", "smtp is missing"),
        ("email: a@b.test, smtp: 'a:25'", ".from", "from is missing"),
        (f"{MAIL}, user: u", ".user", "user needs password beside it"),
        (f"{MAIL}, password: env:A", ".password", "password needs user beside it"),
        (f"{MAIL}, tls: none", ".tls", "mail to another machine is not sent in the clear"),
        (f"{MAIL}, digest: monday", ".digest", "'monday' is no time for a digest"),
        (
            f"{MAIL}, digest: mon-wed-fri 08:00",
            ".digest",
            "'mon-wed-fri 08:00' is no time for a digest",
        ),
        (f"{MAIL}, trust: x", ".trust", "'x' is no trust"),
        ("email: 'a b@c', smtp: 'a:1', from: a@b", ".email", "'a b@c' is no address for mail"),
        (
            'email: "a@b.test\\nBcc: x@y", smtp: "a:1", from: a@b',
            ".email",
            "'a@b.test\\nBcc: x@y' is no address for mail",
        ),
        ("email: a@b, smtp: 'a:99999', from: a@b", ".smtp", "'a:99999' is no mail server"),
        ("webhook: 'https://u:p@a/', secret: env:A", ".webhook", "this is no address that can be posted to"),
        ("webhook: 'https://a:99999/', secret: env:A", ".webhook", "its port is none"),
        ("slack: prompt", ".slack", "nobody sits there to be asked"),
    ],
)
def test_what_does_not_go_together(said: str, path: str, why: str) -> None:
    """Is a problem of the setting that is wrong."""
    (problem,) = problems(a_file(a_service(), rest=f"alerts:\n  a: {{{said}}}\n"))
    assert (problem[2].removesuffix("[0]"), problem[3]) == (f"alerts.a{path}", why)


@pytest.mark.parametrize("setting", ["slack", "pagerduty", "webhook: https://a/, secret", f"{MAIL}, user: u, password"])
def test_a_secret_in_the_file_is_refused_and_not_said_again(setting: str) -> None:
    """Somebody wrote it there by mistake, and reads the problem aloud."""
    (problem,) = problems(a_file(a_service(), rest=f"alerts:\n  a: {{{setting}: 'https://hooks.test/s3cret'}}\n"))
    assert "s3cret" not in str(problem)


def test_monitors_name_alerts_that_there_are() -> None:
    """With a path, and what was meant; a digest is told of no change."""
    rest = f"""\
monitors:
  m: {{target: a.test, alerts: [oncal, weekly]}}
  n: {{target: a.test, alerts: oncall}}
alerts:
  oncall: {{pagerduty: env:A}}
  weekly: {{{MAIL}, digest: daily 06:00}}
"""
    assert [problem[2:] for problem in problems(a_file(a_service(), rest=rest))] == [
        ("monitors.m.alerts", "there is no oncal below alerts: (did you mean oncall?)", "names of alerts: oncall"),
        ("monitors.m.alerts", "weekly gets a digest, and no alerts", "names of alerts: oncall"),
    ]
    alone = problems(a_file(a_service(), rest="monitors:\n  m: {target: a.test, alerts: x}\n"))
    assert alone[0][4] == "no names: there is nobody below alerts:"


def test_when_a_digest_was_last_due() -> None:
    """The day and the time, in UTC, whichever the day of the week."""
    mondays = Times(frozenset({0}), time(8))
    assert mondays.latest(datetime(2027, 3, 1, 8, tzinfo=UTC)) == datetime(2027, 3, 1, 8, tzinfo=UTC)
    assert mondays.latest(datetime(2027, 3, 1, 7, 59, tzinfo=UTC)) == datetime(2027, 2, 22, 8, tzinfo=UTC)
    assert mondays.latest(datetime(2027, 3, 7, 23, tzinfo=UTC)) == datetime(2027, 3, 1, 8, tzinfo=UTC)
    daily = Times(frozenset(range(7)), time(0))
    assert daily.latest(datetime(2027, 3, 1, 0, tzinfo=UTC)) == datetime(2027, 3, 1, tzinfo=UTC)
