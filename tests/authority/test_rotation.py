"""Replacing authorities: nobody is cut off, whoever would be is named, and a crash is continued."""

from __future__ import annotations

import subprocess
from collections.abc import Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from tests.authority.crashing import Crash, crashing

from handclasp.authority.hierarchy import Plan, load
from handclasp.authority.issue import Authority, Issued
from handclasp.authority.lineage import Hierarchy
from handclasp.authority.ports import Ledger
from handclasp.authority.records import (
    AuthorityRecord,
    AuthorityState,
    CertificateRecord,
    CertificateState,
    Confirmation,
    Role,
)
from handclasp.authority.renew import renew
from handclasp.authority.revoke import revoke_certificate
from handclasp.authority.rotation import Situation, Step, abandon, advance, forget, situation, start, status
from handclasp.findings import Code, Refused
from handclasp.pki import pem
from handclasp.pki.profile import CLIENT, SERVER

if TYPE_CHECKING:
    from tests.authority.conftest import Place

GATEWAY = "gateway/local"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Running:
    """An authority whose hierarchy is loaded again after every step, and its one gateway."""

    def __init__(self, place: Place, authority: Authority) -> None:
        self.place, self.authority = place, authority

    @property
    def ledger(self) -> Ledger:
        return self.authority.ledger

    async def reload(self) -> Hierarchy:
        loaded = await load(self.ledger, self.authority.custody, self.place.trust_domain)
        assert loaded is not None
        self.authority = replace(self.authority, hierarchy=loaded)
        return loaded

    async def confirm(self, point: str = GATEWAY) -> None:
        names = (await self.reload()).names()
        await self.ledger.confirm(Confirmation(point, names, self.place.now))

    async def start(self, what: str) -> Situation:
        self.place.now += timedelta(minutes=1)
        return await start(self.authority, what, now=self.place.now, serial=self.place.serial)

    async def advance(self, *without: str) -> Situation:
        self.place.now += timedelta(minutes=1)
        found = await advance(self.ledger, without=without, now=self.place.now)
        await self.reload()
        return found

    async def client(self) -> Issued:
        self.place.now += timedelta(minutes=1)
        return await self.place.client(self.authority)

    async def renew(self, **more: Any) -> Issued:
        self.place.now += timedelta(minutes=1)
        request = self.place.request()
        alice = self.place.alice
        return await renew(
            self.authority, alice, now=self.place.now, serial=self.place.serial(), request=request, **more
        )


async def refusal(of: Coroutine[Any, Any, object]) -> Refused:
    with pytest.raises(Refused) as caught:
        await of
    return caught.value


def openssl_accepts(directory: Path, issued: tuple[x509.Certificate, ...], *roots: x509.Certificate) -> bool:
    """Whether `openssl verify` takes the chain with exactly these roots."""
    (directory / "roots.pem").write_bytes(pem.pem(*roots))
    (directory / "leaf.pem").write_bytes(pem.pem(issued[0]))
    (directory / "chain.pem").write_bytes(pem.pem(*issued[1:]))
    at = int(issued[0].not_valid_before_utc.timestamp()) + 120
    done = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-attime", str(at), "-no-CApath",
         "-no-CAstore", "-CAfile", "roots.pem", "-untrusted", "chain.pem", "leaf.pem"],
        cwd=directory, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode == 0


def test_a_process_that_has_missed_it_signs_nothing_by_the_old_authority(place: Place) -> None:
    """ROTATION_UNDER_WAY, until it has loaded the authorities again; nothing is recorded."""

    async def scenario(authority: Authority) -> None:
        run = Running(place, authority)
        await run.confirm()
        await run.start("issuing")
        await run.confirm()
        await run.advance()
        assert (await refusal(place.client(authority))).code is Code.ROTATION_UNDER_WAY
        assert await run.ledger.certificates(identity=str(place.alice)) == ()
        await run.client()

    place.with_authority(scenario)


