"""The Ledger contract: search."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from handclasp.authority.ports import Ledger
from handclasp.authority.records import (
    CertificateState,
    Page,
    Search,
)
from handclasp.testing.ledger_scenes import (
    ALICE,
    BOB,
    ISSUER,
    NOON,
    Stage,
    change,
    intended,
    issued,
    put,
)

CHECKOUT = "spiffe://example.org/shop/Checkout"


async def _serials(ledger: Ledger, search: Search) -> list[int]:
    return [record.serial for record in (await ledger.search(search)).records]


async def _some(ledger: Ledger) -> None:
    await put(
        ledger,
        issued(intended(1)),
        replace(issued(intended(2, identity=BOB, days=10)), dns=("Shop.example.com",), ips=(), profile="server"),
        replace(issued(intended(3, identity=CHECKOUT, days=20)), dns=(), subject='CN=100% "Müller" _\\ é'),
        intended(4, identity=None),
        replace(issued(intended(5, identity=BOB, days=30)), issuer_key_id="bb" * 20, ips=("2001:db8::99",)),
    )
    await change(ledger, 3, CertificateState.REVOKED)


class SearchContract(Stage):
    """By name, number, key, state and time; page by page."""

    @pytest.mark.parametrize(
        ("search", "serials"),
        [
            (Search(), [5, 4, 3, 2, 1]),
            (Search(identity=BOB), [5, 2]),
            (Search(identity=BOB.upper()), []),
            (Search(serial=2), [2]),
            (Search(serial=9), []),
            (Search(serial=0), []),
            (Search(serial=1 << 160), []),
            (Search(fingerprint=f"{2:064x}"), [2]),
            (Search(fingerprint="0" * 60), [5, 3, 2, 1]),
            (Search(fingerprint="f"), []),
            (Search(spki_sha256=f"{3:064x}"), [3]),
            (Search(profile="server"), [2]),
            (Search(state=CertificateState.ISSUED), [5, 2, 1]),
            (Search(state=CertificateState.INTENDED), [4]),
            (Search(state=CertificateState.REVOKED), [3]),
            (Search(issuer_key_id="bb" * 20), [5]),
            (Search(expires_before=NOON + timedelta(days=20)), [2]),
            (Search(expires_before=NOON + timedelta(days=20, microseconds=1)), [3, 2]),
            (Search(expires_after=NOON + timedelta(days=20)), [5, 4, 1]),
            (Search(expires_after=NOON + timedelta(days=10), expires_before=NOON + timedelta(days=90)), [5, 3]),
            (Search(identity=BOB, profile="server", state=CertificateState.ISSUED), [2]),
            (Search(identity=BOB, profile="server", state=CertificateState.REVOKED), []),
            (Search(profile="client", state=CertificateState.REVOKED, issuer_key_id=ISSUER), [3]),
        ],
        ids=lambda value: str(value) if isinstance(value, list) else None,
    )
    def test_finds_by_what_is_asked(self, tmp_path: Path, search: Search, serials: list[int]) -> None:
        """All that is asked must hold; the newest first."""

        async def scenario(ledger: Ledger) -> None:
            await _some(ledger)
            assert await _serials(ledger, search) == serials

        self.play(tmp_path, scenario)

    def test_finds_by_name(self, tmp_path: Path) -> None:
        """Names begin with a prefix or have a part, in whatever case; no character means anything else than itself."""
        cases: list[tuple[Search, list[int]]] = [
            (Search(name_prefix="spiffe://EXAMPLE.org/b"), [5, 2]),
            (Search(name_prefix="shop"), [3, 2]),
            (Search(name_prefix="shop/che"), [3]),
            (Search(name_prefix="checkout"), []),
            (Search(name_prefix="a"), [5, 4, 1]),
            (Search(name_prefix="b.EX"), [5, 4, 1]),
            (Search(name_prefix="192.0.2.1"), [4, 3, 1]),
            (Search(name_prefix="2001:db8::9"), [5]),
            (Search(name_prefix="cn=alice"), [5, 4, 2, 1]),
            (Search(name_prefix=""), [5, 4, 3, 2, 1]),
            (Search(name_contains="heck"), [3]),
            (Search(name_contains="HOP"), [3, 2]),
            (Search(name_contains="example.com"), [2]),
            (Search(name_contains="100%"), [3]),
            (Search(name_contains="0% "), [3]),
            (Search(name_contains="e%c"), []),
            (Search(name_contains="e_a"), []),
            (Search(name_contains='"MÜLLER"'), [3]),
            (Search(name_contains="_\\ É"), [3]),
            (Search(name_contains="org/alice"), [1]),
            (Search(name_contains="nowhere"), []),
            (Search(name_prefix="cn=", name_contains="org/bob"), [5, 2]),
            (Search(name_contains="bob", profile="server"), [2]),
            (Search(name_contains="bob", identity=BOB, issuer_key_id="bb" * 20), [5]),
            (Search(name_contains="checkout", state=CertificateState.ISSUED), []),
        ]

        async def scenario(ledger: Ledger) -> None:
            await _some(ledger)
            await self.settle(ledger)
            assert [(search, await _serials(ledger, search)) for search, _ in cases] == cases

        self.play(tmp_path, scenario)

    def test_gives_pages(self, tmp_path: Path) -> None:
        """Page by page everything once, also while more is recorded; after the last there is no cursor."""

        async def scenario(ledger: Ledger) -> None:
            await put(ledger, *(issued(intended(n, identity=f"{ALICE}/{n}")) for n in range(1, 8)))
            search = Search(name_contains="alice", limit=3)
            seen: list[int] = []
            cursor: str | None = ""
            while cursor is not None:
                page = await ledger.search(replace(search, after=cursor or None))
                seen += [record.serial for record in page.records]
                cursor = page.cursor
                await put(ledger, issued(intended(100 + len(seen))))
                await self.settle(ledger)
            assert seen == [7, 6, 5, 4, 3, 2, 1]

        self.play(tmp_path, scenario)

    def test_a_full_last_page_has_no_cursor(self, tmp_path: Path) -> None:
        """A cursor is given where something follows, and only there."""

        async def scenario(ledger: Ledger) -> None:
            await put(ledger, intended(1), intended(2))
            assert (await ledger.search(Search(limit=2))).cursor is None
            first = await ledger.search(Search(limit=1))
            assert await ledger.search(Search(limit=1, after=first.cursor)) == Page((intended(1),), None)

        self.play(tmp_path, scenario)

    @pytest.mark.parametrize(
        "search",
        [
            Search(limit=0),
            Search(after="x"),
            Search(after="1; DROP TABLE"),
            Search(name_contains="ab"),
        ],
        ids=["no-limit", "no-cursor", "evil-cursor", "short"],
    )
    def test_refuses_what_is_no_search(self, tmp_path: Path, search: Search) -> None:
        """ValueError, and not a wrong answer."""

        async def scenario(ledger: Ledger) -> None:
            with pytest.raises(ValueError, match=r"."):
                await ledger.search(search)

        self.play(tmp_path, scenario)

    def test_counts_without_reading(self, tmp_path: Path) -> None:
        """The certificates of a profile by state, and whether they have expired: at the end of its life one has."""

        async def scenario(ledger: Ledger) -> None:
            await _some(ledger)
            assert await ledger.tally("nothing", NOON) == {}
            assert await ledger.tally("client", NOON + timedelta(days=30)) == {
                (CertificateState.INTENDED, False): 1,
                (CertificateState.ISSUED, False): 1,
                (CertificateState.ISSUED, True): 1,
                (CertificateState.REVOKED, True): 1,
            }

        self.play(tmp_path, scenario)

    async def settle(self, ledger: Ledger) -> None:
        """Wait until everything is indexed, for a database that does so later."""
