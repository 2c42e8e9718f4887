"""Targets out of words, lists and networks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.findings import InvalidSetting
from handclasp.probe.target import StartTLS
from handclasp.scan import lines
from handclasp.scan.lines import MAX_LINE, Line, Rubbish
from handclasp.scan.remembered import Remembered
from handclasp.scan.sources import ListFile, Source, Sources, Words
from handclasp.scan.tally import Tally
from handclasp.scan.wanted import Job, Wanted, expand


def opened(tmp_path: Path, octets: bytes) -> int:
    path = tmp_path / "list.txt"
    path.write_bytes(octets)
    return os.open(path, os.O_RDONLY)


def read(*sources: Source, wanted: Wanted | None = None, tally: Tally | None = None) -> list[str]:
    """The targets, and what was none as ``WHERE: WHY``."""
    found = Sources(sources, wanted or Wanted(), tally or Tally())
    return [one.target.text if isinstance(one, Job) else f"{one.where}: {one.why}" for one in found if one is not None]


def test_a_list_with_everything_that_people_write(tmp_path: Path) -> None:
    """BOM, CRLF, comments, blank lines, white space, URLs, networks, several ports; each target once."""
    octets = (
        b"\xef\xbb\xbfapi.example.org\r\n\r\n# all of them\r\n  API.example.org:443  # the same\n"
        b"10.0.0.0/30\n[2001:db8::1]:8443\nsmtp://mail.example.org\nhttps://api.example.org/health#x\n"
        b"api.example.org:8443,443\nlast.example.org"
    )
    assert read(ListFile(opened(tmp_path, octets), "list.txt")) == [
        "api.example.org:443",
        "10.0.0.1:443",
        "10.0.0.2:443",
        "[2001:db8::1]:8443",
        "smtp://mail.example.org:25",
        "https://api.example.org:443/health",
        "api.example.org:8443",
        "last.example.org:443",
    ]


def test_rubbish_is_told_with_its_line_and_stops_nothing(tmp_path: Path) -> None:
    """Each bad line is one message; what stands between is read."""
    bad = [b"two words", b"\x00\x01\xff\xfe", b"host:99999", b"10.0.0.0/99", b"x" * (MAX_LINE + 1), b"y" * 200_000]
    octets = b"".join(line + b"\ngood-%d\n" % number for number, line in enumerate(bad))
    tally = Tally()
    found = read(ListFile(opened(tmp_path, octets), "list.txt"), tally=tally)
    assert [one for one in found if one.startswith("good")] == [f"good-{number}:443" for number in range(6)]
    assert [one.partition(": ")[0] for one in found if not one.startswith("good")] == [
        f"list.txt:{number}" for number in (1, 3, 5, 7, 9, 11)
    ]
    assert (tally.rubbish, tally.expected, tally.total) == (6, 6, 6)


def test_utf_16_is_one_message_and_not_one_a_line(tmp_path: Path) -> None:
    """As a Windows editor may save it."""
    octets = "a.example.org\r\nb.example.org\r\n".encode("utf-16")
    assert read(ListFile(opened(tmp_path, octets), "list.txt")) == [
        "list.txt:1: it is text in UTF-16; save it as UTF-8"
    ]


@given(st.binary(max_size=3000), st.integers(1, 50))
def test_lines_of_any_bytes(octets: bytes, size: int) -> None:
    """Whatever the bytes, and however they come: as many lines as there are, each once, none raised."""
    first, second = os.pipe()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lines, "_READ", size)
            os.write(second, octets)
            os.close(second)
            found = [one for one in lines.read(first, "x") if one is not None]
    finally:
        os.close(first)
    if octets[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return
    numbers = [one.number if isinstance(one, Line) else int(one.where[2:]) for one in found]
    count = octets.count(b"\n") + (not octets.endswith(b"\n") and bool(octets))
    assert numbers == list(range(1, count + 1))


def test_a_pipe_is_never_waited_for() -> None:
    """None where nothing has come yet; its lines when they come."""
    reading, writing = os.pipe()
    found: Iterator[Line | Rubbish | None] = lines.read(reading, "pipe")
    assert next(found) is None
    os.write(writing, b"a\nb")
    assert next(found) == Line(1, "a")
    assert next(found) is None
    os.close(writing)
    assert list(found) == [Line(2, "b")]
    os.close(reading)


@pytest.mark.parametrize(
    ("text", "count", "first", "last"),
    [
        ("192.0.2.0/24", 254, "192.0.2.1:443", "192.0.2.254:443"),
        ("192.0.2.9/24:8443", 254, "192.0.2.1:8443", "192.0.2.254:8443"),
        ("192.0.2.0/31:1,2", 4, "192.0.2.0:1", "192.0.2.1:2"),
        ("192.0.2.7/32", 1, "192.0.2.7:443", "192.0.2.7:443"),
        ("[2001:db8::/126]:443", 4, "[2001:db8::]:443", "[2001:db8::3]:443"),
        ("2001:db8::/120", 256, "[2001:db8::]:443", "[2001:db8::ff]:443"),
        ("10.0.0.0/12", (1 << 20) - 2, "10.0.0.1:443", None),
    ],
)
def test_networks(text: str, count: int, first: str, last: str | None) -> None:
    """Every address but the two that are nobody's, port by port; nobody is expected there."""
    expansion = expand(text, Wanted())
    jobs = iter(expansion.jobs)
    begin = next(jobs)
    assert (expansion.count, begin.target.text, begin.named) == (count, first, False)
    if last is not None:
        rest = [begin, *jobs]
        assert (len(rest), rest[-1].target.text) == (count, last)


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.0/8",
        "2001:db8::/64",
        "10.0.0.0/33",
        "10.0.0.0/24:0",
        "10.0.0.0/24:",
        "h/24",
        "host:1:2,3",
        "host:1,",
        "::/0",
    ],
)
def test_what_is_no_target(text: str) -> None:
    """Networks that are too large, ports that are none."""
    with pytest.raises(InvalidSetting):
        expand(text, Wanted())