def test_an_issuing_authority_is_rotated(place: Place) -> None:
    """Publish, confirm, activate, re-issue, retire; at each step who signs, who is accepted, who is waited for."""

    async def scenario(authority: Authority) -> None:
        run = Running(place, authority)
        await run.confirm()
        old = await run.client()
        assert await run.start("issuing") == Situation(Step.CONFIRM, ("issuing-2",), ("issuing",), (GATEWAY,))
        hierarchy = await run.reload()
        assert hierarchy.clients.name == "issuing"
        assert hierarchy.names() == {"root", "issuing", "issuing-2"}
        refused = await refusal(run.advance())
        assert (refused.code, refused.why) == (Code.ROTATION_NOT_CONFIRMED, f"this would cut off {GATEWAY}")
        await run.confirm()
        assert (await status(run.ledger, now=place.now)).step is Step.ACTIVATE

        alice = str(place.alice)
        assert await run.advance() == Situation(Step.REISSUE, ("issuing-2",), ("issuing",), (alice,))
        hierarchy = run.authority.hierarchy
        assert (hierarchy.clients.name, [one.name for one in hierarchy.accepted]) == (
            "issuing-2",
            ["issuing", "issuing-2"],
        )
        new = await run.renew(supersede=True)
        assert new.record.issuer_key_id == hierarchy.clients.key_id != old.record.issuer_key_id
        assert (await status(run.ledger, now=place.now)).step is Step.RETIRE
        assert await run.advance() == Situation(Step.NONE)
        assert run.authority.hierarchy.names() == {"root", "issuing-2"}
        kinds = [one.event.kind for one in await run.ledger.events(subject="issuing")]
        assert kinds == ["authority.active", "authority.activated", "authority.retired"]

    place.with_authority(scenario)


def test_a_root_is_rotated(place: Place) -> None:
    """Before, during and after: the chain that is sent verifies by openssl with the old root, the new one, or both,
    for as long as anybody may know only that one."""

    async def scenario(authority: Authority) -> None:
        run = Running(place, authority)
        await run.confirm()
        before = await run.client()
        (first,) = run.authority.hierarchy.roots
        await run.start("root")
        hierarchy = await run.reload()
        assert [one.name for one in hierarchy.anchors] == ["root", "root-2"]
        second = hierarchy.roots[1]
        published = await run.client()
        assert openssl_accepts(place.directory, published.chain, first)
        assert openssl_accepts(place.directory, published.chain, first, second)
        await run.confirm()

        alice = str(place.alice)
        assert await run.advance() == Situation(Step.REISSUE, ("root-2",), ("root",), (alice,))
        assert list(run.authority.hierarchy.roots) == [second, first]
        active = await run.renew()
        assert len(active.chain) == 3
        for roots in ((first,), (second,), (first, second)):
            assert openssl_accepts(place.directory, active.chain, *roots)
            # What was issued before: its key's issuer is certified under both, so only the rest of the chain is new.
            assert openssl_accepts(place.directory, (before.certificate, *active.chain[1:]), *roots)
        assert (await status(run.ledger, now=place.now)).step is Step.RETIRE

        await run.advance()
        assert list(run.authority.hierarchy.roots) == [second]
        after = await run.client()
        assert len(after.chain) == 2
        assert openssl_accepts(place.directory, after.chain, second)
        assert not openssl_accepts(place.directory, after.chain, first)
        assert await run.start("root") == Situation(Step.CONFIRM, ("root-3",), ("root-2",), (GATEWAY,))

    place.with_authority(scenario)


def test_a_holder_counts_as_renewed_when_it_fetched_the_bundle(place: Place) -> None:
    """A holder that confirmed after the new root became active is not waited for, one that confirmed before is."""

    async def scenario(authority: Authority) -> None:
        run = Running(place, authority)
        await run.client()
        await run.start("root")
        await run.confirm(str(place.alice))
        assert (await run.advance()).waiting_for == (str(place.alice),)
        await run.confirm(str(place.alice))
        assert (await status(run.ledger, now=place.now)).waiting_for == ()

    place.with_authority(scenario)


