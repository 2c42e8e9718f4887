"""The ways out: HTTP and SMTP, to servers that are real, and to some that nobody would want to meet."""

from __future__ import annotations

import asyncio
import base64
import email
import email.policy
import hashlib
import hmac
import logging
import os
import pwd
import shutil
import ssl
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from handclasp.findings import Code, Refused
from handclasp.monitor.alerts.dispatch import DIGEST, Dispatch, World, digest_transition
from handclasp.monitor.alerts.receiver import Email, Login, PagerDuty, Receiver, Slack, Way, Webhook
from handclasp.monitor.alerts.wire import NotSent
from handclasp.monitor.definition import State
from handclasp.monitor.digest import digest
from handclasp.monitor.ports import Standing
from handclasp.monitor.results import Transition
from handclasp.testing.receiving import OK, Answer, receiving
from handclasp.testing.scripted import Conversation, Scripted
from handclasp.testing.servers import Case, Client, Product, make_material, one
from handclasp.testing.servers.case import Command, Listener, Site
from handclasp.testing.servers.material import Material
from handclasp.testing.servers.running import HOST, program
from handclasp.testing.watching import AT, a_monitor, a_result

SECRETS = {"env:KEY": b"whsec_" + base64.b64encode(b"k" * 32), "env:ROUTING": b"R0UT1NG", "env:PASSWORD": b"p4ssw0rd"}
MOVED = Transition("ab12", "m", AT, State.OK, State.CRITICAL, None, a_result(State.CRITICAL))
STANDING = Standing(a_monitor("m"), State.OK, AT, a_result(), AT)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """Certificates for the servers of this module."""
    return make_material(tmp_path_factory.mktemp("material"))


@pytest.fixture
def trusting(material: Material) -> ssl.SSLContext:
    """Verifies them."""
    return ssl.create_default_context(cafile=material.roots)


def secret(place: str, what: str) -> bytes:
    """The secrets that there are."""
    if place not in SECRETS:
        raise Refused(Code.KEY_PASSPHRASE_MISSING, f"The {what} is missing", f"{place} is not set", "Set it.")
    return SECRETS[place]


def run(
    way: Way,
    work: Callable[[Dispatch], Coroutine[Any, Any, None]],
    context: ssl.SSLContext | None = None,
    patience: float = 5.0,
    places: Mapping[str, bytes] | None = None,
) -> None:
    """Do something with a receiver r."""

    async def context_of(_: Receiver) -> ssl.SSLContext:
        return context or ssl.create_default_context()

    async def expiring() -> Any:
        return digest([STANDING], AT, origin="example.org")

    with ThreadPoolExecutor(4) as threads:
        read = secret if places is None else lambda place, what: places.get(place) or secret(place, what)
        world = World("example.org", lambda: AT, read, context_of, expiring, threads, patience)
        asyncio.run(work(Dispatch([Receiver("r", way)], world)))


def sent(way: Way, context: ssl.SSLContext | None = None, transition: Transition = MOVED, **rest: Any) -> None:
    """Send an alert."""
    run(way, lambda dispatch: dispatch.deliver("r", transition), context, **rest)


def not_sent(way: Way, context: ssl.SSLContext | None = None, **rest: Any) -> tuple[str, bool, float | None]:
    """Why not, whether for good, and how many seconds to wait."""
    with pytest.raises(NotSent) as raised:
        sent(way, context, **rest)
    error = raised.value
    return error.why, error.final, None if error.after is None else error.after.total_seconds()


def hook(url: str, **rest: Any) -> Webhook:
    """A webhook there."""
    return Webhook(url, rest.get("secret", "env:KEY"))


def test_a_webhook_is_verified_by_its_receiver() -> None:
    """By the recipe: id, seconds and body, with the key that both have."""
    with receiving() as receiver:
        sent(hook(f"{receiver.url}/x?y=1"))
    (post,) = receiver.posts
    head = post.headers
    signed = b".".join((head["webhook-id"].encode(), head["webhook-timestamp"].encode(), post.body))
    scheme, _, given = head["webhook-signature"].partition(",")
    assert hmac.compare_digest(base64.b64decode(given), hmac.digest(b"k" * 32, signed, hashlib.sha256))
    assert (scheme, head["webhook-id"], int(head["webhook-timestamp"])) == ("v1", "ab12", int(AT.timestamp()))
    assert (post.path, head["content-type"]) == ("/x?y=1", "application/json")
    assert post.json["data"]["monitor"] == "m"


