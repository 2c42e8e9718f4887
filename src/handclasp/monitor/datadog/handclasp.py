"""Datadog Agent check: how the monitors of Handclasp stand.

It fetches http://127.0.0.1:9219/datadog.json (monitoring.listen in handclasp.yaml) and hands on what is there: the
metrics and service checks of Datadog's TLS integration, by the same names and with the same tags (tls.days_left,
tls.can_connect and so on), and the service check handclasp.monitor. The service check handclasp.can_connect says
whether Handclasp itself answers.

Place it in checks.d/handclasp.py, with conf.d/handclasp.d/conf.yaml beside. Nothing but the Agent's own Python is
needed.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, Request, build_opener

from datadog_checks.base import AgentCheck  # type: ignore[import-not-found]  # it is in the Agent, and not here

URL = "http://127.0.0.1:9219/datadog.json"
MOST_OCTETS = 64 << 20
SCHEMES = ("http://", "https://")


class HandclaspCheck(AgentCheck):  # type: ignore[misc]  # the Agent's class is not known here
    """One instance is one Handclasp."""

    def check(self, instance: dict[str, Any]) -> None:
        """Fetch, and hand on. Raises what fetching raises, so that the Agent's status shows it."""
        url = str(instance.get("url") or URL)
        tags = [str(one) for one in _list(instance.get("tags"))]
        about = [*tags, f"url:{url}"]
        try:
            told = _fetched(url, float(str(instance.get("timeout") or 10)))
        except (OSError, ValueError) as error:
            self.service_check("handclasp.can_connect", AgentCheck.CRITICAL, tags=about, message=str(error))
            raise
        self.service_check("handclasp.can_connect", AgentCheck.OK, tags=about)
        for one in told["gauges"]:
            self.gauge(one["name"], one["value"], tags=[*one["tags"], *tags])
        for one in told["service_checks"]:
            message = one["message"] or None
            self.service_check(one["name"], one["status"], tags=[*one["tags"], *tags], message=message)


def _fetched(url: str, timeout: float) -> dict[str, list[dict[str, Any]]]:
    if not url.startswith(SCHEMES):
        raise ValueError("url is no http:// or https:// address")
    # The Agent's proxy leads to Datadog, not here.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(Request(url, headers={"Accept": "application/json"}), timeout=timeout) as answer:  # noqa: S310 - the scheme is looked at above
            told = json.loads(answer.read(MOST_OCTETS))
    except URLError as error:
        raise OSError(f"{url} cannot be fetched: {error.reason}") from error
    if not isinstance(told, dict) or not {"gauges", "service_checks"} <= told.keys():
        raise ValueError(f"{url} is not a page of Handclasp")
    return told


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
