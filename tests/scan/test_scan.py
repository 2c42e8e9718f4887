"""``handclasp scan`` against real servers: what is found, how politely, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import signal
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet
import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from handclasp.app.scanning import Asked, Listeners, scan
from handclasp.app.state import StateDirectory
from handclasp.scan.results import rows
from handclasp.testing.scripted import Conversation, Scripted, server_context

from .conftest import Command, Gauge, answer, context_of, current

HANDCLASP = (sys.executable, "-m", "handclasp")


def closed_port() -> int:
    """A port on which nobody listens, on any loopback address."""
    return 1


def quietly(asked: Asked, tmp_path: Path) -> tuple[int, int]:
    """Scan in this process; the exit code, and how many chains were verified."""
    listeners = Listeners(lambda _: None, lambda _: None, lambda _tally, _seconds: None)

    def load() -> object:
        raise AssertionError("there is no state")

    outcome = scan(asked, StateDirectory(tmp_path / "state"), load, listeners)  # type: ignore[arg-type]  # never called
    return outcome.tally.exit_code, outcome.verified


def targets(path: Path) -> list[str]:
    return [one.target for one in rows(path)]


def wait_for(what: Callable[[], bool]) -> None:
    ends = time.monotonic() + 20
    while not what():
        assert time.monotonic() < ends, "it did not come"
        time.sleep(0.01)


def test_everything_at_once(command: Command, endpoint: Scripted, optional_endpoint: Scripted, tmp_path: Path) -> None:
    """Words, a list with rubbish, standard input left alone, a network and a zone; the JSON is that of a probe."""
    port, other = endpoint.port, optional_endpoint.port
    (tmp_path / "list").write_text(f"127.0.0.1:{other}\nnot a host\n127.0.0.1:{closed_port()}\n")
    (tmp_path / "zone").write_text("$ORIGIN localhost.\n@ IN A 127.0.0.1\n")
    words = ("--file", "list", "--zone", "zone", "--ports", port, f"127.0.0.8/30:{port}", f"localhost:{port}")
    said = command("scan", *words, "--format", "jsonl")
    told = {one["target"]: one for one in map(json.loads, said.out.splitlines())}
    assert {name: (one["code"], one["client_certificate"]) for name, one in told.items()} == {
        f"127.0.0.9:{port}": ("SERVER_CERT_SELF_SIGNED", "required"),
        f"127.0.0.10:{port}": ("SERVER_CERT_SELF_SIGNED", "required"),
        f"localhost:{port}": ("SERVER_CERT_SELF_SIGNED", "required"),
        f"127.0.0.1:{other}": ("SERVER_CERT_SELF_SIGNED", "optional"),
        f"127.0.0.1:{closed_port()}": ("NET_CONNECTION_REFUSED", "undetermined"),
    }
    probed = json.loads(command("probe", f"localhost:{port}", "--json").out)
    assert set(probed) - set(told[f"localhost:{port}"]) == {"trace", "credential", "crls"}
    assert set(told[f"localhost:{port}"]) - set(probed) == {"scan"}
    assert [told[f"{host}:{port}"]["server_name"] for host in ("127.0.0.9", "localhost")] == [None, "localhost"]
    first, *rest = said.err.splitlines()
    assert (said.code, first.startswith("list:2: 'not a host'")) == (1, True)
    assert rest[-3].startswith("5 targets in ")
    assert rest[-3].endswith(": 0 OK, 4 with findings, 1 unreachable.")
    assert rest[-2:] == [
        "Findings: SERVER_CERT_SELF_SIGNED 4, NET_CONNECTION_REFUSED 1.",
        "Beside them: 1 named twice, 1 line not understood.",
    ]


def test_exit_codes(command: Command, tmp_path: Path, endpoint: Scripted) -> None:
    """0: all is well; 1: a finding; 2: nothing to scan, or what was asked cannot be done."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    der = ssl.get_server_certificate(("127.0.0.1", endpoint.port))
    (tmp_path / "ca.pem").write_text(der)
    (tmp_path / "empty").write_text("# nothing\n")
    target = f"localhost:{endpoint.port}"
    assert command("scan", target, "--cacert", "ca.pem").code == 0
    assert command("scan", target, "--trust", "system").code == 1
    assert command("scan", "--file", "empty").code == 2
    for wrong in (("--file", "missing"), ("--file", "."), ("10.0.0.0/4",), (target, "--format", "sqlite"), ()):
        assert command("scan", *wrong).code == 2
    (tmp_path / "there.csv").write_text("mine\n")
    for option in ((), ("--resume",)):
        assert command("scan", target, "--output", "there.csv", *option).code == 2
    assert (tmp_path / "there.csv").read_text() == "mine\n"
    assert command("scan", target, "--output", "x.parquet", "--resume").code == 2


