"""What `status` tells, and that it does not read what it only counts."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from handclasp.testing.requests import a_request

if TYPE_CHECKING:
    import pytest
    from tests.app.conftest import Place

    from handclasp.app.site import Site

DAY = 86_400_000_000
"""As the database counts, in microseconds."""


def test_certificates_are_counted_by_state(place: Place) -> None:
    """Those of callers: valid, expired, on hold and revoked; no others."""
    serials = [place.issue(name=f"c{number}")["serial"] for number in range(4)]
    place.do("cert.hold", which=serials[0])
    place.do("cert.revoke", which=serials[1], reason="unspecified")
    place.issue(profile="server", name=None, dns=["a.example.org"])
    with closing(sqlite3.connect(place.state.ledger)) as database:
        database.execute("UPDATE certificates SET not_after = 1 WHERE serial LIKE ?", (f"%{serials[2]}",))
        database.commit()
    assert place.do("status")["clients"] == {"valid": 1, "expired": 1, "held": 1, "revoked": 1}


def test_who_is_to_renew_is_named(place: Place) -> None:
    """In the last third of a certificate's life, and not before."""

    for days in (50, 70, 100):
        place.do("client.add", name=f"days-{days}", csr=a_request(), dns=[], seconds=None)
        with closing(sqlite3.connect(place.state.ledger)) as database:
            passed = (days * DAY, days * DAY, f"%days-{days}")
            database.execute(
                "UPDATE certificates SET not_before = not_before - ?, not_after = not_after - ? WHERE identity LIKE ?",
                passed,
            )
            database.commit()
    told = place.do("status")
    assert told["clients_to_renew"] == ["spiffe://example.org/days-70"]
    assert told["clients"]["expired"] == 1


def test_ten_thousand_certificates_are_not_read_at_once(place: Place) -> None:
    """By status no certificate is read but the few that are named, and a list of them comes in pieces."""
    place.do("client.add", name="alice", csr=a_request(), dns=[], seconds=None)
    with closing(sqlite3.connect(place.state.ledger)) as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(certificates)") if row[1] != "id"]
        chosen = ", ".join(
            {"serial": "printf('%040x', n)", "fingerprint": "printf('%064x', n)"}.get(c, c) for c in columns
        )
        database.execute(
            "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 9999) "
            f"INSERT INTO certificates ({', '.join(columns)}) SELECT {chosen} FROM numbers, certificates "
            "WHERE profile = 'client' AND request_id IS NULL AND certificates.id = (SELECT max(id) FROM certificates)"
        )
        database.commit()

    seen: list[str] = []
    piece = place.do("client.list")
    while len(seen) < 10_000:
        assert len(piece["clients"]) <= 1000
        seen += [one["serial"] for one in piece["clients"]]
        if "after" not in piece:
            break
        piece = place.do("client.list", after=piece["after"])
    assert len(set(seen)) == 10_000

    async def scenario(site: Site) -> tuple[object, float]:
        from handclasp.app import status

        began = asyncio.get_running_loop().time()
        told = await status.of_site(site)
        return told["clients"], asyncio.get_running_loop().time() - began

    counts, seconds = place.with_site(scenario)
    assert counts == {"valid": 10_000, "expired": 0, "held": 0, "revoked": 0}
    assert seconds < 1


def test_keys_that_lie_open_are_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until they are encrypted."""
    place.issue()
    assert place.do("status")["keys_unencrypted"] == ["issuing", "root"]
    place.do("ca.passphrase", new=b"secret".hex())
    monkeypatch.setenv("HANDCLASP_CA_PASSPHRASE", "secret")
    assert place.do("status")["keys_unencrypted"] == []
