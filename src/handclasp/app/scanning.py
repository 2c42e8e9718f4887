"""`handclasp scan` below its face: sources opened, whom to verify with, where results go, and how it ends."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Final

from handclasp.app import ambient, probing
from handclasp.app.control import SettingsSource
from handclasp.app.state import StateDirectory
from handclasp.findings import Code, InvalidSetting, Refused
from handclasp.pki.chain import Revocation
from handclasp.probe import parse
from handclasp.probe.examine import Options
from handclasp.probe.target import StartTLS
from handclasp.probe.trust import Verifier
from handclasp.scan import compare, results
from handclasp.scan.lines import Rubbish
from handclasp.scan.outputs import LineFile
from handclasp.scan.records import Record
from handclasp.scan.remembered import Remembered
from handclasp.scan.run import Manner, Scan, Sink
from handclasp.scan.sink_parquet import Parquet
from handclasp.scan.sink_sqlite import Database
from handclasp.scan.sinks import Csv, Lines, Table, Write, to_file
from handclasp.scan.sources import ListFile, Source, Sources, Words, ZoneFile
from handclasp.scan.tally import Tally
from handclasp.scan.wanted import Wanted, ports
from handclasp.tlswire.offer import TLS12, TLS13

STDIN: Final = "-"
NO_NAME: Final = "none"
SUFFIXES: Final = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
    ".db": "sqlite",
    ".parquet": "parquet",
}
_FORMAT: Final = 1  # of records; another one cannot be resumed
_TICK: Final = 0.1
_VERSIONS: Final = {"1.2": (TLS12,), "1.3": (TLS13,), None: (TLS13, TLS12)}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asks, in plain values.

    ``files`` and ``zones`` are names of files, ``-`` is standard input. ``server_name`` is asked for instead of each
    target's own; ``none`` asks for no name. ``form`` is table, jsonl, csv, sqlite or parquet; None: by the suffix of
    ``output``, a table where there is none. ``timeout`` is for each target, in seconds.
    """

    targets: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    origin: str | None = None
    ports: str = "443"
    server_name: str | None = None
    any_name: bool = False
    starttls: str | None = None
    version: str | None = None
    post_quantum: bool = False
    timeout: float = 10.0
    trust: str = "any"
    cacerts: tuple[str, ...] = ()
    crls: tuple[str, ...] = ()
    concurrency: int = 500
    per_host: int = 2
    rate: float | None = None
    output: Path | None = None
    form: str | None = None
    resume: bool = False
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went. ``verified`` is how many chains were judged and not remembered; ``interrupted`` whether somebody
    stopped it."""

    tally: Tally
    seconds: float
    verified: int
    interrupted: bool


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who hears of it: ``write`` takes the results for standard output, ``told`` what was no target, ``show`` the
    numbers now and then."""

    write: Write
    told: Callable[[Rubbish], None]
    show: Callable[[Tally, float], None]


def scan(asked: Asked, state: StateDirectory, load: SettingsSource, listeners: Listeners) -> Outcome:
    """Scan. An interrupt (SIGINT, SIGTERM) ends it with what there is. Raises InvalidSetting for a target or option
    that was given as such, Refused for files that cannot be used."""
    form = _form(asked)
    server_name = None if asked.server_name in {None, NO_NAME} else asked.server_name
    wanted = Wanted(ports(asked.ports), server_name, None if asked.starttls is None else StartTLS(asked.starttls))
    trust = probing.Asked((), trust=asked.trust, cacerts=asked.cacerts, crls=asked.crls)
    if asked.trust in {"own", "any"} and not asked.cacerts:
        trust = replace(trust, bundle=asyncio.run(probing.own_bundle(state, load, must=asked.trust == "own")))
    anchors = probing.anchors_of(trust)
    for one in anchors:
        _ = one.trust  # what is wrong with them is said first
    verifier = Verifier(anchors, revocation=Revocation.REQUIRED if asked.crls else Revocation.GIVEN)
    manner = Manner(
        Options(versions=_VERSIONS[asked.version], deadline=asked.timeout, hybrid=asked.post_quantum),
        parameters(asked),
        without_name=asked.server_name == NO_NAME,
        anybody=asked.any_name,
        rate=asked.rate,
    )
    tally, done = Tally(), Remembered()
    with ExitStack() as stack:
        sources = Sources(_sources(asked, stack), wanted, tally, done)
        began = time.monotonic()
        ticker = _Ticker(listeners.show, tally, began)
        with _interrupts() as interrupts:
            sink = _sink(asked, form, manner.parameters, done, tally, listeners.write)
            try:
                with probing.driver(asked.concurrency, asked.per_host) as driver:
                    Scan(
                        driver,
                        verifier,
                        manner,
                        _Whole(sink, interrupts),
                        tally,
                        now=ambient.now,
                        told=listeners.told,
                        tick=ticker.tick,
                    ).run(iter(sources))
            except KeyboardInterrupt:
                interrupts.stopped = True
            except BaseException:
                # What went wrong first is what is told.
                with interrupts.held(), suppress(Refused):
                    sink.close()
                raise
            with interrupts.held():
                sink.close()
        return Outcome(tally, time.monotonic() - began, verifier.verified, interrupts.stopped)


@contextmanager
def compared(old: Path, new: Path) -> Iterator[compare.Compared]:
    """The differences between two scans. Refused (SCAN_UNUSABLE)."""
    found = compare.Compared(results.rows(old), results.rows(new))
    try:
        yield found
    finally:
        found.close()