def test_the_table_and_the_way_of_a_diff(
    command: Command, endpoint: Scripted, optional_endpoint: Scripted, tmp_path: Path
) -> None:
    """Two scans of a name that moves from one server to the other: the certificate is no longer demanded, said first;
    1 with differences, 0 without, 2 where a file is none."""
    said = command("scan", f"localhost:{endpoint.port}", "--quiet")
    assert said.out.splitlines()[1].split()[:3] == [f"localhost:{endpoint.port}", "SERVER_CERT_SELF_SIGNED", "required"]
    assert said.err == ""
    command("scan", f"localhost:{endpoint.port}", "--output", "old.sqlite")
    command("scan", f"localhost:{optional_endpoint.port}", "--output", "new.jsonl")
    text = (tmp_path / "new.jsonl").read_text().replace(str(optional_endpoint.port), str(endpoint.port))
    (tmp_path / "new.jsonl").write_text(text)
    said = command("scan", "diff", "old.sqlite", "new.jsonl", "--json")
    told = [json.loads(line) for line in said.out.splitlines()]
    assert said.code == 1
    assert [(one["change"], one["worse"]) for one in told] == [("client_certificate", True), ("certificate", None)]
    assert command("scan", "diff", "old.sqlite", "new.jsonl").out.splitlines()[0] == (
        f"worse  localhost:{endpoint.port}: client certificate required -> optional"
    )
    assert command("scan", "diff", "old.sqlite", "old.sqlite").code == 0
    assert command("scan", "diff", "old.sqlite", "missing").code == 2


def test_every_distinct_chain_is_verified_once(endpoint: Scripted, tmp_path: Path) -> None:
    """Thirty addresses, one chain."""
    asked = Asked((f"127.0.1.0/27:{endpoint.port}",), output=tmp_path / "r.jsonl")
    assert quietly(asked, tmp_path) == (1, 1)
    assert len(targets(tmp_path / "r.jsonl")) == 30


def test_no_more_connections_to_a_host_than_asked_for(tmp_path: Path) -> None:
    """Measured at the server: two at once unless more are allowed; other hosts do not wait for it."""
    most = {}
    for allowed in (2, 0):
        gauge = Gauge(0.03)
        with Scripted(gauge.script, host="0.0.0.0") as server:
            texts = tuple(f"https://127.0.0.1:{server.port}/{number}" for number in range(12))
            quietly(Asked(texts, per_host=allowed), tmp_path)
            most[allowed] = gauge.most
            assert server.accepted == 12
    assert most[2] == 2
    assert most[0] > 2


def test_no_more_connections_a_second_than_asked_for(tmp_path: Path) -> None:
    """Measured at the server: between the first and the thirtieth at least 29 times the interval, less the burst."""
    times: list[float] = []

    def script(conversation: Conversation) -> None:
        times.append(time.monotonic())
        conversation.sock.sendall(b"SSH-2.0-none\r\n")

    with Scripted(script, host="0.0.0.0") as server:
        quietly(Asked((f"127.0.1.0/27:{server.port}",), rate=100.0), tmp_path)
    assert len(times) == 30
    assert max(times) - min(times) > 29 / 100 - 0.03


@pytest.mark.parametrize(
    ("option", "asked_for"), [((), "localhost"), (("--sni", "none"), None), (("--sni", "other.test"), "other.test")]
)
def test_the_name_that_is_asked_for(command: Command, option: tuple[str, ...], asked_for: str | None) -> None:
    """The target's own, none, or another."""
    context = server_context()
    names: list[str | None] = []
    context.sni_callback = lambda _tls, name, _context: names.append(name)
    with Scripted(answer(context)) as server:
        command("scan", f"localhost:{server.port}", *option)
    assert set(names) == {asked_for}


