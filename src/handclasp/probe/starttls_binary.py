"""STARTTLS where messages are binary: LDAP (RFC 4511 §4.14), PostgreSQL (SSLRequest) and MySQL (SSLRequest).

Errors are PreludeFailed(PROTO_STARTTLS_REFUSED) with what the server said.
"""

from __future__ import annotations

import struct

from handclasp.findings import Code
from handclasp.pki import ber, der
from handclasp.probe.dialogue import Octets, PreludeFailed, Script, printable, stranger

MAX_MESSAGE = 16 * 1024
"""Octets of one message of the server."""

_START_TLS = b"1.3.6.1.4.1.1466.20037"
_ENUMERATED = 0x0A
_EXTENDED_REQUEST, _EXTENDED_RESPONSE = 0x77, 0x78
# The results that a server gives here (RFC 4511 Appendix A); the others have their number.
_LDAP_RESULTS = {
    1: "operationsError",
    2: "protocolError",
    8: "strongerAuthRequired",
    10: "referral",
    13: "confidentialityRequired",
    48: "inappropriateAuthentication",
    50: "insufficientAccessRights",
    51: "busy",
    52: "unavailable",
    53: "unwillingToPerform",
    80: "other",
}

# https://www.postgresql.org/docs/current/protocol-message-formats.html: length, then 1234 and 5679.
_POSTGRES_REQUEST = struct.pack("!iHH", 8, 1234, 5679)

# https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html
_LONG_PASSWORD, _PROTOCOL_41, _SSL, _SECURE_CONNECTION = 1, 1 << 9, 1 << 11, 1 << 15
_UTF8MB4 = 45
_MYSQL_REQUEST = struct.pack("<IIB23x", _LONG_PASSWORD | _PROTOCOL_41 | _SSL | _SECURE_CONNECTION, 1 << 24, _UTF8MB4)


def ldap(name: str) -> Script:
    """RFC 4511 §4.14. Servers may write lengths longer than needed, which DER would not (§5.1)."""
    request = der.encode(ber.INTEGER, b"\x01") + der.encode(_EXTENDED_REQUEST, der.encode(0x80, _START_TLS))
    yield der.encode(ber.SEQUENCE, request)
    what = "the LDAP server's answer to StartTLS"
    head = yield Octets(2, what, bytes((ber.SEQUENCE,)))
    if head[1] == 0x80 or head[1] > 0x84:
        raise _refused(stranger(what, head))
    length = head[1]
    if length > 0x80:
        length = int.from_bytes((yield Octets(length - 0x80, what)), "big")
    if length > MAX_MESSAGE:
        raise _refused(f"{what} has {length} octets, more than {MAX_MESSAGE}")
    message = yield Octets(length, what)
    try:
        number, result, text = _extended_response(message)
    except ValueError as error:
        raise _refused(f"{stranger(what, message)} ({error})") from None
    if result != 0 or number != 1:
        meaning = _LDAP_RESULTS.get(result, "")
        ended = "ended the connection" if number == 0 else "refused StartTLS"  # 0: RFC 4511 §4.4.1
        raise _refused(f'the LDAP server {ended} with {result} {meaning}: it said "{printable(text)}"')


def _extended_response(message: bytes) -> tuple[int, int, bytes]:
    """The number of the message, its result and its text. ValueError."""
    fields = tuple(ber.each(message))
    if len(fields) < 2:
        raise ValueError("a field is missing")
    response = ber.children(fields[1], _EXTENDED_RESPONSE)
    if len(response) < 3 or response[0].tag != _ENUMERATED or not 1 <= len(response[0].content) <= 4:
        raise ValueError("there is no result")
    return ber.integer(fields[0]), int.from_bytes(response[0].content, "big"), ber.octets(response[2])


def postgres(name: str) -> Script:
    """One octet answers: S for yes, N for no; E begins an error of a server that is too busy, or older than TLS."""
    yield _POSTGRES_REQUEST
    what = "the PostgreSQL server's answer to SSLRequest"
    answer = yield Octets(1, what, b"SNE")
    if answer == b"N":
        raise _refused('the PostgreSQL server has TLS turned off: it said "N"')
    if answer == b"E":
        (length,) = struct.unpack("!I", (yield Octets(4, what)))
        if not 4 <= length <= MAX_MESSAGE:
            raise _refused("the PostgreSQL server answered SSLRequest with an error that cannot be read")
        fields = (yield Octets(length - 4, what)).split(b"\x00")
        said = next((field[1:] for field in fields if field[:1] == b"M"), b"")
        raise _refused(f'the PostgreSQL server answered SSLRequest with an error: it said "{printable(said)}"')


def mysql(name: str) -> Script:
    """The server greets, and our answer to it is cut short: TLS begins where the user's name would stand."""
    what = "the greeting of the MySQL server"
    head = yield Octets(4, what)
    length = int.from_bytes(head[:3], "little")
    if not 0 < length <= MAX_MESSAGE or head[3] != 0:
        raise _refused(stranger(what, head))
    greeting = yield Octets(length, what, b"\x0a\xff")
    if greeting[:1] == b"\xff":
        (error,) = struct.unpack_from("<H", greeting.ljust(3, b"\x00"), 1)
        text = greeting[9:] if greeting[3:4] == b"#" else greeting[3:]
        raise _refused(f'the MySQL server takes no callers (error {error}): it said "{printable(text)}"')
    version, _, after = greeting[1:].partition(b"\x00")
    # After the version: thread 4, scramble 8, filler 1, capabilities (lower half) 2.
    if len(after) < 15:
        raise _refused(stranger(what, greeting))
    (capabilities,) = struct.unpack_from("<H", after, 13)
    if not capabilities & _SSL:
        raise _refused(f'the MySQL server does not offer TLS; its version is "{printable(version)}"')
    yield len(_MYSQL_REQUEST).to_bytes(3, "little") + b"\x01" + _MYSQL_REQUEST


def _refused(what: str) -> PreludeFailed:
    return PreludeFailed(Code.PROTO_STARTTLS_REFUSED, what)
