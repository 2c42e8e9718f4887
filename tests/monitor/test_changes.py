"""What is not as it was."""

from __future__ import annotations

from datetime import timedelta

from handclasp.findings import Code
from handclasp.monitor.changes import changes
from handclasp.monitor.definition import State
from handclasp.monitor.results import Change, CheckResult
from handclasp.testing.watching import AT, a_certificate, a_result

LATER = AT + timedelta(minutes=5)


def told(before: CheckResult, after: CheckResult) -> dict[str, tuple[str | None, str | None]]:
    return {one.what: (one.before, one.after) for one in changes(before, after)}


def test_nothing_changes_at_first_or_if_all_is_alike() -> None:
    """Time and latency are no changes."""
    assert changes(None, a_result()) == ()
    assert changes(a_result(seconds=0.1), a_result(at=LATER, seconds=0.2)) == ()


def test_state_and_code() -> None:
    """Both, as they are written."""
    assert changes(a_result(), a_result(State.CRITICAL, LATER)) == (
        Change("m", LATER, "state", "ok", "critical"),
        Change("m", LATER, "code", Code.OK, Code.NET_CONNECTION_REFUSED),
    )


def test_a_renewed_certificate() -> None:
    """The same key: only the leaf. It can be told apart by a person and by a program."""
    old = a_result(certificates=(a_certificate(fingerprint="01" * 32),))
    new = a_result(certificates=(a_certificate(timedelta(days=90), fingerprint="02" * 32),))
    assert told(old, new) == {
        "leaf": (
            f"CN=a.test, until 2027-04-30, SHA-256 {'01' * 32}",
            f"CN=a.test, until 2027-05-30, SHA-256 {'02' * 32}",
        )
    }


def test_another_key_and_another_chain() -> None:
    """Of the sets, what went and what came."""
    above = a_certificate(role="intermediate", subject="CN=CA 1", fingerprint="03" * 32)
    other = a_certificate(role="intermediate", subject="CN=CA 2", fingerprint="04" * 32)
    same = a_certificate(role="root", subject="CN=Root")
    old = a_result(certificates=(a_certificate(fingerprint="01"), above, same))
    new = a_result(certificates=(a_certificate(fingerprint="02", spki="ee" * 32), other, same))
    found = told(old, new)
    assert set(found) == {"leaf", "key", "chain"}
    assert found["key"] == ("aa" * 32, "ee" * 32)
    assert found["chain"] == (
        f"CN=CA 1, until 2027-04-30, SHA-256 {'03' * 32}",
        f"CN=CA 2, until 2027-04-30, SHA-256 {'04' * 32}",
    )


def test_facts_by_name() -> None:
    """Those that come and go too; never the address or the status, which change all the time."""
    old = a_result(facts={"tls_version": "1.2", "group": None, "address": "a", "status": 200, "resumed": True})
    new = a_result(facts={"tls_version": "1.3", "alpn": "h2", "address": "b", "status": 204, "resumed": False})
    assert told(old, new) == {"tls_version": ("1.2", "1.3"), "alpn": (None, "h2"), "resumed": ("true", "false")}


def test_long_values_are_cut() -> None:
    """A directory of files has many certificates."""
    old = a_result(certificates=())
    many = (a_certificate(role="file", subject=f"CN={'x' * 200}", fingerprint=f"{n:064x}") for n in range(20))
    new = a_result(certificates=tuple(many))
    (before, after) = told(old, new)["files"]
    assert before is None
    assert after is not None
    assert len(after) <= 1_000
    assert after.endswith("; and 16 more")
