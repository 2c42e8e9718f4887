"""STARTTLS of each protocol, against answers as RFCs and servers have them, and against everything else."""

from __future__ import annotations

import re
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.findings import Code
from handclasp.probe.dialogue import MAX_RECEIVED, Dialogue, PreludeFailed
from handclasp.probe.starttls import SCRIPTS
from handclasp.probe.target import StartTLS

SMTP, IMAP, POP3, FTP = StartTLS.SMTP, StartTLS.IMAP, StartTLS.POP3, StartTLS.FTP
LDAP, POSTGRES, MYSQL, XMPP = StartTLS.LDAP, StartTLS.POSTGRES, StartTLS.MYSQL, StartTLS.XMPP

EHLO, ASK = b"EHLO handclasp.invalid\r\n", b"STARTTLS\r\n"
LDAP_REQUEST = bytes.fromhex("301d 020101 7718 8016") + b"1.3.6.1.4.1.1466.20037"
POSTGRES_REQUEST = bytes.fromhex("00000008 04d2162f")
MYSQL_REQUEST = bytes.fromhex("200000 01 018a0000 00000001 2d") + bytes(23)
STREAM = (
    b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
    b"xmlns:stream='http://etherx.jabber.org/streams' to='mail.example.org' version='1.0'>"
)
STARTTLS = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
OPENED = b"<?xml version='1.0'?><stream:stream id='1' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
FEATURES = b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>"


def greeting(capabilities: int = 0xFFFF, version: bytes = b"8.0.36") -> bytes:
    """MySQL's first packet, protocol version 10."""
    payload = b"\x0a" + version + b"\x00" + struct.pack("<I8sBH", 7, b"scramble", 0, capabilities) + bytes(20)
    return packet(payload)


def packet(payload: bytes, number: int = 0) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes((number,)) + payload


def extended(result: int, text: bytes = b"", *, number: int = 1, more: bytes = b"", long: bool = False) -> bytes:
    """LDAP's answer; ``long`` writes lengths as Active Directory does."""

    def element(tag: int, content: bytes) -> bytes:
        size = len(content).to_bytes(4, "big")
        return bytes((tag,)) + (b"\x84" + size if long else size[-1:]) + content

    response = bytes((10, 1, result)) + b"\x04\x00" + element(4, text) + more
    return element(0x30, bytes((2, 1, number)) + element(0x78, response))


