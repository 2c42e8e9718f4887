"""Diagnoses as SARIF 2.1.0 (OASIS), for the places that show findings beside files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from handclasp.findings import CATALOGUE, Code

_LEVELS: Final = {"error": "error", "warning": "warning", "note": "note"}


def sarif(told: Mapping[str, Any], version: str) -> dict[str, Any]:
    """One run, from the JSON of a diagnosis. ``version`` is ours."""
    findings: Sequence[Mapping[str, Any]] = told["findings"]
    codes = list(dict.fromkeys(one["code"] for one in findings))
    return {
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "handclasp doctor",
                        "version": version,
                        "rules": [_rule(code) for code in codes],
                    }
                },
                "results": [_result(one, codes.index(one["code"]), told["subject"]) for one in findings],
                "properties": {"code": told["code"], "verdict": told["verdict"], "candidates": told["candidates"]},
            }
        ],
    }


def _rule(code: str) -> dict[str, Any]:
    entry = CATALOGUE[Code(code)]
    return {
        "id": code,
        "shortDescription": {"text": entry.meaning},
        "help": {"text": entry.remedy},
    }


def _result(one: Mapping[str, Any], rule: int, subject: str) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": one["code"],
        "ruleIndex": rule,
        "level": _LEVELS[one["severity"]],
        "message": {"text": f"{one['what']}. {one['fix']}"},
    }
    if one["file"] is not None:
        physical: dict[str, Any] = {"artifactLocation": {"uri": quote(os.fsencode(one["file"]))}}
        if one["line"] is not None:
            physical["region"] = {"startLine": one["line"]}
        result["locations"] = [{"physicalLocation": physical}]
    else:
        result["locations"] = [{"logicalLocations": [{"fullyQualifiedName": f"{subject}: {one['where']}"}]}]
    return result