def test_any_name_is_right_where_nobody_was_named(command: Command, endpoint: Scripted) -> None:
    """An address that was written must be in the certificate; one of a network, or with --any-name, need not."""

    def codes(*words: str) -> list[str]:
        out = command("scan", *words, "--format", "jsonl").out
        return [finding["code"] for line in out.splitlines() for finding in json.loads(line)["findings"]]

    written = f"127.0.0.77:{endpoint.port}"
    assert "SERVER_CERT_HOSTNAME_MISMATCH" in codes(written)
    assert "SERVER_CERT_HOSTNAME_MISMATCH" not in codes(written, "--any-name")
    assert "SERVER_CERT_HOSTNAME_MISMATCH" not in codes(f"127.0.0.77/32:{endpoint.port}")


@pytest.mark.parametrize("form", ["table", "jsonl", "csv", "sqlite", "parquet"])
def test_a_hostile_certificate(form: str, command: Command, tmp_path: Path) -> None:
    """Escape sequences, formulas and huge names out of a true handshake, in every form."""
    attributes = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "o" * 5000, _validate=False),
        x509.NameAttribute(NameOID.COMMON_NAME, "=1+1\x1b[2J\r\n\u202eevil", _validate=False),
    ]
    names = [x509.DNSName(f"{'n' * 50}-{number}.example.org") for number in range(500)]
    holder = current(x509.Name(attributes), names=names)
    output = () if form == "table" else ("--output", f"r.{form}")
    with Scripted(answer(context_of(holder, tmp_path))) as server:
        said = command("scan", f"localhost:{server.port}", *output)
    assert said.code == 1
    assert [line for line in said.out.splitlines() + said.err.splitlines() if not line.isprintable()] == []
    if output:
        (found,) = rows(tmp_path / f"r.{form}")
        assert found.target == f"localhost:{server.port}"
        assert found.issuer is not None
        assert found.issuer.startswith("CN==1\\+1\\u{1b}[2J\\u{d}\\u{a}\\u{202e}evil,O=ooo")


def child(*words: object, cwd: Path, **more: object) -> subprocess.Popen[bytes]:
    arguments = [*HANDCLASP, "scan", *map(str, words)]
    return subprocess.Popen(arguments, cwd=cwd, stderr=subprocess.PIPE, **more)  # type: ignore[call-overload, no-any-return]  # plain keywords of Popen


@pytest.fixture
def slow() -> Iterator[Scripted]:
    """Answers after a moment, with something that is not TLS."""

    def script(conversation: Conversation) -> None:
        time.sleep(0.02)
        conversation.sock.sendall(b"SSH-2.0-none\r\n")

    with Scripted(script, host="0.0.0.0") as server:
        yield server


@pytest.mark.parametrize("form", ["jsonl", "csv", "sqlite"])
def test_a_scan_that_was_killed_goes_on(form: str, tmp_path: Path, slow: Scripted) -> None:
    """kill -9 in the middle, and a torn line on top of it: afterwards every target is there once, and nothing was
    asked twice but what was under way (SQLite: what half a second had not committed)."""
    path = tmp_path / f"r.{form}"
    words = (f"127.0.1.0/26:{slow.port}", "--concurrency", 1, "--output", path)
    with child(*words, cwd=tmp_path) as process:
        wait_for(lambda: slow.accepted > (45 if form == "sqlite" else 12))
        process.kill()
        process.communicate()
    kept = len(targets(path))
    assert 0 < kept < 62
    if form != "sqlite":
        with path.open("ab") as file:
            file.write(b'{"target":"127.0.1.1:1","code":"O' if form == "jsonl" else b'127.0.1.1:1,2026-"')
    before = slow.accepted
    asked = Asked((f"127.0.1.0/26:{slow.port}",), output=path, resume=True)
    quietly(asked, tmp_path)
    assert Counter(targets(path)) == Counter(f"127.0.1.{number}:{slow.port}" for number in range(1, 63))
    assert slow.accepted - before == 62 - kept
    octets = path.read_bytes()
    quietly(asked, tmp_path)
    assert (slow.accepted - before, form == "sqlite" or path.read_bytes() == octets) == (62 - kept, True)


def test_resuming_with_other_options_or_another_form_is_refused(
    command: Command, endpoint: Scripted, tmp_path: Path
) -> None:
    """The results would not compare; the file is left as it was."""
    target = f"localhost:{endpoint.port}"
    command("scan", target, "--output", "r.jsonl")
    octets = (tmp_path / "r.jsonl").read_bytes()
    for other in (("--trust", "system"), ("--sni", "none"), ("--tls", "1.2"), ("--any-name",), ("--format", "csv")):
        assert command("scan", target, "--output", "r.jsonl", "--resume", *other).code == 2
    assert (tmp_path / "r.jsonl").read_bytes() == octets
    said = command("scan", target, "--output", "r.jsonl", "--resume", "--timeout", "3s")
    assert (said.code, "1 in the output already" in said.err) == (1, True)