AGREED = {
    "smtp": (SMTP, [b"220 mail\r\n", b"250-mail\r\n250-SIZE 9\r\n250 STARTTLS\r\n", b"220 go\r\n"], [EHLO, ASK]),
    "smtp long greeting": (
        SMTP,
        [b"220-mail\r\n220-no spam\r\n220 \r\n", b"250-mail\n250-starttls\n250 HELP\n", b"220\r\n"],
        [EHLO, ASK],
    ),
    "imap": (IMAP, [b"* OK [CAPABILITY IMAP4rev1] hello\r\n", b"h1 OK begin\r\n"], [b"h1 STARTTLS\r\n"]),
    "imap untagged": (IMAP, [b"* ok\r\n", b"* CAPABILITY IMAP4rev2\r\nH1 Ok\r\n"], [b"h1 STARTTLS\r\n"]),
    "pop3": (POP3, [b"+OK <1.2@example>\r\n", b"+OK\r\n"], [b"STLS\r\n"]),
    "ftp": (FTP, [b"220 (vsFTPd)\r\n", b"234 AUTH TLS successful\r\n"], [b"AUTH TLS\r\n"]),
    "ftp lines between": (
        FTP,
        [b"120 soon\r\n220-hello\r\n 220 is not the end\r\n331 nor this\r\n\r\n220 end\r\n", b"234 go\r\n"],
        [b"AUTH TLS\r\n"],
    ),
    "ldap": (LDAP, [extended(0)], [LDAP_REQUEST]),
    "ldap names itself": (LDAP, [extended(0, more=b"\x8a\x16" + b"1.3.6.1.4.1.1466.20037")], [LDAP_REQUEST]),
    "ldap long lengths": (LDAP, [extended(0, long=True)], [LDAP_REQUEST]),
    "postgres": (POSTGRES, [b"S"], [POSTGRES_REQUEST]),
    "mysql": (MYSQL, [greeting()], [MYSQL_REQUEST]),
    "xmpp": (XMPP, [OPENED + FEATURES, b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"], [STREAM, STARTTLS]),
    "xmpp other ways": (
        XMPP,
        [
            b"\n<s:stream from='a>b' to=\"it's\">\n<s:features>\n<m:starttls xmlns:m='x'><m:required/></m:starttls>"
            b"<mechanisms><mechanism>it's > PLAIN</mechanism></mechanisms></s:features>",
            b"<m:proceed xmlns:m='x'></m:proceed>",
        ],
        [STREAM, STARTTLS],
    ),
}

NOT_THAT = 'what came is not the {}: "{}"'
REFUSED = {
    "smtp busy": (SMTP, [b"421 4.3.2 full\r\n"], 'the SMTP server takes no callers: it said "421 4.3.2 full"'),
    "smtp no ehlo": (
        SMTP,
        [b"220 mail\r\n", b"502 what\r\n"],
        'the SMTP server refused EHLO: it said "502 what"',
    ),
    "smtp not offered": (
        SMTP,
        [b"220 mail\r\n", b"250-STARTTLS.example.org\r\n250-SIZE 9\r\n250 XXXXXXXA\r\n"],
        'the SMTP server does not offer STARTTLS; it offers "SIZE 9, XXXXXXXA"',
    ),
    "smtp nothing offered": (
        SMTP,
        [b"220 mail\r\n", b"250 mail\r\n"],
        'the SMTP server does not offer STARTTLS; it offers "nothing"',
    ),
    "smtp refused": (
        SMTP,
        [b"220 mail\r\n", b"250-mail\r\n250 STARTTLS\r\n", b"454-4.7.0 TLS is\r\n454 not available\r\n"],
        'the SMTP server refused STARTTLS: it said "454 4.7.0 TLS is not available"',
    ),
    "smtp too many lines": (
        SMTP,
        [b"220-\r\n" * 100],
        "the greeting of the SMTP server has more than 100 lines",
    ),
    "smtp from http": (
        SMTP,
        [b"HTTP/1.1 400 Bad Request\r\n"],
        NOT_THAT.format("greeting of the SMTP server", "HTTP/1.1 400 Bad Request"),
    ),
    "imap in already": (
        IMAP,
        [b"* PREAUTH hello\r\n"],
        'the IMAP server has let us in already, so TLS cannot begin: it said "* PREAUTH hello"',
    ),
    "imap bye": (IMAP, [b"* BYE later\r\n"], 'the IMAP server takes no callers: it said "* BYE later"'),
    "imap refused": (
        IMAP,
        [b"* OK hi\r\n", b"* BAD no\r\nh1 BAD no TLS here\r\n"],
        'the IMAP server refused STARTTLS: it said "h1 BAD no TLS here"',
    ),
    "imap too many lines": (
        IMAP,
        [b"* OK hi\r\n", b"* still alive\r\n" * 100],
        "the IMAP server's answer to STARTTLS has more than 100 lines",
    ),
    "imap from ssh": (
        IMAP,
        [b"SSH-2.0-x\x1b[2J\r\n"],
        NOT_THAT.format("greeting of the IMAP server", "SSH-2.0-x\\1b[2J"),
    ),
    "pop3 busy": (
        POP3,
        [b"-ERR [SYS/TEMP] full\r\n"],
        'the POP3 server takes no callers: it said "-ERR [SYS/TEMP] full"',
    ),
    "pop3 refused": (POP3, [b"+OK\r\n", b"-ERR what\r\n"], 'the POP3 server refused STLS: it said "-ERR what"'),
    "pop3 from smtp": (POP3, [b"220 mail\r\n"], NOT_THAT.format("greeting of the POP3 server", "220 mail")),
    "ftp busy": (FTP, [b"421 full\r\n"], 'the FTP server takes no callers: it said "421 full"'),
    "ftp wants more": (
        FTP,
        [b"220 hi\r\n", b"334 ADAT\r\n"],
        'the FTP server refused AUTH TLS: it said "334 ADAT"',
    ),
    "ldap refused": (
        LDAP,
        [extended(52, b"TLS\nis off")],
        'the LDAP server refused StartTLS with 52 unavailable: it said "TLS\\0ais off"',
    ),
    "ldap disconnects": (
        LDAP,
        [extended(2, b"bye", number=0)],
        'the LDAP server ended the connection with 2 protocolError: it said "bye"',
    ),
    "ldap too long": (
        LDAP,
        [bytes.fromhex("3084 7fffffff")],
        "the LDAP server's answer to StartTLS has 2147483647 octets, more than 16384",
    ),
    "ldap cut": (
        LDAP,
        [bytes.fromhex("3003 020101")],
        NOT_THAT.format("LDAP server's answer to StartTLS", r"\02\01\01") + " (a field is missing)",
    ),
    "ldap from smtp": (LDAP, [b"220 mail\r\n"], NOT_THAT.format("LDAP server's answer to StartTLS", "220 mail")),
    "postgres off": (POSTGRES, [b"N"], 'the PostgreSQL server has TLS turned off: it said "N"'),
    "postgres error": (
        POSTGRES,
        [b"E" + struct.pack("!I", 28) + b"SFATAL\x00C53300\x00Mtoo many\x00\x00"],
        'the PostgreSQL server answered SSLRequest with an error: it said "too many"',
    ),
    "postgres old error": (
        POSTGRES,
        [b"EFATAL: unsupported frontend protocol\n\x00"],
        "the PostgreSQL server answered SSLRequest with an error that cannot be read",
    ),
    "postgres from http": (
        POSTGRES,
        [b"HTTP/1.0 400"],
        NOT_THAT.format("PostgreSQL server's answer to SSLRequest", "HTTP/1.0 400"),
    ),
    "mysql not offered": (
        MYSQL,
        [greeting(0xFFFF & ~(1 << 11))],
        'the MySQL server does not offer TLS; its version is "8.0.36"',
    ),
    "mysql blocked": (
        MYSQL,
        [packet(b"\xff" + struct.pack("<H", 1130) + b"Host '192.0.2.7' is not allowed")],
        "the MySQL server takes no callers (error 1130): it said \"Host '192.0.2.7' is not allowed\"",
    ),
    "mysql full": (
        MYSQL,
        [packet(b"\xff" + struct.pack("<H", 1040) + b"#08004Too many connections")],
        'the MySQL server takes no callers (error 1040): it said "Too many connections"',
    ),
    "mysql cut": (
        MYSQL,
        [packet(b"\x0a8.0\x00\x01")],
        NOT_THAT.format("greeting of the MySQL server", "8.0\\00\\01"),
    ),
    "mysql too long": (
        MYSQL,
        [b"\xff\xff\xff\x00"],
        NOT_THAT.format("greeting of the MySQL server", "\\xff\\xff\\xff\\00"),
    ),
    "mysql from smtp": (MYSQL, [b"220 mail\r\n"], NOT_THAT.format("greeting of the MySQL server", "220")),
    "xmpp other domain": (
        XMPP,
        [OPENED + b"<stream:error><host-unknown xmlns='s'/></stream:error></stream:stream>"],
        "the XMPP server refused the stream: it said \"<stream:error><host-unknown xmlns='s'/></stream:error>\"",
    ),
    "xmpp not offered": (
        XMPP,
        [OPENED + b"<stream:features/>"],
        'the XMPP server does not offer STARTTLS; it offers "<stream:features/>"',
    ),
    "xmpp refused": (
        XMPP,
        [OPENED + FEATURES, b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>"],
        "the XMPP server refused STARTTLS: it said \"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\"",
    ),
    "xmpp ends": (
        XMPP,
        [OPENED + b"</stream:stream>"],
        'the XMPP server ended the stream: it said "</stream:stream>"',
    ),
    "xmpp too many tags": (
        XMPP,
        [OPENED + b"<a>" * 200],
        "the features of the XMPP server have more than 200 tags",
    ),
    "xmpp a document type": (
        XMPP,
        [b"<!DOCTYPE a [<!ENTITY b 'c'>]>"],
        NOT_THAT.format("stream of the XMPP server", "<!DOCTYPE a [<!ENTITY b 'c'>"),
    ),
    "xmpp from http": (
        XMPP,
        [b"HTTP/1.1 400\r\n\r\n<html>"],
        NOT_THAT.format("stream of the XMPP server", "HTTP/1.1 400\\0d\\0a\\0d\\0a<html>"),
    ),
}

Case = tuple[StartTLS, list[bytes], list[bytes]]
Refusal = tuple[StartTLS, list[bytes], str]


def machine_of(protocol: StartTLS) -> Dialogue:
    return Dialogue(SCRIPTS[protocol]("mail.example.org"), Code.PROTO_STARTTLS_REFUSED, then_tls=True)


@pytest.mark.parametrize("size", [None, 1], ids=["whole", "by octet"])
@pytest.mark.parametrize("case", AGREED.values(), ids=AGREED)
def test_agreed(case: Case, size: int | None) -> None:
    """What is sent, and when: nothing goes out before its time."""
    protocol, answers, requests = case
    machine = machine_of(protocol)
    sent = [machine.start()]
    for answer in answers:
        assert not machine.done
        step = size or len(answer)
        sent.append(b"".join(machine.receive(answer[at : at + step]) for at in range(0, len(answer), step)))
    assert [said for said in sent if said] == requests
    assert (machine.done, machine.rest, machine.waiting_for) == (True, b"", "")


@pytest.mark.parametrize("size", [None, 1], ids=["whole", "by octet"])
@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_refused(case: Refusal, size: int | None) -> None:
    """Each refusal says what the server said."""
    protocol, answers, what = case
    machine = machine_of(protocol)
    machine.start()
    came = b"".join(answers)
    pieces = answers if size is None else [came[at : at + 1] for at in range(len(came))]
    with pytest.raises(PreludeFailed) as caught:
        for piece in pieces:
            machine.receive(piece)
    assert caught.value.code is Code.PROTO_STARTTLS_REFUSED
    if size is None or not what.startswith("what came is not"):
        assert caught.value.what == what
    else:  # found out by the first octet already
        assert caught.value.what.split('"')[0] == what.split('"')[0]


@pytest.mark.parametrize("case", AGREED.values(), ids=AGREED)
def test_injected(case: Case) -> None:
    """One octet more than the go-ahead is a fault, in every protocol."""
    protocol, answers, _ = case
    machine = machine_of(protocol)
    machine.start()
    for answer in answers[:-1]:
        machine.receive(answer)
    with pytest.raises(PreludeFailed) as caught:
        machine.receive(answers[-1] + b"\n")
    assert caught.value.code is Code.TLS_MALFORMED


def test_the_name_of_an_xmpp_server_stays_a_name() -> None:
    """It stands in an attribute; what would end it is written as an entity."""
    assert next(SCRIPTS[XMPP]("a'><b&ü")) == STREAM.replace(b"mail.example.org", b"a&#x27;&gt;&lt;b&amp;&#252;")


PIECES = sorted({piece for _, answers, _ in [*AGREED.values(), *REFUSED.values()] for piece in answers})
SHOWN = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,600}")


def fed(machine: Dialogue, pieces: list[bytes]) -> None:
    """The machine ends with PreludeFailed or by itself, and holds no more than it may."""
    sent = len(machine.start())
    try:
        for piece in pieces:
            sent += len(machine.receive(piece))
    except PreludeFailed as failed:
        assert failed.code in {Code.PROTO_STARTTLS_REFUSED, Code.TLS_MALFORMED}
        assert SHOWN.fullmatch(failed.what)
    assert sent < 1000


@given(
    st.sampled_from(StartTLS),
    st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=40)), max_size=8),
)
def test_anything(protocol: StartTLS, pieces: list[bytes]) -> None:
    """Whatever a server says, in whatever order: an answer or PreludeFailed, and a message that can be shown."""
    fed(machine_of(protocol), pieces)