def test_slack_and_pagerduty_over_tls(material: Material, trusting: ssl.SSLContext) -> None:
    """Verified; Slack's URL is a secret, PagerDuty's key is in the body."""
    with receiving(tls=material) as receiver:
        sent(Slack("env:HOOK"), trusting, places={"env:HOOK": f"{receiver.url}/services/T0/B0/s3cret\n".encode()})
        sent(PagerDuty("env:ROUTING", f"{receiver.url}/v2/enqueue"), trusting)
    slack, pagerduty = receiver.posts
    assert slack.path == "/services/T0/B0/s3cret"
    assert slack.json["text"] == "CRITICAL m: It is so."
    assert (pagerduty.path, pagerduty.json["routing_key"]) == ("/v2/enqueue", "R0UT1NG")


def test_a_test_of_pagerduty_leaves_no_incident(material: Material, trusting: ssl.SSLContext) -> None:
    """It is resolved again, by the same key, and that of no monitor."""
    with receiving(tls=material) as receiver:
        run(PagerDuty("env:ROUTING", receiver.url), lambda dispatch: dispatch.test("r"), trusting)
    events = [post.json for post in receiver.posts]
    assert [one["event_action"] for one in events] == ["trigger", "resolve"]
    assert len({one["dedup_key"] for one in events}) == 1


def test_a_digest_is_sent_by_its_transition() -> None:
    """It stands in the outbox like an alert."""
    moved = digest_transition("r", AT)
    assert moved.id == f"{DIGEST}r/20270301T1200Z"
    with receiving() as receiver:
        sent(hook(receiver.url), transition=moved)
    (post,) = receiver.posts
    assert (post.json["type"], post.headers["webhook-id"]) == ("monitor.digest", "digest-r-20270301T1200Z")
    assert [group["name"] for group in post.json["data"]["groups"]] == ["later"]


@pytest.mark.parametrize(
    ("answer", "final", "after"),
    [
        ((204, {}), None, None),
        ((400, {}), True, None),
        ((404, {"retry-after": "9"}), True, None),
        ((408, {}), False, None),
        ((429, {"retry-after": "17"}), False, 17),
        ((429, {"retry-after": "Mon, 01 Mar 2027 12:01:00 GMT"}), False, 60),
        ((429, {"retry-after": "999999999"}), False, 3600),
        ((503, {"retry-after": "soon"}), False, None),
        ((500, {}), False, None),
        ((302, {"location": "/elsewhere"}), False, None),
    ],
)
def test_what_an_answer_means(answer: Answer, final: bool | None, after: float | None) -> None:
    """Taken, to be tried again (and when), or not worth another try. A redirect is followed nowhere."""
    with receiving(answer, OK) as receiver:
        if final is None:
            sent(hook(receiver.url))
        else:
            why, *rest = not_sent(hook(receiver.url))
            assert rest == [final, after]
            assert str(answer[0]) in why
    assert len(receiver.posts) == 1


def test_an_authority_that_is_not_trusted(material: Material) -> None:
    """Nothing is sent: neither to it, nor in the clear."""
    with receiving(tls=material) as receiver:
        why, final, _ = not_sent(PagerDuty("env:ROUTING", receiver.url))
        assert why.startswith(f"the certificate of {receiver.url.removeprefix('https://')} is not trusted")
        assert not final
    assert receiver.posts == []


def test_another_name_is_not_trusted(material: Material, trusting: ssl.SSLContext) -> None:
    """The certificate has to be for the name in the URL."""
    with receiving(tls=material) as receiver:
        url = receiver.url.replace("localhost", "127.1")
        assert "is not trusted" in not_sent(PagerDuty("env:ROUTING", url), trusting)[0]


