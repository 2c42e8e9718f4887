"""Results in every form: written, read again, compared; and what strangers put into certificates."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.findings import Code, Refused
from handclasp.scan import records, results
from handclasp.scan.compare import Compared
from handclasp.scan.outputs import LineFile
from handclasp.scan.records import COLUMNS, MAX_CELL
from handclasp.scan.results import Row
from handclasp.scan.run import Sink
from handclasp.scan.sink_parquet import Parquet
from handclasp.scan.sink_sqlite import Database
from handclasp.scan.sinks import Csv, Lines, Table, _guarded, to_file, unguarded

from .conftest import Record, record

HOSTILE = "=cmd|'/C calc'!A0\x1b]0;owned\x07\r\n\u202e\u2028\x00,\"\ud800\t"
HOSTILE_RECORD = record(
    "evil:443",
    leaf={
        "subject": HOSTILE,
        "issuer": f"-{HOSTILE}",
        "names": [HOSTILE, "@SUM(1)"],
        "key": HOSTILE,
        "fingerprint": "ac" * 32,
    },
    client_ca_names=[f"+{HOSTILE}"] * 3,
    alpn=HOSTILE,
    findings=[{"code": "TLS_ALERT", "where": HOSTILE, "what": HOSTILE, "facts": {}}],
)
HUGE_RECORD = record(
    "huge:443",
    leaf={"names": [f"{'n' * 200}.{i}" for i in range(20_000)], "subject": "s" * 100_000, "fingerprint": "ad" * 32},
)
UNREADABLE_RECORD = {**record("broken:443"), "chain": [{"fingerprint": "ee" * 32, "fault": "no DER"}]}
DOWN_RECORD = record("down:443", code="NET_CONNECTION_REFUSED", tls_version=None, client_certificate="undetermined")
DOWN_RECORD["chain"] = []
ALL = [record("a:443"), HOSTILE_RECORD, HUGE_RECORD, UNREADABLE_RECORD, DOWN_RECORD]

FORMS = ("jsonl", "csv", "sqlite", "parquet")


def sink(path: Path) -> Sink:
    if path.suffix == ".sqlite":
        return Database(path, resume=False, overwrite=False)
    if path.suffix == ".parquet":
        return Parquet(path, overwrite=False)
    put, close = to_file(LineFile(path, resume=False, overwrite=False))
    return Lines(put, close) if path.suffix == ".jsonl" else Csv(put, close)


def written(path: Path, told: list[Record]) -> Path:
    one = sink(path)
    for each in told:
        one.write(each)
    one.close()
    return path


def row(told: Record) -> Row:
    leaf = told["chain"][0] if told["chain"] else {}
    return Row(
        target=told["target"],
        code=told["code"],
        client_certificate=told["client_certificate"],
        tls_version=told["tls_version"],
        fingerprint=leaf.get("fingerprint"),
        issuer=records.cell(leaf.get("issuer")),
        not_after=leaf.get("not_after"),
        scan=told["scan"],
    )


@pytest.mark.parametrize("form", FORMS)
def test_what_is_written_is_read(form: str, tmp_path: Path) -> None:
    """The same rows out of every form, whatever is in the certificates; whatever the file is called."""
    path = written(tmp_path / f"r.{form}", ALL)
    other = path.rename(tmp_path / "called-otherwise")
    assert sorted(results.rows(other), key=lambda one: one.target) == sorted(map(row, ALL), key=lambda one: one.target)


@pytest.mark.parametrize("old", FORMS)
@pytest.mark.parametrize("new", FORMS)
def test_the_form_makes_no_difference(old: str, new: str, tmp_path: Path) -> None:
    """One scan in two forms has no differences."""
    first, second = written(tmp_path / f"old.{old}", ALL), written(tmp_path / f"new.{new}", ALL)
    compared = Compared(results.rows(first), results.rows(second))
    assert (list(compared), compared.summary.same_manner) == ([], True)
    compared.close()


def test_json_lines_hold_everything_as_it_was_sent(tmp_path: Path) -> None:
    """One ASCII line each; a record that is too large is cut, and says so."""
    path = written(tmp_path / "r.jsonl", ALL)
    lines = path.read_bytes().split(b"\n")
    told = [json.loads(line) for line in lines[:-1]]
    assert told[0:2] == ALL[0:2]
    assert (told[2]["cut"], len(told[2]["chain"][0]["names"]), len(told)) == (True, 20, 5)
    assert all(line.isascii() and len(line) <= records.MAX_RECORD for line in lines)


def test_csv_holds_no_formula_and_nothing_that_moves_a_cursor(tmp_path: Path) -> None:
    """Every cell is printable, bounded, and begins with nothing that a spreadsheet computes."""
    path = written(tmp_path / "r.csv", ALL)
    text = path.read_bytes().decode()
    head, *rows = csv.reader(io.StringIO(text, newline=""))
    assert head == list(COLUMNS)
    assert len(rows) == len(ALL) == text.count("\n") - 1
    cells = [cell for one in rows for cell in one]
    assert [cell for cell in cells if cell and not cell.isprintable()] == []
    assert [cell for cell in cells if cell[:1] in {"=", "+", "@"}] == []
    assert [cell for cell in cells if cell[:1] == "-"] == []
    assert max(map(len, cells)) <= MAX_CELL + 1
    evil = dict(zip(head, rows[1], strict=True))
    assert evil["subject"].startswith("'=cmd|'/C calc'!A0\\u{1b}]0;owned\\u{7}\\u{d}\\u{a}\\u{202e}")


def test_negative_numbers_are_numbers(tmp_path: Path) -> None:
    """A certificate that ended three days ago has -3.0 days left, in CSV too."""
    path = written(tmp_path / "r.csv", [record("a:443", leaf={"days_left": -3.0})])
    (told,) = csv.DictReader(path.read_text().splitlines())
    assert told["days_left"] == "-3.0"


@given(st.text(min_size=1))
def test_the_guard_of_csv_takes_nothing_away(text: str) -> None:
    """What is guarded is read as it was."""
    assert unguarded(_guarded(text)) == text


def test_sqlite_holds_each_certificate_once(tmp_path: Path) -> None:
    """The tables that are documented, joined."""
    path = written(tmp_path / "r.sqlite", [record("a:443"), record("b:443"), HOSTILE_RECORD])
    with sqlite3.connect(path) as database:
        counts = [database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("targets", "chain")]
        held = database.execute(
            "SELECT target, position, not_after FROM chain JOIN certificates USING (fingerprint) ORDER BY target"
        ).fetchall()
        certificates = database.execute("SELECT count(*) FROM certificates").fetchone()[0]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    database.close()
    assert (counts, certificates) == ([3, 3], 2)
    assert held == [(target, 0, "2026-07-01T00:00:00Z") for target in ("a:443", "b:443", "evil:443")]


def test_parquet_has_types(tmp_path: Path) -> None:
    """Numbers and truth values are such, and not text; the file appears at the end, with nothing beside it."""
    one = sink(tmp_path / "r.parquet")
    one.write(record("a:443"))
    assert not (tmp_path / "r.parquet").exists()
    one.close()
    table = pyarrow.parquet.read_table(tmp_path / "r.parquet")
    (told,) = table.to_pylist()
    assert table.column_names == list(COLUMNS)
    assert (told["port"], told["days_left"], told["trusted"], told["alpn"]) == (443, 30.0, True, None)
    assert [path.name for path in tmp_path.iterdir()] == ["r.parquet"]


def test_parquet_without_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said what to install."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(Refused, match="pyarrow, which is not installed") as refused:
        Parquet(tmp_path / "r.parquet", overwrite=False)
    assert (refused.value.code, "handclasp[parquet]" in refused.value.fix) == (Code.SCAN_UNUSABLE, True)


def test_the_table_shows_a_stranger_s_text_harmlessly() -> None:
    """One printable line a target."""
    shown: list[str] = []
    table = Table(shown.append)
    for one in ALL:
        table.write(one)
    assert len(shown) == 1 + len(ALL)
    assert [line for line in shown if not line[:-1].isprintable() or line[-1] != "\n"] == []
    assert shown[1].split() == ["a:443", "OK", "required", "TLS", "1.3", "30.0", "CN=Issuer"]


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def nonsense(path: Path) -> None:
    path.write_bytes(b"\x00\xff\x1b" * 1000)


def nonsense_lines(path: Path) -> None:
    path.write_bytes(b"\x00\xff\x1b\n" * 1000)


def torn_json(path: Path) -> None:
    path.write_bytes(b'{"target": 1}\n')


def deep_json(path: Path) -> None:
    path.write_bytes(b'{"a":' * 100_000 + b"\n")


def wrong_types(path: Path) -> None:
    path.write_bytes(json.dumps(record("x:1", code=["OK"])).encode() + b"\n")


def endless_line(path: Path) -> None:
    path.write_bytes(b"{" + b"a" * (5 << 20))


def another_csv(path: Path) -> None:
    path.write_bytes(b"a,b\r\n1,2\r\n")


def another_database(path: Path) -> None:
    path.unlink()
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE targets (target)")
    database.close()


def another_parquet(path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"target": ["x"]}), path)


@pytest.mark.parametrize(
    ("form", "spoil"),
    [
        ("sqlite", truncated),
        ("parquet", truncated),
        ("jsonl", nonsense),
        ("jsonl", nonsense_lines),
        ("jsonl", torn_json),
        ("jsonl", deep_json),
        ("jsonl", wrong_types),
        ("jsonl", endless_line),
        ("csv", another_csv),
        ("sqlite", another_database),
        ("parquet", another_parquet),
        ("jsonl", Path.unlink),
    ],
)
def test_files_that_cannot_be_read(form: str, spoil: Callable[[Path], None], tmp_path: Path) -> None:
    """One refusal that names the file."""
    path = written(tmp_path / f"r.{form}", [record(f"{number}:443") for number in range(300)])
    spoil(path)
    with pytest.raises(Refused) as refused:
        list(results.rows(path))
    assert (refused.value.code, str(path) in refused.value.what) == (Code.SCAN_UNUSABLE, True)


def test_a_directory_is_no_file_of_results(tmp_path: Path) -> None:
    """And is refused as such."""
    with pytest.raises(Refused, match="is a directory"):
        list(results.rows(tmp_path))