@given(st.sampled_from(sorted(AGREED)), st.data())
def test_nearly_right(name: str, data: st.DataObject) -> None:
    """The right answers with some octets changed, left out or put in."""
    protocol, answers, _ = AGREED[name]
    came = bytearray(b"".join(answers))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(came)))
        came[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    cut = data.draw(st.integers(0, len(came)))
    fed(machine_of(protocol), [bytes(came[:cut]), bytes(came[cut:])])


@pytest.mark.parametrize("piece", [b"\n", b"220-\r\n", b"* \r\n", b"<a>", b"<a x='", b">", b"x", b"\x00", b"\x30\x84"])
@pytest.mark.parametrize("protocol", list(StartTLS))
def test_without_end(protocol: StartTLS, piece: bytes) -> None:
    """A server that goes on and on is cut off, long before memory or time are."""
    machine, (_, answers, _) = machine_of(protocol), AGREED[protocol.value]
    machine.start()
    for answer in answers[:-1]:
        machine.receive(answer)
    received = 0
    with pytest.raises(PreludeFailed):
        while received <= MAX_RECEIVED:
            machine.receive(piece * 100)
            received += 100 * len(piece)
    assert received < MAX_RECEIVED


@pytest.mark.parametrize("size", [1, 1000])
def test_time_is_bounded_too(size: int) -> None:
    """What has to be looked at anew with each octet: a tag that may end at every one of them."""
    said = OPENED + b"<stream:features>" + (b"<a x='" + b">" * 4000 + b"'/>") * 20
    machine = machine_of(XMPP)
    machine.start()
    began = time.process_time()
    with pytest.raises(PreludeFailed):
        for at in range(0, len(said), size):
            machine.receive(said[at : at + size])
    assert time.process_time() - began < 1.0