@pytest.mark.parametrize("url", ["http://hooks.test/x", "ftp://a/b", "no url", "https://u:p@a/", "https://a/\nx: y"])
def test_a_secret_url_that_cannot_be_used(url: str) -> None:
    """It is not called, and not quoted."""
    why, _, _ = not_sent(Slack("env:HOOK"), places={"env:HOOK": url.encode()})
    assert why.startswith("its URL cannot be used: ")
    assert url not in why


def drip(conversation: Conversation) -> None:
    """An octet now and then, for as long as anybody listens."""
    conversation.sock.sendall(b"HTTP/1.1 200 OK\r\nx: ")
    while True:
        conversation.sock.sendall(b"y")
        time.sleep(0.05)


def flood(conversation: Conversation) -> None:
    """An answer without end, whose beginning is well."""
    conversation.sock.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        conversation.sock.sendall(b"10000\r\n" + b"z" * 65536 + b"\r\n")


def interim(conversation: Conversation) -> None:
    """Not yet, and again not yet."""
    while True:
        conversation.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def silent(conversation: Conversation) -> None:
    """Nothing."""
    conversation.wait_for_end()


def headers(conversation: Conversation) -> None:
    """More headers than there is memory for."""
    conversation.sock.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        conversation.sock.sendall(b"x: " + b"y" * 1000 + b"\r\n")


def other(conversation: Conversation) -> None:
    """Another protocol."""
    conversation.sock.sendall(b"SSH-2.0-x\r\n")
    conversation.wait_for_end()


@pytest.mark.parametrize("script", [drip, interim, silent, headers, other])
def test_a_server_that_does_not_answer(script: Callable[[Conversation], None]) -> None:
    """It ends by the deadline, in our words."""
    began = time.monotonic()
    with Scripted(script) as server:
        why, final, _ = not_sent(hook(f"http://127.0.0.1:{server.port}"), patience=0.5)
    assert why in {
        f"127.0.0.1:{server.port} did not answer within 0.5 s",
        f"127.0.0.1:{server.port} broke off, or does not speak the protocol",
    }
    assert not final
    assert time.monotonic() - began < 3


def test_of_a_long_answer_the_beginning_is_enough() -> None:
    """What was taken was taken."""
    with Scripted(flood) as server:
        sent(hook(f"http://127.0.0.1:{server.port}"), patience=5)


def test_nobody_there() -> None:
    """No port, no name, no secret, no receiver."""
    with receiving() as receiver:
        gone = receiver.url
    assert not_sent(hook(gone)) == (f"nothing listens at {gone.removeprefix('http://')}", False, None)
    assert "cannot be resolved" in not_sent(hook("http://nobody.invalid/"))[0]
    assert not_sent(Slack("env:NONE")) == ("The URL of the webhook is missing: env:NONE is not set", False, None)
    with pytest.raises(NotSent, match="there is no receiver other in the settings"):
        run(hook(gone), lambda dispatch: dispatch.deliver("other", MOVED))


def test_no_secret_is_said(material: Material, trusting: ssl.SSLContext, caplog: pytest.LogCaptureFixture) -> None:
    """Not in errors, nor in a log at its most talkative, whatever the server does; nor where the URL is the secret."""
    caplog.set_level(logging.DEBUG)
    said = []
    with receiving((400, {"x": "s3cret R0UT1NG"}), tls=material) as receiver:
        places = {"env:HOOK": f"{receiver.url}/s3cret".encode()}
        said.append(not_sent(Slack("env:HOOK"), trusting, places=places)[0])
        said.append(not_sent(Slack("env:HOOK"), places=places)[0])
        said.append(not_sent(PagerDuty("env:ROUTING", receiver.url), trusting)[0])
        said.append(not_sent(hook("env:HOOK"), trusting, places=places)[0])
    said.append(not_sent(hook("env:HOOK"), trusting, places=places)[0])
    everything = " ".join([*said, caplog.text])
    for value in (b"s3cret", *SECRETS.values()):
        assert value.decode() not in everything


# Mail


