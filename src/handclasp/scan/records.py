"""What is kept of one endpoint: the JSON of a probe, and the same in flat columns for tables.

What servers send is a stranger's text. In JSON it stands as it is; in columns everything that is not printable is
written as its code point (``\\u{1b}``), and what is long is cut.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from handclasp.pki.described_text import printable
from handclasp.probe.report import Report, as_json

Record = dict[str, Any]
Cell = str | int | float | bool | None

MAX_RECORD: Final = 256 * 1024
"""Characters of the JSON of one record; lists and texts of a larger one are cut, and it says so (``cut``)."""
MAX_CELL: Final = 4000
"""Characters of a text in a column."""

_MOST_ITEMS: Final = 200  # of a list, in a cell
_MOST_KEPT, _MOST_TEXT = 20, 300  # of a record that is too large
_ELLIPSIS: Final = "..."

COLUMNS: Final[Mapping[str, type[Cell]]] = {
    "target": str,
    "at": str,
    "code": str,
    "finding": str,
    "client_certificate": str,
    "client_ca_names": str,
    "tls_version": str,
    "cipher": str,
    "group": str,
    "post_quantum": bool,
    "alpn": str,
    "trusted": bool,
    "trusted_by": str,
    "days_left": float,
    "subject": str,
    "issuer": str,
    "names": str,
    "serial": str,
    "fingerprint": str,
    "spki": str,
    "not_before": str,
    "not_after": str,
    "key": str,
    "signature": str,
    "chain": str,
    "alerts": str,
    "host": str,
    "port": int,
    "server_name": str,
    "address": str,
    "seconds": float,
    "scan": str,
}
"""The flat columns in their order, and what is in them.

``finding`` is what is said of the first finding. ``days_left`` is of the certificate of the chain that ends first;
``subject`` to ``signature`` are of the leaf; ``chain`` are the fingerprints, leaf first. Lists are joined by spaces,
those of distinguished names by `` | ``.
"""


def record(report: Report, parameters: str, *, named: bool) -> Record:
    """The JSON of a probe, without what a scan has not: a trace, a credential, revocation lists. ``scan`` tells with
    which parameters it was made. ``server_name`` is null where nobody was expected."""
    told = as_json(report)
    for name in ("trace", "credential", "crls"):
        del told[name]
    if not named:
        told["server_name"] = None
    told["scan"] = parameters
    return told


def text(told: Record) -> str:
    """One line of JSON, in ASCII, of bounded length."""
    line = json.dumps(told, separators=(",", ":"))
    return line if len(line) <= MAX_RECORD else json.dumps(_shortened(told), separators=(",", ":"))


def bounded(told: Record) -> Record:
    """What ``text`` writes."""
    return told if len(json.dumps(told)) <= MAX_RECORD else _shortened(told)


def flat(told: Mapping[str, Any]) -> dict[str, Cell]:
    """The columns."""
    chain = told["chain"]
    leaf: Mapping[str, Any] = chain[0] if chain else {}
    findings = told["findings"]
    left = [one["days_left"] for one in chain if "days_left" in one]
    return {
        "target": cell(told["target"]),
        "at": told["at"],
        "code": told["code"],
        "finding": cell(findings[0]["what"]) if findings else None,
        "client_certificate": told["client_certificate"],
        "client_ca_names": cell(" | ".join(told["client_ca_names"][:_MOST_ITEMS])),
        "tls_version": told["tls_version"],
        "cipher": told["cipher"],
        "group": told["group"],
        "post_quantum": told["post_quantum"],
        "alpn": cell(told["alpn"]),
        "trusted": told["trusted"],
        "trusted_by": cell(" | ".join(told["trusted_by"])),
        "days_left": min(left, default=None),
        "subject": cell(leaf.get("subject")),
        "issuer": cell(leaf.get("issuer")),
        "names": cell(" ".join(leaf.get("names", ())[:_MOST_ITEMS])),
        "serial": cell(leaf.get("serial")),
        "fingerprint": leaf.get("fingerprint"),
        "spki": leaf.get("spki"),
        "not_before": leaf.get("not_before"),
        "not_after": leaf.get("not_after"),
        "key": cell(leaf.get("key")),
        "signature": cell(leaf.get("signature")),
        "chain": " ".join(one["fingerprint"] for one in chain[:_MOST_ITEMS]) or None,
        "alerts": " ".join(str(one["number"]) for one in told["alerts"][:_MOST_ITEMS]) or None,
        "host": cell(told["host"]),
        "port": told["port"],
        "server_name": cell(told["server_name"]),
        "address": told["address"],
        "seconds": told["seconds"]["ended"],
        "scan": told["scan"],
    }


def cell(value: str | None) -> str | None:
    """A text as it stands in a column; None for an empty one."""
    if not value:
        return None
    shown = printable(value[:MAX_CELL])
    return shown if len(shown) <= MAX_CELL else shown[: MAX_CELL - len(_ELLIPSIS)] + _ELLIPSIS


def _shortened(told: Record) -> Record:
    return {**{name: _cut(value) for name, value in told.items()}, "cut": True}


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= _MOST_TEXT else value[:_MOST_TEXT] + _ELLIPSIS
    if isinstance(value, list):
        return [_cut(one) for one in value[:_MOST_KEPT]]
    if isinstance(value, dict):
        return {name: _cut(one) for name, one in value.items()}
    return value
