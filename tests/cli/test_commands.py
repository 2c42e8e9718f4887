"""What commands print and how they exit, without a gateway."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import click
import pytest

from handclasp.cli.options import Duration
from handclasp.pki.keys import key_type, load_private


class Said(Protocol):
    code: int
    out: str
    err: str


Run = Callable[..., Said]


# Exit codes and messages


def test_a_wrong_word_is_2(run: Run) -> None:
    """A command that does not exist is the user's mistake."""
    said = run("frobnicate")
    assert (said.code, said.out) == (2, "")
    assert said.err.endswith("Error: No such command 'frobnicate'.\n")


@pytest.mark.parametrize(
    "words",
    [("client", "list"), ("client", "add", "a"), ("can", "a", "GET", "/"), ("config", "validate"), ("up",)],
    ids=" ".join,
)
def test_without_settings(run: Run, words: tuple[str, ...], tmp_path: Path) -> None:
    """CONFIG_MISSING: what happened, why, what to do; exit 2, and nothing is made."""
    said = run(*words)
    assert (said.code, said.out) == (2, "")
    assert re.fullmatch(r"There is no handclasp\.yaml: .+\.\n.+\.\n\(CONFIG_MISSING\) More: .+\n", said.err), said.err
    assert [path.name for path in tmp_path.iterdir() if words[0] != "up"] == []


def test_status_without_state(run: Run, settings: Path) -> None:
    """`status` makes no authority: it says that there is nothing yet."""
    said = run("status")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("There is nothing in .handclasp yet: ")
    assert [path.name for path in settings.parent.iterdir()] == ["handclasp.yaml"]


def test_a_refusal_in_three_parts(run: Run, settings: Path) -> None:
    """Refused: what and why in a line, what to do in the next, then the code and what explains it; exit 2."""
    said = run("client", "show", "nobody")
    assert (said.code, said.out, said.err) == (
        2,
        "",
        "There is no caller nobody: no certificate was ever issued to spiffe://example.org/nobody.\n"
        "See the callers: handclasp client list.\n"
        "(REQUEST_IDENTITY_UNKNOWN) More: handclasp explain REQUEST_IDENTITY_UNKNOWN\n",
    )


def test_an_invalid_name(run: Run, settings: Path) -> None:
    """InvalidSetting: what is wrong, and what is allowed; exit 2."""
    said = run("client", "add", "a//b")
    assert (said.code, said.out, said.err) == (
        2,
        "",
        "'a//b' has two slashes together.\nAllowed: segments of letters, digits, dots, dashes and underscores, "
        "with a slash between them, as in checkout or audit/nightly.\n",
    )


@pytest.mark.parametrize("name", ["handclasp/x", "spiffe://example.org/handclasp/x"], ids=["name", "URI"])
def test_a_reserved_name(run: Run, settings: Path, name: str) -> None:
    """The product's own names are given to nobody; exit 2."""
    said = run("client", "add", name)
    assert said.code == 2
    assert said.err.startswith("names that begin with handclasp/ belong to Handclasp itself.\n")


def test_another_trust_domain(run: Run, settings: Path) -> None:
    """A whole SPIFFE ID of another trust domain is refused, naming ours; exit 2."""
    said = run("client", "add", "spiffe://other.org/a")
    assert said.code == 2
    assert "this authority's is example.org" in said.err


@pytest.mark.parametrize(
    "words", [("config", "validate"), ("client", "list"), ("can", "a", "GET", "/"), ("up",)], ids=" ".join
)
def test_settings_with_mistakes(run: Run, settings: Path, words: tuple[str, ...]) -> None:
    """SettingsError: file, line and column of each; exit 2, no traceback."""
    settings.write_text(settings.read_text().replace("8443", "99999").replace("GET", "get"))
    said = run(*words)
    assert said.code == 2
    assert "handclasp.yaml:4:" in said.err
    assert "handclasp.yaml:9:" in said.err
    assert "Nothing was changed." in said.err
    assert "Traceback" not in said.err


def test_a_state_that_cannot_be_written(run: Run, settings: Path) -> None:
    """A file where the state directory should be; exit 2."""
    (settings.parent / "file").write_text("")
    said = run("client", "list", "--dir", "file/state")
    assert said.code == 2
    assert said.err.endswith("\n(STATE_UNWRITABLE) More: handclasp explain STATE_UNWRITABLE\n")


def test_up_says_what_only_a_first_run_takes(run: Run, settings: Path) -> None:
    """With a file there, --upstream names the line to edit (D11); exit 2."""
    said = run("up", "--upstream", "http://127.0.0.1:9")
    assert said.code == 2
    assert "handclasp.yaml:6" in said.err
    assert said.err.endswith("\n(CONFIG_CONFLICT) More: handclasp explain CONFIG_CONFLICT\n")


