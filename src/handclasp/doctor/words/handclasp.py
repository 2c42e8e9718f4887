"""Handclasp's own lines: the access log (JSON with ``code``), and any line that names a code of the catalogue."""

from __future__ import annotations

import re

from handclasp.doctor.words.rule import Rule, Speaker, Told, ranked
from handclasp.findings import CATALOGUE, Code

_CODES = {str(code): code for code in Code if code not in (Code.OK, Code.UNKNOWN)}


def _code(match: re.Match[str], speaker: Speaker) -> Told | None:
    for word in re.findall(r"[A-Z][A-Z_]{3,60}", match.string):
        code = _CODES.get(word)
        if code is not None:
            entry = CATALOGUE[code]
            return Told(ranked((code, entry.meaning)), entry.meaning, f"handclasp explain {code}", detail=str(code))
    return None


_FAMILIES = (
    "CLIENT|SERVER|TLS|NET|PROTO|MTLS|CONFIG|FILE|POLICY|ROUTE|UPSTREAM|GATEWAY|REQUEST|CHAIN|CHECK|TRUST|CLOCK|PIN"
    "|CREDENTIAL|REVOCATION|STATE|AUTHORITY"
)
RULES: tuple[Rule, ...] = (
    Rule(
        "code",
        tuple(f"{one.lower()}_" for one in _FAMILIES.split("|")),
        re.compile(rf"\b(?:{_FAMILIES})_[A-Z_]{{2,50}}\b"),
        _code,
        "handclasp findings/catalogue.py",
    ),
)
