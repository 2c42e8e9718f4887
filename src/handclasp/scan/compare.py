"""What differs between two scans, with what must be seen first at the top.

Both are put into a temporary database, which goes to the disk where it is large: scans of any size are compared in
little memory.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from handclasp.pki.described_text import printable
from handclasp.scan.results import Row

_OK: Final = "OK"
_STRICTNESS: Final = {"not_requested": 0, "optional": 1, "required_at_http": 2, "required": 3}
_MOST_SHOWN: Final = 100


class Change(StrEnum):
    """What is different."""

    CLIENT_CERTIFICATE = "client_certificate"
    CODE = "code"
    TLS_VERSION = "tls_version"
    ISSUER = "issuer"
    CERTIFICATE = "certificate"
    VANISHED = "vanished"
    APPEARED = "appeared"


_ORDER: Final = (
    (Change.CLIENT_CERTIFICATE, True),
    (Change.CODE, True),
    (Change.TLS_VERSION, True),
    (Change.ISSUER, None),
    (Change.CLIENT_CERTIFICATE, None),
    (Change.CLIENT_CERTIFICATE, False),
    (Change.CODE, None),
    (Change.VANISHED, None),
    (Change.APPEARED, None),
    (Change.CERTIFICATE, None),
    (Change.TLS_VERSION, False),
    (Change.CODE, False),
)
"""A server that no longer demands a certificate comes first; a certificate that was renewed by the same issuer, and
what has got better, come last."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference of one target. ``worse`` is True, False, or None where that cannot be said. ``old`` and ``new``
    are the values; of a certificate an object with fingerprint, issuer and not_after; of a target that appeared or
    vanished its code."""

    target: str
    change: Change
    worse: bool | None
    old: Any
    new: Any

    def as_json(self) -> dict[str, Any]:
        """The object that ``--json`` shows."""
        return {
            "target": self.target,
            "change": str(self.change),
            "worse": self.worse,
            "old": self.old,
            "new": self.new,
        }

    def line(self) -> str:
        """For a person."""
        sign = {True: "worse", False: "better", None: ""}[self.worse]
        if self.change is Change.APPEARED:
            what = f"appeared, {_shown(self.new)}"
        elif self.change is Change.VANISHED:
            what = f"vanished, was {_shown(self.old)}"
        else:
            what = f"{self.change.replace('_', ' ')} {_shown(self.old)} -> {_shown(self.new)}"
        return f"{sign:7}{printable(self.target)}: {what}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """``same_manner`` is False where the two were made with different options."""

    old_count: int
    new_count: int
    same_manner: bool


class Compared:
    """Two scans, read. Iterate over it for the differences. To be closed."""

    def __init__(self, old: Iterable[Row], new: Iterable[Row]) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        try:
            run = self._database.execute
            run("PRAGMA journal_mode = OFF")
            run("BEGIN")
            for name, rows in (("old", old), ("new", new)):
                run(f"CREATE TABLE {name} (target TEXT PRIMARY KEY, row TEXT NOT NULL, scan TEXT) WITHOUT ROWID")
                insert = f"INSERT OR REPLACE INTO {name} VALUES (?, ?, ?)"  # noqa: S608 (one of two names, above)
                self._database.executemany(insert, ((_ascii(one.target), _packed(one), one.scan) for one in rows))
            run("CREATE TABLE difference (weight INTEGER, target TEXT, told TEXT)")
            add = "INSERT INTO difference VALUES (?, ?, ?)"
            self._database.executemany(
                add,
                ((_weight(one), _ascii(one.target), json.dumps(one.as_json())) for one in self._differences()),
            )
        except BaseException:
            self.close()
            raise

    @property
    def summary(self) -> Comparison:
        """What was compared."""
        run = self._database.execute
        counts = [run(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("old", "new")]  # noqa: S608 (one of two names)
        manners = {row[0] for row in run("SELECT DISTINCT scan FROM old UNION SELECT DISTINCT scan FROM new LIMIT 3")}
        return Comparison(counts[0], counts[1], len(manners) < 2)

    def __iter__(self) -> Iterator[Difference]:
        for (told,) in self._database.execute("SELECT told FROM difference ORDER BY weight, target, rowid"):
            found = json.loads(told)
            yield Difference(**{**found, "change": Change(found["change"])})

    def close(self) -> None:
        """Give the temporary database back."""
        self._database.close()

    def _differences(self) -> Iterator[Difference]:
        both = "SELECT old.row, new.row FROM old JOIN new USING (target) WHERE old.row <> new.row"
        gone = "SELECT row, NULL FROM old WHERE target NOT IN (SELECT target FROM new)"
        come = "SELECT NULL, row FROM new WHERE target NOT IN (SELECT target FROM old)"
        for query in (both, gone, come):
            with closing(self._database.cursor()) as cursor:
                for old, new in cursor.execute(query):
                    yield from differences(_unpacked(old), _unpacked(new))


def differences(old: Row | None, new: Row | None) -> Iterator[Difference]:
    """What differs between two looks at one target; None: it was not there."""
    if new is None:
        if old is not None:
            yield Difference(old.target, Change.VANISHED, None, old.code, None)
        return
    if old is None:
        yield Difference(new.target, Change.APPEARED, None, None, new.code)
        return
    target = new.target
    if old.code != new.code:
        worse = True if old.code == _OK else False if new.code == _OK else None
        yield Difference(target, Change.CODE, worse, old.code, new.code)
    if old.fingerprint is None or new.fingerprint is None:
        return  # the server was not seen: what it would have shown is not known
    if old.client_certificate != new.client_certificate:
        before, after = (_STRICTNESS.get(one.client_certificate) for one in (old, new))
        worse = None if before is None or after is None else after < before
        yield Difference(target, Change.CLIENT_CERTIFICATE, worse, old.client_certificate, new.client_certificate)
    if old.tls_version != new.tls_version:
        worse = None if not (old.tls_version and new.tls_version) else new.tls_version < old.tls_version
        yield Difference(target, Change.TLS_VERSION, worse, old.tls_version, new.tls_version)
    if old.fingerprint != new.fingerprint:
        change = Change.CERTIFICATE if old.issuer == new.issuer else Change.ISSUER
        yield Difference(target, change, None, _certificate(old), _certificate(new))


def _weight(one: Difference) -> int:
    return _ORDER.index((one.change, one.worse)) if (one.change, one.worse) in _ORDER else len(_ORDER) // 2


def _certificate(row: Row) -> dict[str, str | None]:
    return {"fingerprint": row.fingerprint, "issuer": row.issuer, "not_after": row.not_after}


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        ends = f"to {value['not_after']}" if value["not_after"] else "unreadable"
        return printable(f"{(value['issuer'] or '(no issuer)')[:_MOST_SHOWN]} {ends} ({value['fingerprint'][:16]})")
    return printable(str(value)[:_MOST_SHOWN])


def _packed(row: Row) -> str:
    return json.dumps([getattr(row, name) for name in Row.__slots__ if name != "scan"])


def _unpacked(packed: str | None) -> Row | None:
    return None if packed is None else Row(*[*json.loads(packed), None])


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()  # a lone surrogate is no text for SQLite