def parameters(asked: Asked) -> str:
    """Twelve hex digits for everything that decides what a result says of an endpoint. The system's and our own
    authorities count by these words alone, files by what is in them."""
    said = {
        "format": _FORMAT,
        "trust": None if asked.cacerts else asked.trust,
        "cacerts": sorted(map(_digest, asked.cacerts)),
        "crls": sorted(map(_digest, asked.crls)),
        "server_name": asked.server_name,
        "any_name": asked.any_name,
        "version": asked.version,
        "post_quantum": asked.post_quantum,
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]


class _Ticker:
    """Shows the numbers ten times a second at most."""

    def __init__(self, show: Callable[[Tally, float], None], tally: Tally, began: float) -> None:
        self._show = show
        self._tally = tally
        self._began = began
        self._next = 0.0

    def tick(self) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _TICK
            self._show(self._tally, now - self._began)


class _Interrupts:
    """SIGINT and SIGTERM as KeyboardInterrupt, but never in the middle of a record."""

    def __init__(self) -> None:
        self.stopped = False
        self._holding = 0
        self._pending = False

    def handle(self, _signal: int, _frame: FrameType | None) -> None:
        """What the system calls."""
        if self._holding or self.stopped:
            self._pending = True
            return
        raise KeyboardInterrupt

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing interrupts what is done in here; it comes afterwards, unless the scan has ended by then."""
        self._holding += 1
        try:
            yield
        finally:
            self._holding -= 1

    def due(self) -> None:
        """Raise what has come meanwhile."""
        if self._pending:
            self._pending = False
            raise KeyboardInterrupt


@contextmanager
def _interrupts() -> Iterator[_Interrupts]:
    interrupts = _Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield interrupts  # signals are the main thread's
        return
    before = {one: signal.signal(one, interrupts.handle) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupts
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


class _Whole:
    """A sink whose records are written whole, whoever interrupts."""

    def __init__(self, sink: Sink, interrupts: _Interrupts) -> None:
        self._sink = sink
        self._interrupts = interrupts

    def write(self, told: Record) -> None:
        with self._interrupts.held():
            self._sink.write(told)
        self._interrupts.due()

    def close(self) -> None:
        self._sink.close()


def _form(asked: Asked) -> str:
    if asked.form is not None:
        form = asked.form
    elif asked.output is None:
        form = "table"
    else:
        form = SUFFIXES.get(asked.output.suffix.lower(), "")
        if not form:
            raise InvalidSetting(
                "--output", f"{asked.output} does not say its form", f"{', '.join(SUFFIXES)}, or --format"
            )
    if asked.output is None and form in {"sqlite", "parquet"}:
        raise InvalidSetting("--format", f"{form} needs a file", "--output FILE")
    if asked.output is not None and form == "table":
        raise InvalidSetting("--format", "a table is for reading, not for a file", "jsonl, csv, sqlite or parquet")
    if asked.resume and (asked.output is None or form == "parquet"):
        why = "a Parquet file is written at the end, and cannot be added to" if asked.output else "there is no file"
        raise InvalidSetting("--resume", why, "--output with a file of jsonl, csv or sqlite")
    return form


def _sources(asked: Asked, stack: ExitStack) -> list[Source]:
    words = tuple(one for one in asked.targets if one != STDIN)
    lists = [*asked.files, *(one for one in asked.targets if one == STDIN)]
    if (lists + list(asked.zones)).count(STDIN) > 1:
        raise InvalidSetting("", "standard input is named twice", "- once")
    origin = None if asked.origin is None else parse.host(asked.origin)
    found: list[Source] = [Words(words)] if words else []
    found += [ListFile(_opened(one, stack), _called(one)) for one in lists]
    found += [ZoneFile(_opened(one, stack), _called(one), origin) for one in asked.zones]
    return found


def _opened(name: str, stack: ExitStack) -> int:
    if name == STDIN:
        return 0
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise _unreadable(name, (getattr(error, "strerror", None) or str(error)).lower()) from None
    stack.callback(os.close, descriptor)
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        raise _unreadable(name, "it is a directory")
    return descriptor


def _called(name: str) -> str:
    return "standard input" if name == STDIN else name


def _unreadable(name: str, why: str) -> Refused:
    fix = "Give the name of a file with targets, or - for standard input."
    return Refused(Code.FILE_UNRECOGNIZED, f"{name} cannot be read", why, fix)


def _sink(asked: Asked, form: str, made_with: str, done: Remembered, tally: Tally, write: Write) -> Sink:
    path = asked.output
    if path is None:
        if form == "table":
            return Table(write)
        return Lines(write, _nothing) if form == "jsonl" else Csv(write, _nothing)
    if form == "parquet":
        return Parquet(path, overwrite=asked.overwrite)
    if form == "sqlite":
        if asked.resume:
            results.resume_database(path, made_with, done, tally)
        return Database(path, resume=asked.resume, overwrite=asked.overwrite)
    file = LineFile(path, resume=asked.resume, overwrite=asked.overwrite)
    try:
        empty = not asked.resume or results.resume_lines(file, form, made_with, done, tally)
        put, close = to_file(file)
        return Lines(put, close) if form == "jsonl" else Csv(put, close, head=empty)
    except BaseException:
        file.close()
        raise


def _nothing() -> None:
    """Standard output is not ours to close."""


def _digest(name: str) -> str:
    try:
        with Path(name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return name  # it is refused where it is read