def test_the_old_root_key_is_needed_only_to_begin(place: Place) -> None:
    """With the root's key away a rotation cannot begin, and one that has begun goes through."""

    async def scenario(authority: Authority) -> None:
        run = Running(place, authority)
        key = place.directory / "ca" / "root.key"
        kept = key.read_bytes()
        key.unlink()
        assert (await refusal(run.start("root"))).code is Code.STATE_KEY_MISSING
        key.write_bytes(kept)
        await run.start("root")
        key.unlink()
        await run.advance()
        assert await run.advance() == Situation(Step.NONE)

    place.with_authority(scenario)


def test_who_is_left_behind_is_recorded(place: Place) -> None:
    """``without`` lets the named ones be cut off, only those, and the audit log has their names."""

    async def scenario(authority: Authority) -> None:
        run = Running(place, authority)
        for point in (GATEWAY, "agent/node-7"):
            await run.confirm(point)
        await run.start("issuing")
        refused = await refusal(run.advance("agent/node-7"))
        assert refused.why == f"this would cut off {GATEWAY}"
        await run.confirm()
        await run.advance("agent/node-7")
        (event,) = (one.event for one in await run.ledger.events(subject="issuing-2") if "without" in one.event.data)
        assert (event.kind, event.data["without"]) == ("authority.activated", "agent/node-7")

    place.with_authority(scenario)


def test_a_point_that_is_gone_is_forgotten(place: Place) -> None:
    """Nothing is expected any more of a gateway that was forgotten; again is no harm."""

    async def scenario(authority: Authority) -> None:
        run = Running(place, authority)
        await run.confirm("gateway/gone")
        await run.start("issuing")
        assert await forget(run.ledger, "gateway/gone", now=place.now)
        assert not await forget(run.ledger, "gateway/gone", now=place.now)
        assert (await status(run.ledger, now=place.now)).step is Step.ACTIVATE

    place.with_authority(scenario)


@pytest.mark.parametrize("what", ["root", "issuing"])
def test_abandoned_before_activation_it_had_never_been(place: Place, what: str) -> None:
    """The hierarchy is what it was; another rotation can begin, under the next name."""

    async def scenario(authority: Authority) -> None:
        run = Running(place, authority)
        before = authority.hierarchy
        await run.start(what)
        assert (await refusal(run.start("issuing"))).code is Code.ROTATION_UNDER_WAY
        assert await abandon(run.ledger, now=place.now) == Situation(Step.NONE)
        assert await run.reload() == before
        assert (await refusal(abandon(run.ledger, now=place.now))).code is Code.ROTATION_NONE
        assert (await refusal(run.advance())).code is Code.ROTATION_NONE
        assert (await run.start(what)).new == (f"{what}-3",)
        await run.advance()
        assert (await refusal(abandon(run.ledger, now=place.now))).code is Code.ROTATION_UNDER_WAY

    place.with_authority(scenario)


def test_one_authority_becomes_two(place: Place) -> None:
    """With the plan's ``separate``, the issuing authority is followed by one for clients and one for servers, and
    then each is rotated by itself."""

    async def scenario(authority: Authority) -> None:
        run = Running(place, replace(authority, plan=Plan(separate=True)))
        assert (await run.start("issuing")).new == ("clients", "servers")
        await run.advance()
        hierarchy = run.authority.hierarchy
        assert (hierarchy.signer(CLIENT).name, hierarchy.signer(SERVER).name) == ("clients", "servers")
        assert hierarchy.names() == {"root", "issuing", "clients"}
        await run.advance()
        assert (await run.start("servers")).new == ("servers-2",)
        await run.advance()
        assert run.authority.hierarchy.signer(SERVER).name == "servers-2"
        await run.advance()
        assert (await refusal(run.start("issuing"))).code is Code.AUTHORITY_UNKNOWN

    place.with_authority(scenario)


def test_an_unknown_authority_is_not_rotated(place: Place) -> None:
    """Neither a word that is no role, nor a role that nobody has."""

    async def scenario(authority: Authority) -> None:
        for what in ("gateway", "servers"):
            refused = await refusal(Running(place, authority).start(what))
            assert refused.code is Code.AUTHORITY_UNKNOWN

    place.with_authority(scenario)


