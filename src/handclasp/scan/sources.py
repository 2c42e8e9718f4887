"""Where targets come from, one after the other and each once: words, lists of them, zone files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from handclasp.findings import InvalidSetting
from handclasp.scan import lines, zones
from handclasp.scan.lines import Line, Rubbish
from handclasp.scan.remembered import Remembered
from handclasp.scan.tally import Tally
from handclasp.scan.wanted import Job, Wanted, expand

_COMMENT: Final = re.compile(r"(?:^|\s)#.*")


@dataclass(frozen=True, slots=True)
class Words:
    """Targets that were given one by one. They are all understood, or the scan does not begin."""

    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListFile:
    """An open file with a target on each line; blank lines and what follows a ``#`` do not count."""

    descriptor: int
    name: str


@dataclass(frozen=True, slots=True)
class ZoneFile:
    """An open zone file."""

    descriptor: int
    name: str
    origin: str | None = None


Source = Words | ListFile | ZoneFile


class Sources:
    """Iterates over the targets of all the sources in their order, with what is none in between, and None where there
    is nothing right now. Those of ``done`` and those that came before are left out. Counts into ``tally``.

    Raises InvalidSetting for a word that is no target.
    """

    def __init__(self, sources: Sequence[Source], wanted: Wanted, tally: Tally, done: Remembered | None = None) -> None:
        self._sources = tuple(sources)
        self._wanted = wanted
        self._tally = tally
        self._done = Remembered() if done is None else done
        self._seen = Remembered()
        for source in self._sources:
            self._estimate(source)

    def __iter__(self) -> Iterator[Job | Rubbish | None]:
        for source in self._sources:
            match source:
                case Words(texts):
                    for text in texts:
                        yield from self._new(expand(text, self._wanted).jobs)
                case ListFile(descriptor, name):
                    yield from self._listed(lines.read(descriptor, name), name)
                case ZoneFile(descriptor, name, origin):
                    yield from self._zone(zones.hosts(lines.read(descriptor, name), name, origin), name)

    def _estimate(self, source: Source) -> None:
        """What is to be expected. It is corrected as the source is read."""
        match source:
            case Words(texts):
                self._tally.expected += sum(expand(text, self._wanted).count for text in texts)
            case ListFile(descriptor, _) if (found := lines.count(descriptor)) is not None:
                self._tally.expected += found
            case _:
                self._tally.open_ended += 1

    def _listed(self, listed: Iterator[Line | Rubbish | None], name: str) -> Iterator[Job | Rubbish | None]:
        for line in listed:
            self._tally.expected -= line is not None
            if not isinstance(line, Line):
                yield self._counted(line)
            elif text := _COMMENT.sub("", line.text).strip():
                yield from self._expanded(text, f"{name}:{line.number}")

    def _zone(self, found: Iterator[zones.Host | Rubbish | None], name: str) -> Iterator[Job | Rubbish | None]:
        for host in found:
            if isinstance(host, zones.Host):
                yield from self._expanded(host.text, f"{name}:{host.number}")
            else:
                yield self._counted(host)

    def _expanded(self, text: str, where: str) -> Iterator[Job | Rubbish | None]:
        try:
            expansion = expand(text, self._wanted)
        except InvalidSetting as error:
            yield self._counted(Rubbish(where, error.why))
            return
        self._tally.expected += expansion.count
        yield from self._new(expansion.jobs)

    def _new(self, jobs: Iterable[Job]) -> Iterator[Job | None]:
        for job in jobs:
            key = job.target.text
            if not self._seen.add(key):
                self._tally.duplicates += 1
            elif key in self._done:
                self._tally.skipped += 1
            else:
                yield job
                continue
            self._tally.expected -= 1
            if not (self._tally.duplicates + self._tally.skipped) % _BREATH:
                yield None

    def _counted(self, rubbish: Rubbish | None) -> Rubbish | None:
        self._tally.rubbish += rubbish is not None
        return rubbish


_BREATH: Final = 2000
"""Targets that are passed over before the connections under way are looked after again."""
