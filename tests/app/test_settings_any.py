"""handclasp.yaml: whatever may be written, and what editors are told of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handclasp.app.settings import Settings, parse, schema
from handclasp.testing.settings_files import EXAMPLE, KEYS, read_or_refused

EVERYTHING = """\
lifetimes: {client: 30d, gateway: 1d}
database: postgresql://u@h/n
authority:
  issuing: separate
  root_key: ec-p384
  name_constraints: {dns: [example.org], ips: [10.0.0.0/8]}
  publish:
    listen: 8480
    url: http://pki.example.org
  crl_shards: 16
  keys: {custody: pkcs11, module: /x, token: t, pin: 'env:PIN'}
profiles:
  partner:
    extends: workload
    lifetime: 1h
    key_types: [ec-p256, ml-dsa-65]
    usages: [client, server]
    names: {spiffe: [jobs/**], dns: ['*.example.org']}
    approval: required
"""


SERVICE = {"listen": 1, "hosts": ["a.test"], "upstream": "http://a"}


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing but SettingsError leaves parse, whatever the text."""
    assert read_or_refused(text)


FRAGMENTS = [*"\n\t :-[]{},&*!|>'\"#%@`?~.", "  ", "    ", "a", "off", "1:30", "<<", "spiffe://example.org/x", "anyone"]
FRAGMENTS += [*EXAMPLE.splitlines(keepends=True), *(f"{key}: " for key in KEYS.split(", ")), "lifetimes: ", "- allow: "]
FRAGMENTS += EVERYTHING.splitlines(keepends=True)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=40).map("".join))
def test_any_mixture_of_settings_is_read_or_refused(text: str) -> None:
    """The same for text that looks like settings."""
    assert read_or_refused(text)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["off", "8443", "anyone"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS.split(", ")), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(KEYS.split(", ")), JUNK)
def test_any_value_of_a_setting_is_read_or_refused(key: str, junk: Any) -> None:
    """The same for a value of any kind at any setting of a service."""
    assert read_or_refused(json.dumps({"trust_domain": "example.org", "services": {"a": SERVICE | {key: junk}}}))


def leaves(properties: dict[str, Any], path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The paths of all settings below these."""
    found = []
    for name, setting in properties.items():
        found.append((*path, name))
        if "$ref" in setting:
            below = schema()["$defs"][setting["$ref"].rpartition("/")[2]]["properties"]
            found += leaves(below, (*path, name))
    return found


OTHERS = [
    *(path for path in leaves(schema()["properties"]) if path[0] in ("authority", "database", "lifetimes")),
    *(("profiles", "p", *path) for path in leaves(schema()["$defs"]["ProfileModel"]["properties"])),
    *(("monitors", "m", *path) for path in leaves(schema()["$defs"]["MonitorModel"]["properties"])),
    ("profiles", "p"),
    ("profiles",),
    ("monitors", "m"),
    ("monitors",),
    *(("alerts", "a", *path) for path in leaves(schema()["$defs"]["AlertModel"]["properties"])),
    ("alerts", "a"),
    ("alerts",),
]
NAMES = sorted({step for path in OTHERS for step in path})
WORDS = ["files", "pkcs11", "env:A", "1h", "ec-p256", "*.a", "a/*", "10.0.0.0/8", "http://a", "client", "required"]
WORDS += [
    "https://a",
    "a.pem",
    "ledger",
    "anonymous",
    "unchanged",
    "2xx",
    "sun 02:00-04:00",
    "500ms",
    "$.a",
    "a|b",
    "(a",
]
OTHER_JUNK = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(st.tuples(st.sampled_from(OTHERS), OTHER_JUNK), min_size=1, max_size=4))
def test_any_values_of_the_other_settings_are_read_or_refused(given_: list[tuple[tuple[str, ...], Any]]) -> None:
    """The same for several values of any kind at any other settings."""
    tree: dict[str, Any] = {"trust_domain": "example.org", "services": {"a": SERVICE}}
    for path, junk in given_:
        inner = tree
        for step in path[:-1]:
            below = inner.setdefault(step, {})
            inner = below if isinstance(below, dict) else {}
        inner[path[-1]] = junk
    assert read_or_refused(json.dumps(tree))


SETTINGS = {
    "AlertModel": "email, smtp, from, user, password, tls, slack, pagerduty, url, alertmanager, webhook, secret, "
    "trust, digest",
    "file": "trust_domain, services, lifetimes, database, authority, profiles, monitors, monitoring, alerts",
    "AuthorityModel": "issuing, root_key, issuing_key, name_constraints, publish, crl_shards, keys",
    "ConstraintsModel": "dns, ips, uris, emails",
    "ExpectModel": "client_certificate, tls, issuer, pins, chain, status, headers, body, json, latency",
    "KeysModel": "custody, passphrase, module, token, pin",
    "LifetimesModel": "client, gateway",
    "ModuleModel": "prober, trust, server_name, credential",
    "MonitoringModel": "listen, probe, statsd, otlp, jsonl, retention",
    "MonitorModel": "target, refuses, every, timeout, retries, retry_after, warning, critical, expect, trust, "
    "credential, server_name, passphrase, maintenance, labels, alerts, paused",
    "NamesModel": "spiffe, dns, ips",
    "ProbeModel": "targets, modules",
    "ProfileModel": "extends, lifetime, max_lifetime, key_types, usages, names, approval",
    "PublishModel": "listen, url",
    "RetentionModel": "results, history",
    "RuleModel": "allow, methods, paths",
    "ServiceModel": KEYS,
}


def test_the_schema_describes_every_setting_and_no_other() -> None:
    """Editors offer what the file may say, each with a description and an example, and mark all else."""
    made = schema()
    definitions: dict[str, Any] = made["$defs"]
    assert made["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    parts = {"file": made, **definitions}
    assert {name: ", ".join(part["properties"]) for name, part in parts.items()} == SETTINGS
    for part in parts.values():
        assert part["additionalProperties"] is False
        for setting in part["properties"].values():
            assert setting["description"]
            assert setting.get("examples") or "$ref" in setting
    assert {name: part["required"] for name, part in parts.items() if "required" in part} == {
        "file": ["trust_domain"],
        "ServiceModel": ["listen", "hosts", "upstream"],
        "RuleModel": ["allow"],
        "MonitorModel": ["target"],
        "ModuleModel": ["prober"],
    }


def test_what_has_names_of_ones_own() -> None:
    """Names of one's own, each with settings below it, and the names themselves are described."""
    properties = schema()["properties"]
    for name, model in (
        ("services", "ServiceModel"),
        ("profiles", "ProfileModel"),
        ("monitors", "MonitorModel"),
        ("alerts", "AlertModel"),
    ):
        named = properties[name].get("anyOf", [properties[name]])[
            0
        ]  # monitors: may also be there with nothing below it
        assert named["type"] == "object"
        assert named["additionalProperties"] == {"$ref": f"#/$defs/{model}"}
        assert properties[name]["propertyNames"]["pattern"].startswith(("^[a-z", "^[A-Za-z"))


@pytest.mark.parametrize("model", [name for name in SETTINGS if name != "RuleModel"])
def test_the_examples_of_the_schema_are_read(model: str) -> None:
    """What the schema shows may be written."""
    made = schema()
    properties = (made if model == "file" else made["$defs"][model])["properties"]
    examples = [(key, example) for key, setting in properties.items() for example in setting.get("examples", [])]
    assert examples
    for key, example in examples:
        assert isinstance(parse(json.dumps(_with(model, key, example)), "f"), Settings), (key, example)


def _with(model: str, key: str, example: Any) -> dict[str, Any]:
    """A file that has the example in its place, and beside it what it cannot be without."""
    file: dict[str, Any] = {"trust_domain": "example.org", "services": {"a": SERVICE}}
    beside: dict[str, Any] = {}
    match model:
        case "file":
            return file | {key: example}
        case "ServiceModel":
            return file | {"services": {"a": SERVICE | {"upstream": "https://a"} | {key: example}}}
        case "LifetimesModel":
            return file | {"lifetimes": {key: example}}
        case "ProfileModel":
            return file | {"profiles": {"p": {key: example}}}
        case "MonitorModel":
            target = {"credential": "https://a.test", "passphrase": "/a"}.get(key, "a.test:443")
            alerts = {"alerts": {"oncall": {"pagerduty": "env:A"}}} if key == "alerts" else {}
            return file | alerts | {"monitors": {"m": {"target": target} | {key: example}}}
        case "AlertModel":
            mail = {"email": "a@b.test", "smtp": "localhost:25", "from": "c@b.test"}
            login = {"user": "u", "password": "env:A"} if key in ("user", "password") else {}
            way = {"pagerduty": {}, "slack": {}, "alertmanager": {}, "webhook": {"secret": "env:A"}}.get(key)
            way = {"url": {"pagerduty": "env:A"}, "secret": {"webhook": "https://a"}}.get(key, way)
            return file | {"alerts": {"a": (mail if way is None else way) | login | {key: example}}}
        case "ExpectModel":
            return file | {"monitors": {"m": {"target": "https://a.test", "expect": {key: example}}}}
        case "MonitoringModel":
            return file | {"monitoring": {key: example}}
        case "ProbeModel":
            probe = {"targets": "a.test"} | {key: example}
            return file | {"monitoring": {"listen": 9219, "probe": probe}}
        case "ModuleModel":
            probe = {"targets": "a.test", "modules": {"m": {"prober": "tls"} | {key: example}}}
            return file | {"monitoring": {"listen": 9219, "probe": probe}}
        case "RetentionModel":
            return file | {"monitoring": {"retention": {key: example}}}
        case "NamesModel":
            return file | {"profiles": {"p": {"extends": "server", "names": {key: example}}}}
        case "AuthorityModel":
            return file | {"authority": {key: example}}
        case "ConstraintsModel":
            return file | {"authority": {"name_constraints": {key: example}}}
        case "PublishModel":
            return file | {"authority": {"publish": {"url": "http://a", key: example}}}
        case _:
            if key in ("module", "token", "pin"):
                beside = {"custody": "pkcs11", "module": "/x", "token": "t", "pin": "env:A"}
            return file | {"authority": {"keys": beside | {key: example}}}