def test_an_authority_that_is_trusted_cannot_be_revoked(place: Place) -> None:
    """Its certificate is revoked only once it is retired."""

    async def scenario(authority: Authority) -> None:
        run = Running(place, authority)
        old = authority.hierarchy.clients.certificate
        root = authority.hierarchy.anchors[0]

        def attempt() -> Coroutine[Any, Any, object]:
            return revoke_certificate(run.authority, root.key_id, old.serial_number, now=place.now)

        assert (await refusal(attempt())).code is Code.ROTATION_NONE
        await run.start("issuing")
        await run.advance()
        assert (await refusal(attempt())).code is Code.ROTATION_NONE
        await run.advance()
        await attempt()

    place.with_authority(scenario)


def _authority(name: str, state: AuthorityState) -> AuthorityRecord:
    return AuthorityRecord(name, Role.ISSUING, state, name, name, NOON, NOON)


def _certificate(**changes: Any) -> CertificateRecord:
    record = CertificateRecord(
        serial=1,
        issuer_key_id="issuing",
        profile="client",
        identity="spiffe://example.org/alice",
        dns=(),
        ips=(),
        subject="CN=alice",
        not_before=NOON,
        not_after=NOON + timedelta(days=90),
        spki_sha256="",
        state=CertificateState.ISSUED,
        issued_at=NOON,
    )
    return replace(record, **changes)


@pytest.mark.parametrize(
    ("changes", "waits_for"),
    [
        ({}, ("spiffe://example.org/alice",)),
        ({"state": CertificateState.HELD}, ("spiffe://example.org/alice",)),
        ({"identity": None, "dns": ("api.example.org",)}, ("api.example.org",)),
        ({"state": CertificateState.REVOKED}, ()),
        ({"not_after": NOON}, ()),
        ({"state": CertificateState.INTENDED}, ("spiffe://example.org/alice",)),
        ({"state": CertificateState.INTENDED, "issued_at": NOON - timedelta(hours=2)}, ()),
        ({"profile": "external"}, ()),
        ({"is_authority": True}, ()),
    ],
    ids=["issued", "held", "by-host", "revoked", "expired", "being-signed", "never-signed", "external", "authority"],
)
def test_what_still_depends_on_a_retiring_authority(changes: dict[str, Any], waits_for: tuple[str, ...]) -> None:
    """Whatever may still be shown to somebody, or is about to be; nothing else."""
    authorities = [
        _authority("issuing", AuthorityState.RETIRING),
        _authority("issuing-2", AuthorityState.ACTIVE),
    ]
    step = Step.REISSUE if waits_for else Step.RETIRE
    assert situation(authorities, (), (_certificate(**changes),), NOON) == Situation(
        step, ("issuing-2",), ("issuing",), waits_for
    )


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("what", "step"), [*(("root", n) for n in range(1, 19)), *(("issuing", n) for n in range(1, 11))]
)
def test_a_crash_at_any_step_is_continued(place: Place, what: str, step: int, after: bool) -> None:
    """Whichever call was the last one, beginning again makes one new authority of one key, certified once."""

    async def scenario(authority: Authority) -> None:
        crash = crashing(step, after=after)
        broken = replace(authority, ledger=crash.around(authority.ledger), custody=crash.around(authority.custody))
        try:
            await start(broken, what, now=place.now, serial=place.serial)
        except Crash:
            if (await status(authority.ledger, now=place.now)).step is Step.NONE:
                await start(authority, what, now=place.now, serial=place.serial)
        found = await status(authority.ledger, now=place.now)
        assert (found.step, found.new) == (Step.ACTIVATE, (f"{what}-2",))
        await advance(authority.ledger, now=place.now + timedelta(seconds=1))
        issued = [one for one in await authority.ledger.certificates() if one.is_authority and one.fingerprint]
        keys = [(one.issuer_key_id, one.spki_sha256) for one in issued]
        assert len(keys) == len(set(keys)) == {"root": 5, "issuing": 3}[what]
        states = {one.name: one.state for one in await authority.ledger.authorities()}
        assert states[what] is AuthorityState.RETIRING

    place.with_authority(scenario)
