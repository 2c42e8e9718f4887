"""The closed catalogue of codes: what each means, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from handclasp.findings import (
    authority_entries,
    chain_entries,
    doctor_entries,
    endpoint_entries,
    gateway_entries,
    request_entries,
    state_entries,
)
from handclasp.findings.codes import Code, Entry

CATALOGUE: Mapping[Code, Entry] = MappingProxyType(
    gateway_entries.entries()
    | request_entries.entries()
    | authority_entries.entries()
    | chain_entries.entries()
    | endpoint_entries.entries()
    | doctor_entries.entries()
    | state_entries.entries()
)