@pytest.mark.parametrize(
    "options",
    [
        ("--upstream", "nonsense"),
        ("--upstream", "ftp://a"),
        ("--upstream", "http://a", "--listen", "x"),
        ("--upstream", "http://a", "--listen", "0"),
        ("--upstream", "http://a", "--listen", "99999"),
        ("--upstream", "http://a", "--trust-domain", "A B"),
        ("--upstream", "http://a", "--upstream", "http://b"),
        ("--upstream", "UP=http://a"),
    ],
    ids=" ".join,
)
def test_up_with_a_wrong_option_writes_nothing(run: Run, tmp_path: Path, options: tuple[str, ...]) -> None:
    """Exit 2 with one message, and no settings file that the next run would trip over."""
    said = run("up", *options)
    assert said.code == 2
    assert said.err
    assert "Traceback" not in said.err
    assert not (tmp_path / "handclasp.yaml").exists()


def test_a_taken_port(run: Run, settings: Path) -> None:
    """The port and the line of the file; exit 2, and no Envoy was started."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        settings.write_text(settings.read_text().replace("listen: 8443", f"listen: 127.0.0.1:{port}"))
        said = run("up")
    assert said.code == 2
    assert said.err.startswith(f"The gateway cannot listen on port {port}: another program listens there.\n")
    assert "handclasp.yaml:4" in said.err
    assert not (settings.parent / ".handclasp" / "log" / "envoy.log").exists()


# config


def test_config_validate(run: Run, settings: Path) -> None:
    """A valid file is counted; exit 0."""
    said = run("config", "validate")
    assert (said.code, said.out) == (0, "handclasp.yaml is valid: 1 service, 1 rule.\n")


def test_config_validate_warns_of_no_rules(run: Run, settings: Path) -> None:
    """A service that nobody may call is valid, and said."""
    settings.write_text(settings.read_text().partition("    rules:")[0])
    said = run("config", "validate")
    assert said.code == 0
    assert said.out.splitlines()[1:] == ["handclasp.yaml:3: orders has no rules, so nobody may call it."]


def test_config_schema(run: Run) -> None:
    """The schema is JSON, and needs no settings."""
    said = run("config", "schema")
    assert json.loads(said.out)["title"] == "handclasp.yaml"


# can


@pytest.mark.parametrize(
    ("arguments", "code", "first"),
    [
        (("alice", "GET", "/v1/x"), 0, "Yes"),
        (("spiffe://example.org/alice", "GET", "/v1/x"), 0, "Yes"),
        (("alice", "POST", "/v1/x"), 1, "No"),
        (("bob", "GET", "/v1/x"), 1, "No"),
        (("alice", "GET", "/v1/../v2"), 1, "No"),
        (("alice", "GET", "/v1/a%2fb"), 1, "No"),
        (("spiffe://other.org/alice", "GET", "/v1/x"), 1, "No"),
    ],
    ids=["allowed", "by URI", "method", "caller", "dots", "encoded slash", "other trust domain"],
)
def test_can(run: Run, settings: Path, arguments: tuple[str, ...], code: int, first: str) -> None:
    """Exit 0 for yes, 1 for no."""
    said = run("can", *arguments)
    assert (said.code, said.out.split(":")[0]) == (code, first)


def test_can_names_the_deciding_line(run: Run, settings: Path) -> None:
    """A yes says which rule, by its line."""
    assert "handclasp.yaml:8" in run("can", "alice", "GET", "/v1/x").out


def test_can_as_json(run: Run, settings: Path) -> None:
    """--json parses, and has the decision."""
    said = run("can", "alice", "GET", "/v1/../v1/x?y", "--json")
    told = json.loads(said.out)
    assert {key: told[key] for key in ("service", "caller", "method", "path", "allowed", "code", "rule")} == {
        "service": "orders",
        "caller": "spiffe://example.org/alice",
        "method": "GET",
        "path": "/v1/x",
        "allowed": True,
        "code": "OK",
        "rule": 1,
    }


@pytest.mark.parametrize(
    "arguments",
    [("alice", "get", "/"), ("a//b", "GET", "/"), ("alice", "GET", "/", "--service", "other")],
    ids=["method", "caller", "service"],
)
def test_can_with_a_mistake_is_2(run: Run, settings: Path, arguments: tuple[str, ...]) -> None:
    """A question that makes no sense is neither yes nor no."""
    assert run("can", *arguments).code == 2


# client and status


def test_the_life_of_a_caller(run: Run, settings: Path) -> None:
    """add, list, show, renew, revoke and status, each with JSON that parses and agrees with the others."""
    added = json.loads(run("client", "add", "alice", "--dns", "a.example.org", "--lifetime", "30d", "--json").out)
    assert (added["identity"], added["dns"], added["state"]) == (
        "spiffe://example.org/alice",
        ["a.example.org"],
        "valid",
    )
    assert {kind: Path(path).is_file() for kind, path in added["files"].items()} == {
        "key": True,
        "chain": True,
        "bundle": True,
    }
    (listed,) = json.loads(run("client", "list", "--json").out)["clients"]
    assert listed["serial"] == added["serial"]
    renewed = json.loads(run("client", "renew", "alice", "--json").out)
    assert renewed["serial"] != added["serial"]
    shown = json.loads(run("client", "show", "alice", "--json").out)
    assert [c["serial"] for c in shown["certificates"]] == [added["serial"], renewed["serial"]]
    revoked = json.loads(run("client", "revoke", "alice", "--reason", "key_compromise", "--json").out)
    assert ([c["serial"] for c in revoked["revoked"]], revoked["gateway_seconds"]) == (
        [added["serial"], renewed["serial"]],
        None,
    )
    status = json.loads(run("status", "--json").out)
    assert (status["clients"], status["gateway"]) == ({"valid": 0, "expired": 0, "held": 0, "revoked": 2}, None)


def test_client_add_says_expiry_and_files(run: Run, settings: Path) -> None:
    """The lifetime is said when the certificate is made, and no private key is printed."""
    said = run("client", "add", "audit/nightly")
    assert said.out.startswith("Made spiffe://example.org/audit/nightly\n  expires ")
    assert "(90 days left)" in said.out
    assert "audit+nightly/key.pem" in said.out
    assert "PRIVATE" not in said.out + said.err


def test_client_list_of_nobody(run: Run, settings: Path) -> None:
    """An empty list says how to begin."""
    assert run("client", "list").out == "There are no callers yet: handclasp client add NAME.\n"


@pytest.mark.parametrize(
    ("words", "kind"),
    [((), "ec-p256"), (("--key-type", "ed25519"), "ed25519"), (("--key-type", "rsa-2048"), "rsa-2048")],
    ids=["default", "ed25519", "rsa-2048"],
)
def test_client_add_makes_a_key_of_the_kind_that_is_asked(
    run: Run, settings: Path, words: tuple[str, ...], kind: str
) -> None:
    """P-256 where nothing is."""
    files = json.loads(run("client", "add", "bob", *words, "--json").out)["files"]
    assert key_type(load_private(Path(files["key"]).read_bytes()).public_key()) == kind


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("alice", "ml-dsa-65", "REQUEST_KEY_NOT_VERIFIABLE"),
        ("bob", "ml-dsa-65", "REQUEST_KEY_NOT_ALLOWED"),
        ("bob", "dsa", "--key-type: 'dsa' is no kind of key"),
    ],
    ids=["one whom a service lets in", "one whom none does", "none"],
)
def test_client_add_refuses_other_kinds(run: Run, settings: Path, name: str, kind: str, said: str) -> None:
    """Exit 2, with why; no file is written."""
    ended = run("client", "add", name, "--key-type", kind)
    assert ended.code == 2
    assert said in ended.err
    assert list(settings.parent.glob(".handclasp/clients/*")) == []


@pytest.mark.parametrize("lifetime", ["1s", "400d", "ten", "-5d", "90"])
def test_a_lifetime_out_of_bounds(run: Run, settings: Path, lifetime: str) -> None:
    """Refused with exit 2, and no certificate is recorded."""
    said = run("client", "add", "alice", "--lifetime", lifetime)
    assert said.code == 2
    assert json.loads(run("client", "list", "--json").out) == {"clients": []}


def test_p12_from_the_environment(run: Run, settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The passphrase comes from a variable or a file, and is not printed."""
    monkeypatch.setenv("HANDCLASP_P12_PASSWORD", "open sesame")
    said = run("client", "add", "alice", "--p12", "--json")
    assert Path(json.loads(said.out)["files"]["p12"]).is_file()
    assert "sesame" not in said.out + said.err