def test_two_scans_do_not_write_to_one_file(command: Command, tmp_path: Path) -> None:
    """The second is refused, in every form that is written as it goes."""
    with Scripted(lambda conversation: conversation.wait_for_end()) as server:
        for form in ("jsonl", "sqlite"):
            path = tmp_path / f"r.{form}"
            with child(f"127.0.0.1:{server.port}", "--output", path, cwd=tmp_path) as process:
                wait_for(path.exists)
                wait_for(lambda: server.accepted > 0)
                said = command("scan", "127.0.0.1:1", "--output", path, "--resume")
                process.send_signal(signal.SIGTERM)
                process.communicate()
            assert (said.code, "another scan is writing to it" in said.err) == (2, True)
            server.accepted = 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_it_with_what_there_is(how: signal.Signals, tmp_path: Path, endpoint: Scripted) -> None:
    """Some have answered, others never will: at once, 130, and a Parquet file of those that have."""
    with Scripted(lambda conversation: conversation.wait_for_end()) as silent:
        words = (f"127.0.0.1:{silent.port}", f"localhost:{endpoint.port}", "--output", "r.parquet")
        before = endpoint.accepted
        with child(*words, cwd=tmp_path) as process:
            wait_for(lambda: endpoint.accepted > before and silent.accepted > 0)
            time.sleep(0.3)
            began = time.monotonic()
            process.send_signal(how)
            _, err = process.communicate()
        assert time.monotonic() - began < 3
    assert process.returncode == 130
    assert err.decode().splitlines()[0] == "Stopped before the end; what was examined is written."
    assert pyarrow.parquet.read_table(tmp_path / "r.parquet").column("target").to_pylist() == [
        f"localhost:{endpoint.port}"
    ]


def test_progress_on_a_terminal_makes_way_for_results(tmp_path: Path, slow: Scripted) -> None:
    """One line that is drawn again and again, with how many of how many, and that is gone at the end."""
    ours, theirs = pty.openpty()
    words = [*HANDCLASP, "scan", f"127.0.1.0/28:{slow.port}", "--concurrency", "1"]
    with subprocess.Popen(words, cwd=tmp_path, stderr=theirs, stdout=subprocess.PIPE) as process:
        out, _ = process.communicate()
        os.close(theirs)
        shown = b""
        try:
            while more := os.read(ours, 65536):
                shown += more
        except OSError:
            pass  # the terminal's other side is gone
        finally:
            os.close(ours)
    assert len(out.splitlines()) == 15
    assert b"/14 (" in shown
    last_drawing = shown.rpartition(b"\r\x1b[K")
    assert b"[" not in last_drawing[2].partition(b"\n")[0]


def test_a_reader_that_stops_reading_ends_it_quietly(tmp_path: Path) -> None:
    """As `| head -1` does."""
    words = [*HANDCLASP, "scan", "127.0.1.0/24:1", "--format", "jsonl", "--quiet", "--rate", "100"]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode >= 0


MEASURED = """
import sys
from pathlib import Path
from handclasp.cli.main import main
try:
    main(sys.argv[1:])
finally:
    print(next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")))
"""


def peak(count: int, tmp_path: Path) -> int:
    """The most memory (KiB) that a scan of so many lines from a pipe takes."""
    words = ("scan", "-", "--output", f"{count}.jsonl", "--quiet", "--any-name")
    listed = (f"127.{1 + number // 62500}.{number // 250 % 250}.{number % 250 + 1}:1\n" for number in range(count))
    with subprocess.Popen(
        [sys.executable, "-c", MEASURED, *words], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.writelines(listed)
        process.stdin.close()
        said = process.stdout.read()
    assert process.returncode == 1
    assert (tmp_path / f"{count}.jsonl").read_bytes().count(b"\n") == count
    return int(said.split()[1])


def test_memory_does_not_grow_with_the_number_of_targets(tmp_path: Path) -> None:
    """20,000 lines from a pipe, to closed ports: a few megabytes more than for 1,000, and far below 150."""
    few, many = peak(1_000, tmp_path), peak(20_000, tmp_path)
    assert many < 80 * 1024
    assert many - few < 8 * 1024