def test_ports_and_names_hold_where_a_target_says_nothing() -> None:
    """``--ports``, ``--sni`` and ``--starttls``."""
    wanted = Wanted((443, 8443), "api.example.org", StartTLS.SMTP)
    assert read(Words(("host", "host:99", "192.0.2.1/32")), wanted=Wanted((443, 8443))) == [
        *("host:443", "host:8443", "host:99", "192.0.2.1:443", "192.0.2.1:8443"),
    ]
    (job,) = expand("192.0.2.1/32:25", wanted).jobs
    assert (job.target.text, job.target.name, job.named) == ("smtp://192.0.2.1:25", "api.example.org", True)


def test_what_is_done_and_what_was_named_before_is_left_out() -> None:
    """And counted; the number to expect is right at every time."""
    done = Remembered()
    done.add("b:443")
    tally = Tally()
    sources = Sources([Words(("a", "b", "a:443", "c"))], Wanted(), tally, done)
    assert tally.total == 4
    assert [one.target.text for one in sources if isinstance(one, Job)] == ["a:443", "c:443"]
    assert (tally.total, tally.duplicates, tally.skipped) == (2, 1, 1)


@given(st.lists(st.text(max_size=3), max_size=300))
def test_remembered_is_a_set(texts: list[str]) -> None:
    """``add`` says whether it is new, as a set would."""
    remembered, model = Remembered(), set[str]()
    for text in texts:
        assert (text in remembered) == (text in model)
        assert remembered.add(text) == (text not in model)
        model.add(text)
    assert len(remembered) == len(model)


def test_many_are_remembered_in_little_memory() -> None:
    """50,000: nothing is lost when the table grows, and each takes less than 24 octets."""
    remembered = Remembered()
    assert all(remembered.add(f"host-{number}:443") for number in range(50_000))
    assert all(f"host-{number}:443" in remembered for number in range(50_000))
    assert sum(f"other-{number}:443" in remembered for number in range(50_000)) == 0
    assert remembered._slots.itemsize * len(remembered._slots) < 24 * 50_000