def _exim(site: Site, listeners: Sequence[Listener]) -> Sequence[Command]:
    """An exim that files what it takes, after TLS and a password."""
    (listener,) = listeners
    for name, source in (("chain.pem", listener.credential.chain), ("key.pem", listener.credential.key)):
        shutil.copy(source, site.directory / name)
    for directory in ("spool", "mail"):
        (site.directory / directory).mkdir(exist_ok=True)
    if os.geteuid() == 0:
        for name in ("chain.pem", "key.pem", "spool", "mail"):
            shutil.chown(site.directory / name, "Debian-exim")
    user = "Debian-exim" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    path = site.directory / "exim.conf"
    path.write_text(f"""
primary_hostname = localhost
domainlist here = example.org
spool_directory = {site.directory}/spool
log_file_path = {site.directory}/spool/%slog
pid_file_path = {site.directory}/exim.pid
local_interfaces = {HOST}
daemon_smtp_ports = {listener.port}
tls_certificate = {site.directory}/chain.pem
tls_privatekey = {site.directory}/key.pem
tls_advertise_hosts = *
auth_advertise_hosts = ${{if def:tls_in_cipher {{*}}}}
acl_smtp_rcpt = rcpt
keep_environment =
host_lookup =
rfc1413_hosts =
begin acl
rcpt:
  deny condition = ${{if eq{{$local_part}}{{nobody}}}}
  accept authenticated = *
         domains = +here
  deny
begin routers
filed:
  driver = accept
  local_parts = ops : first : second : third : weekly
  transport = filed
begin transports
filed:
  driver = appendfile
  file = {site.directory}/mail/$local_part_data
  user = {user}
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{handclasp}}}}{{eq{{$auth3}}{{p4ssw0rd}}}}}}}}
  server_set_id = $auth2
""")
    path.chmod(0o644)
    return [Command([program("exim4"), "-bdf", "-odf", "-C", path], listeners)]


EXIM = Product("exim", ("exim4",), "exim4-daemon-light", _exim, clients=frozenset({Client.NONE}))
LOGIN = Login("handclasp", "env:PASSWORD")


@pytest.fixture(scope="module")
def exim(material: Material) -> Iterator[tuple[int, Path]]:
    """Its port, and the directory of its mailboxes."""
    with one(EXIM, material, Case()) as server:
        yield server.port, server.log.parent / "mail"


def to(port: int, *recipients: str, **rest: Any) -> Email:
    """Mail to somebody there."""
    given: dict[str, Any] = {"login": LOGIN} | rest
    return Email(recipients or ("ops@example.org",), "handclasp@example.org", "localhost", port, **given)


def delivered(path: Path) -> EmailMessage:
    """The mail in a mailbox, once it is there."""
    until = time.monotonic() + 10
    while not path.exists() or not path.read_bytes().endswith(b"\n\n"):
        assert time.monotonic() < until
        time.sleep(0.01)
    read = email.message_from_bytes(path.read_bytes().partition(b"\n")[2], policy=email.policy.default)
    assert isinstance(read, EmailMessage)
    return read


def test_a_real_mail_server_takes_it(exim: tuple[int, Path], trusting: ssl.SSLContext) -> None:
    """After STARTTLS and a password, for every recipient; and the digest in two forms."""
    port, mailboxes = exim
    sent(to(port, "first@example.org", "second@example.org"), trusting)
    for name in ("first", "second"):
        read = delivered(mailboxes / name)
        assert (read["subject"], read["message-id"]) == ("[Handclasp] CRITICAL m: It is so.", "<ab12@example.org>")
        assert "handclasp monitor show m" in read.get_content()
    sent(to(port, "weekly@example.org"), trusting, digest_transition("r", AT))
    parts = [part.get_content_type() for part in delivered(mailboxes / "weekly").walk()]
    assert parts == ["multipart/alternative", "text/plain", "text/html"]


