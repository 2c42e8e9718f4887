"""Making and loading the authorities."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from handclasp.authority.audit import verify
from handclasp.authority.hierarchy import Hierarchy, establish
from handclasp.authority.issue import Authority
from handclasp.authority.ports import KeyCustody, Ledger
from handclasp.findings import Code, Refused
from handclasp.pki.keys import KeyType, generate, private_pem
from handclasp.pki.spiffe import TrustDomain

if TYPE_CHECKING:
    from tests.authority.conftest import Place


async def _hierarchy(authority: Authority) -> Hierarchy:
    return authority.hierarchy


def _refused(place: Place) -> Refused:
    with pytest.raises(Refused) as caught:
        place.with_authority(_hierarchy)
    return caught.value


def test_the_first_time_makes_the_authorities(place: Place) -> None:
    """A root that signs itself, an issuing authority below it, both in the ledger with their events."""

    async def kinds(ledger: Ledger) -> list[str]:
        log = await ledger.events()
        verify(log)
        return [found.event.kind for found in log]

    made = place.with_authority(_hierarchy)
    made.root.verify_directly_issued_by(made.root)
    made.issuing.verify_directly_issued_by(made.root)
    assert place.with_ledger(kinds) == [
        "authority.planned",
        "certificate.intended",
        "authority.created",
        "certificate.intended",
        "authority.created",
    ]


def test_the_next_time_loads_them(place: Place) -> None:
    """The second start finds the same authorities and makes nothing."""
    assert place.with_authority(_hierarchy) == place.with_authority(_hierarchy)
    assert next(place.serials) == (1 << 100) + 3


def test_the_root_key_may_be_away(place: Place) -> None:
    """Once there is an issuing authority, neither loading nor issuing needs the root's key."""
    place.with_authority(_hierarchy)
    (place.directory / "ca" / "root.key").unlink()
    place.with_authority(place.client)


def test_a_missing_issuing_key_is_named(place: Place) -> None:
    """Refused(STATE_KEY_MISSING) names the file to put back."""
    place.with_authority(_hierarchy)
    path = place.directory / "ca" / "issuing.key"
    path.unlink()
    refused = _refused(place)
    assert refused.code is Code.STATE_KEY_MISSING
    assert str(path) in refused.fix


@pytest.mark.parametrize(("name", "kind"), [("root", KeyType.EC_P384), ("issuing", KeyType.EC_P256)], ids=str)
def test_a_key_that_is_not_the_certificates_is_refused(place: Place, name: str, kind: KeyType) -> None:
    """Another key in the file's place: Refused(STATE_DAMAGED) naming the file."""
    place.with_authority(_hierarchy)
    path = place.directory / "ca" / f"{name}.key"
    path.unlink()
    path.write_bytes(private_pem(generate(kind)))
    refused = _refused(place)
    assert refused.code is Code.STATE_DAMAGED
    assert str(path) in refused.why


def test_keys_without_their_ledger_are_refused(place: Place) -> None:
    """A lost ledger is not replaced by a new root on the old key: that would forget every revocation."""
    place.with_authority(_hierarchy)
    (place.directory / "ledger.db").unlink()
    assert _refused(place).code is Code.STATE_DAMAGED


def test_state_of_another_trust_domain_is_refused(place: Place) -> None:
    """The trust domain of a state is settled when its root is made: Refused(CONFIG_CONFLICT)."""
    place.with_authority(_hierarchy)

    async def other(ledger: Ledger) -> Hierarchy:
        td = TrustDomain("other.example")
        return await establish(ledger, place.custody, td, now=place.now, serial=place.serial)

    with pytest.raises(Refused) as caught:
        place.with_ledger(other)
    assert caught.value.code is Code.CONFIG_CONFLICT


class _Crash(BaseException):
    """The process ends here."""


class _Crashing:
    """Passes every call on, and ends the process before or after the one that is numbered ``step``."""

    def __init__(self, step: int, *, after: bool) -> None:
        self._left = step
        self._after = after

    def around(self, real: object) -> Any:
        crashing = self

        class Around:
            def __getattr__(self, name: str) -> Callable[..., Awaitable[object]]:
                async def call(*args: object, **kwargs: object) -> object:
                    crashing._left -= 1
                    if crashing._left == 0 and not crashing._after:
                        raise _Crash
                    answer = await getattr(real, name)(*args, **kwargs)
                    if crashing._left == 0:
                        raise _Crash
                    return answer

                return call

        return Around()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(1, 15))
def test_a_crash_at_any_step_is_continued(place: Place, step: int, after: bool) -> None:
    """Whichever call was the last one, the next start ends with two authorities that fit their keys."""
    crash = _Crashing(step, after=after)

    async def first(ledger: Ledger) -> Hierarchy:
        custody = cast("KeyCustody", crash.around(place.custody))
        return await establish(crash.around(ledger), custody, place.trust_domain, now=place.now, serial=place.serial)

    with pytest.raises(_Crash):
        place.with_ledger(first)
    made = place.with_authority(_hierarchy)
    made.issuing.verify_directly_issued_by(made.root)
    assert place.with_authority(_hierarchy) == made
    assert sorted(path.name for path in Path(place.directory / "ca").iterdir()) == ["issuing.key", "root.key"]
