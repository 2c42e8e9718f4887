"""What is not as it was at an endpoint: two results compared. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from handclasp.monitor.assertions import leaf
from handclasp.monitor.judge import name_of
from handclasp.monitor.results import Change, CheckResult, WatchedCertificate

UNCOMPARED: Final = frozenset({"address", "status"})
"""Facts that differ from check to check and mean nothing: names with several addresses answer in turn, and a status
that matters is an expectation, whose code is compared."""

_MAX: Final = 1_000  # characters of a value
_NAMED: Final = 4  # certificates of a set that are told by name


def changes(before: CheckResult | None, after: CheckResult) -> tuple[Change, ...]:
    """What differs, in the order in which a person asks; empty after the first check."""
    if before is None:
        return ()
    return tuple(
        Change(after.monitor, after.at, what, _bounded(old), _bounded(new))
        for what, old, new in _differences(before, after)
    )


def _differences(before: CheckResult, after: CheckResult) -> Iterator[tuple[str, str | None, str | None]]:
    if before.state is not after.state:
        yield "state", before.state.value, after.state.value
    if before.code is not after.code:
        yield "code", before.code.value, after.code.value
    if before.certificates != after.certificates:
        yield from _certificates(before, after)
    if before.facts != after.facts:
        for what in sorted((before.facts.keys() | after.facts.keys()) - UNCOMPARED):
            old, new = before.facts.get(what), after.facts.get(what)
            if old != new:
                yield what, _text(old), _text(new)


def _certificates(before: CheckResult, after: CheckResult) -> Iterator[tuple[str, str | None, str | None]]:
    old, new = leaf(before.certificates), leaf(after.certificates)
    if old is not None and new is not None:
        if old.fingerprint != new.fingerprint:
            yield "leaf", _told(old), _told(new)
        if old.spki != new.spki:
            yield "key", old.spki, new.spki
    elif old is not new:
        yield "leaf", _told(old), _told(new)
    for what, roles in _SETS:
        mine, other = _some(before, roles), _some(after, roles)
        if mine.keys() != other.keys():
            yield what, _listed(mine, other), _listed(other, mine)


_SETS: Final = (
    ("chain", frozenset({"intermediate", "root", "extra"})),
    ("credential", frozenset({"credential"})),
    ("files", frozenset({"file"})),
    ("issued", frozenset({"authority", "issued"})),
)


def _some(result: CheckResult, roles: frozenset[str]) -> dict[str, WatchedCertificate]:
    return {one.fingerprint: one for one in result.certificates if one.role in roles}


def _listed(these: dict[str, WatchedCertificate], those: dict[str, WatchedCertificate]) -> str | None:
    """Those of a set that the other one has not."""
    only = [one for fingerprint, one in these.items() if fingerprint not in those]
    text = "; ".join(_told(one) or "" for one in only[:_NAMED])
    return (f"{text}; and {len(only) - _NAMED} more" if len(only) > _NAMED else text) or None


def _told(one: WatchedCertificate | None) -> str | None:
    if one is None:
        return None
    return f"{name_of(one)}, until {one.not_after:%Y-%m-%d}, SHA-256 {one.fingerprint}"


def _text(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _bounded(text: str | None) -> str | None:
    return text if text is None or len(text) <= _MAX else f"{text[: _MAX - 3]}..."
