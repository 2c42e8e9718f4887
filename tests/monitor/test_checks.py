"""One check of each kind."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.findings import Code, Finding, Refused
from handclasp.monitor.checks import Checks
from handclasp.monitor.definition import Expectation, Kind, Monitor, State
from handclasp.monitor.results import CheckResult
from handclasp.probe.enforcement import ClientCertificate
from handclasp.testing import chains
from handclasp.testing.watching import (
    AT,
    REFUSED_CONNECTION,
    FixedInventory,
    ScriptedExaminer,
    a_certificate,
    a_monitor,
    answered,
    checks,
    seen,
)

LATER = AT + timedelta(minutes=5)


def checked(monitor: Monitor, *examinations: Any, last: CheckResult | None = None, at: Any = AT) -> CheckResult:
    made = checks(ScriptedExaminer({monitor.name: examinations or (seen(),)}))
    return asyncio.run(made.check(monitor, last, at))


def test_an_endpoint_in_order() -> None:
    """Everything that was seen is in the result."""
    examined = seen(client_certificate=ClientCertificate.REQUIRED, crl_next_update=LATER)
    assert checked(a_monitor(), examined) == CheckResult(
        monitor="m",
        at=AT,
        state=State.OK,
        code=Code.OK,
        summary="Everything is as expected; the certificate of CN=a.test ends in 60 days.",
        certificates=examined.certificates,
        facts={
            "target": "a.test:443",
            **examined.facts,
            "issuer": "CN=CA",
            "client_certificate": "required",
        },
        seconds=0.02,
        trusted=True,
        crl_next_update=LATER,
    )


def test_a_request_with_expectations() -> None:
    """What is not met is critical, and the status is a fact; a large body is looked at beside the loop."""
    monitor = a_monitor(kind=Kind.HTTPS, target="https://a.test/", expect=Expectation(body="fine$"))
    body = b"x" * 20_000
    result = checked(monitor, seen(response=answered(body)))
    assert (result.state, result.code, result.facts["status"]) == (State.CRITICAL, Code.CHECK_BODY, 200)
    assert checked(monitor, seen(response=answered(body + b"fine"))).state is State.OK


def test_a_failure_forgets_nothing() -> None:
    """The certificates and facts of the last check stay, with the time when they were seen, however often it fails."""
    monitor = a_monitor()
    good = checked(monitor, seen(response=None, crl_next_update=LATER))
    down = checked(monitor, REFUSED_CONNECTION, last=good, at=LATER)
    still = checked(monitor, REFUSED_CONNECTION, last=down, at=LATER + timedelta(minutes=5))
    for one in (down, still):
        assert (one.certificates, one.facts, one.crl_next_update) == (good.certificates, good.facts, LATER)
        assert (one.code, one.state, one.seen_at) == (Code.NET_CONNECTION_REFUSED, State.CRITICAL, AT)
        assert (one.trusted, one.seconds) == (None, None)
    again = checked(monitor, last=still, at=LATER)
    assert (again.state, again.seen_at) == (State.OK, None)


def test_thresholds_go_on_while_an_endpoint_is_down() -> None:
    """Its certificate ends all the same."""
    good = checked(a_monitor(), seen(a_certificate(timedelta(days=25), lived=timedelta(days=300))))
    down = checked(a_monitor(), REFUSED_CONNECTION, last=good, at=AT + timedelta(days=5))
    assert [one.code for one in down.findings] == [Code.NET_CONNECTION_REFUSED, Code.SERVER_CERT_EXPIRES_SOON]


def test_a_status_is_not_remembered() -> None:
    """It was that of another answer."""
    monitor = a_monitor(kind=Kind.HTTPS, target="https://a.test/")
    good = checked(monitor, seen(response=answered()))
    down = checked(monitor, REFUSED_CONNECTION, last=good)
    assert ("status" in good.facts, "status" in down.facts) == (True, False)


def test_another_target_is_another_endpoint() -> None:
    """What was seen at the old one says nothing about the new one."""
    old = checked(a_monitor(target="old.test:443"))
    new = a_monitor(expect=Expectation(chain_unchanged=True))
    assert checked(new, REFUSED_CONNECTION, last=old).certificates == ()
    assert checked(new, seen(a_certificate(spki="ee" * 32)), last=old).state is State.OK


def test_files(tmp_path: Path) -> None:
    """With what could not be read; and what is gone is remembered."""
    holder = chains.make("leaf.test", begins=AT - timedelta(days=300), ends=AT + timedelta(days=9))
    path = tmp_path / "a.pem"
    path.write_bytes(holder.certificate.public_bytes(Encoding.PEM))
    monitor = a_monitor(kind=Kind.FILES, target=str(tmp_path))
    result = checked(monitor)
    assert (result.state, result.code) == (State.WARNING, Code.SERVER_CERT_EXPIRES_SOON)
    assert result.summary == "The certificate CN=leaf.test in a.pem ends in 9 days, on 2027-03-10 12:00 UTC."
    assert result.facts == {"target": str(tmp_path), "files": 1, "certificates": 1}
    path.unlink()
    gone = checked(monitor, last=result, at=LATER)
    assert (gone.state, gone.code, gone.seen_at) == (State.CRITICAL, Code.CHECK_FILE, AT)
    assert gone.certificates == result.certificates


def test_a_passphrase_that_is_not_there(tmp_path: Path) -> None:
    """Is told by its own code."""

    def read_passphrase(place: str) -> bytes:
        raise Refused(Code.KEY_PASSPHRASE_MISSING, "The passphrase is missing", f"{place} is not set", "Set it.")

    made = Checks(
        examiner=ScriptedExaminer(),
        inventory=FixedInventory(),
        read_secrets=lambda _: (),
        read_passphrase=read_passphrase,
    )
    monitor = a_monitor(kind=Kind.FILES, target=str(tmp_path), passphrase="env:NOT_SET")
    result = asyncio.run(made.check(monitor, None, AT))
    assert (result.code, result.summary) == (
        Code.KEY_PASSPHRASE_MISSING,
        "The passphrase is missing: env:NOT_SET is not set.",
    )


def test_our_own_ledger() -> None:
    """What ends within the time of a warning, or else what ends next; what is no longer there is not remembered."""
    monitor = a_monitor(kind=Kind.LEDGER, target="ledger")
    lived = timedelta(days=300)
    later = a_certificate(timedelta(days=60), role="issued", place="gateway", lived=lived)
    soon = a_certificate(timedelta(days=9), role="issued", subject="CN=b", place="checkout", lived=lived)
    made = checks(inventory=FixedInventory((later, soon)))
    result = asyncio.run(made.check(monitor, None, AT))
    assert result.certificates == (soon,)
    assert result.summary == "The certificate CN=b (checkout) ends in 9 days, on 2027-03-10 12:00 UTC."
    good = asyncio.run(checks(inventory=FixedInventory((later,))).check(monitor, result, LATER))
    assert (good.state, good.certificates) == (State.OK, (later,))
    none = asyncio.run(checks().check(monitor, good, LATER))
    assert (none.state, none.certificates) == (State.OK, ())


def test_a_fault_of_our_own_is_a_finding() -> None:
    """It is told and written to the log, and ends nothing."""

    class Broken(ScriptedExaminer):
        async def examine(self, monitor: Monitor, now: Any) -> Any:
            raise ZeroDivisionError("secret detail")

    result = asyncio.run(checks(Broken()).check(a_monitor(), None, AT))
    assert result.findings == (
        Finding(Code.UNKNOWN, "a.test:443", "the check itself failed (ZeroDivisionError); the log says more"),
    )