def test_p12_with_an_empty_passphrase(run: Run, settings: Path, tmp_path: Path) -> None:
    """Exit 2, before anything is issued."""
    (tmp_path / "empty").write_text("\n")
    assert run("client", "add", "alice", "--p12", "--p12-password-file", "empty").code == 2
    assert json.loads(run("client", "list", "--json").out) == {"clients": []}


def test_status_for_people(run: Run, settings: Path) -> None:
    """That the root's key is online is said, with how to move it away; and that no gateway runs."""
    run("client", "add", "alice")
    out = run("status").out
    assert "The root's key is online, unencrypted, in " in out
    assert "(mv " in out
    assert "Gateway     not running (handclasp up)" in out
    assert "Service     orders: orders.example.org on 8443 -> http://127.0.0.1:8000" in out


# options


@pytest.mark.parametrize(("text", "seconds"), [("45s", 45.0), ("30m", 1800.0), ("12h", 43200.0), ("90d", 7776000.0)])
def test_durations(text: str, seconds: float) -> None:
    """A number and a unit."""
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "90", "d", "1.5d", "-1d", "90 d", "90D", "\N{ARABIC-INDIC DIGIT NINE}d", "1d\n"])
def test_no_durations(text: str) -> None:
    """Anything else is an error that shows how."""
    with pytest.raises(click.BadParameter, match="as in 90d, 12h, 30m or 10s"):
        Duration().convert(text, None, None)
