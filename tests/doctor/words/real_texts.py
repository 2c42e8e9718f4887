"""Texts as programs are known to write them (see each rule for the source), with their product and first code."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_NGINX = "2026/11/21 14:00:00 [info] 123#123: *1 "
_FOR = ', client: 127.0.0.1, server: api, request: "GET / HTTP/1.1", host: "api"'

TABLE: Final = Path(__file__).with_name("real_texts.txt")
"""A line each: product, code, text. NGINX and FOR stand for what nginx writes before and behind."""


def texts() -> list[tuple[str, str, str]]:
    """(product, first code, text)."""
    rows = []
    for row in TABLE.read_text(encoding="utf-8").splitlines():
        product, code, text = row.split(" ", 2)
        rows.append((product, code, text.replace("NGINX ", _NGINX).replace(" FOR", _FOR)))
    return rows