def test_a_real_mail_server_refuses(exim: tuple[int, Path], trusting: ssl.SSLContext) -> None:
    """A wrong password, a recipient that is none, some of them; or we refuse it."""
    port, mailboxes = exim
    where = f"localhost:{port}"
    wrong = {"env:PASSWORD": b"wr0ng"}
    assert not_sent(to(port), trusting, places=wrong) == (f"{where} refused the user or the password (535)", True, None)
    assert not_sent(to(port, "nobody@example.org"), trusting)[:2] == (f"{where} refused every recipient (550)", True)
    some = not_sent(to(port, "nobody@example.org", "third@example.org"), trusting)
    assert some[:2] == (f"{where} refused 1 of 2 recipients", True)
    assert delivered(mailboxes / "third")["subject"] == "[Handclasp] CRITICAL m: It is so."
    assert not_sent(to(port, login=None), trusting)[:2] == (f"{where} refused every recipient (550)", True)
    assert "is not trusted" in not_sent(to(port))[0]
    assert "TLS with" in not_sent(to(port, tls="implicit"), trusting)[0]


def test_mail_over_tls_from_the_start(material: Material, trusting: ssl.SSLContext) -> None:
    """To a server that has nothing else (port 465)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(material.server.chain, material.server.key)
    heard: list[bytes] = []

    def script(conversation: Conversation) -> None:
        speak(conversation.tls(context), heard)

    with Scripted(script) as server:
        sent(to(server.port, tls="implicit", login=None), trusting)
    assert heard[-2].startswith(b"From: handclasp@example.org\r\n")


def speak(stream: Any, heard: list[bytes], extensions: bytes = b"") -> None:
    """A server that takes everything."""
    with stream.makefile("rwb") as file:

        def say(line: bytes) -> None:
            file.write(line + b"\r\n")
            file.flush()

        say(b"220 hello")
        while line := file.readline():
            heard.append(line)
            if line.upper().startswith(b"EHLO") and extensions:
                say(b"250-localhost\r\n250 " + extensions)
            elif line.upper() == b"DATA\r\n":
                say(b"354 go on")
                text = b""
                while not text.endswith(b"\r\n.\r\n"):
                    text += file.readline()
                heard.append(text)
                say(b"250 taken")
            else:
                say(b"250 ok")


@pytest.mark.parametrize("extensions", [b"", b"AUTH PLAIN", b"SIZE 1"])
def test_nothing_is_said_in_the_clear(extensions: bytes, trusting: ssl.SSLContext) -> None:
    """A server without STARTTLS (or one from which somebody on the way has taken it) hears no name, no password and no
    mail."""
    heard: list[bytes] = []
    with Scripted(lambda conversation: speak(conversation.sock, heard, extensions)) as server:
        why, final, _ = not_sent(to(server.port), trusting)
    assert (why, final) == (f"localhost:{server.port} does not offer what is needed, STARTTLS or AUTH", False)
    assert [line.split()[0] for line in heard] == [b"ehlo"]


def test_mail_to_this_machine_may_be_in_the_clear() -> None:
    """Where the settings say so."""
    heard: list[bytes] = []
    with Scripted(lambda conversation: speak(conversation.sock, heard)) as server:
        sent(to(server.port, tls="none", login=None))
    assert b"Subject: [Handclasp] CRITICAL m: It is so." in heard[-2]


def lines(conversation: Conversation) -> None:
    """A greeting without end."""
    while True:
        conversation.sock.sendall(b"220-hello\r\n" * 100)


def words(conversation: Conversation) -> None:
    """A greeting letter by letter."""
    while True:
        conversation.sock.sendall(b"2")
        time.sleep(0.05)


def busy(conversation: Conversation) -> None:
    """Not now."""
    conversation.sock.sendall(b"421 s3cret words of a server\r\n")


@pytest.mark.parametrize("script", [lines, words, silent, busy])
def test_a_mail_server_that_nobody_would_want(script: Callable[[Conversation], None], trusting: ssl.SSLContext) -> None:
    """It ends by the deadline, in our words, and is tried again."""
    began = time.monotonic()
    with Scripted(script) as server:
        why, final, _ = not_sent(to(server.port), trusting, patience=0.5)
    assert why in {
        f"localhost:{server.port} did not answer within 0.5 s",
        f"localhost:{server.port} broke off, or does not speak the protocol",
        f"localhost:{server.port} refused (421)",
    }
    assert not final
    assert time.monotonic() - began < 3
