"""Texts of ``handclasp.yaml`` for tests, and what is said of those that are wrong."""

from __future__ import annotations

from textwrap import dedent

import pytest

from handclasp.app.settings import ServiceSettings, Settings, SettingsError, parse

EXAMPLE = dedent("""\
    trust_domain: example.org
    services:
      orders:
        listen: 8443
        hosts: [orders.example.org, localhost]
        upstream: http://127.0.0.1:8000
        client_certificates: required        # the default; off: plain TLS, no identities
        rules:
          - allow: spiffe://example.org/checkout
            methods: [GET, POST]
            paths: [/v1/orders/**]
          - allow: spiffe://example.org/audit/*
            methods: [GET]
    """)
"""The file of the documentation."""
KEYS = "listen, hosts, upstream, upstream_ca, client_certificates, explain, rules"
"""What may stand below the name of a service."""

Told = tuple[int, int, str, str, str]
"""A problem: line, column, path, why, and what is allowed."""


def a_file(*services: str, rest: str = "") -> str:
    """A file with these services, and more after them."""
    return "trust_domain: example.org\nservices:\n" + "".join(services) + rest


def a_service(
    name: str = "a",
    listen: str = "8443",
    hosts: str = "[a.test]",
    upstream: str = "http://127.0.0.1:1",
    rest: str = "",
) -> str:
    """A service, with more settings below it."""
    head = f"  {name}:\n    listen: {listen}\n    hosts: {hosts}\n    upstream: {upstream}\n"
    return head + "".join(f"    {line}\n" for line in dedent(rest).splitlines())


def problems(text: str) -> list[Told]:
    """What is wrong with the text: line, column, path, why, allowed."""
    with pytest.raises(SettingsError) as raised:
        parse(text, "handclasp.yaml")
    assert {p.file for p in raised.value.problems} == {"handclasp.yaml"}
    return [(p.line, p.column, p.path, p.why, p.allowed) for p in raised.value.problems]


def only_service(text: str) -> ServiceSettings:
    """The one service of the file."""
    (service,) = parse(text, "handclasp.yaml").services
    return service


def read_or_refused(text: str) -> bool:
    """Whether the text is read, or refused with problems that have a place: nothing else may happen."""
    try:
        return isinstance(parse(text, "f"), Settings)
    except SettingsError as error:
        return len(error.problems) > 0 and all(p.line > 0 and p.column > 0 and p.why for p in error.problems)
