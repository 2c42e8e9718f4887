"""TLS 1.3 with a process of ``openssl s_server``: what the standard library's server does not do."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from tests.tlswire.tls12_peer import NAME, Files, authority, holder, s_server
from tests.tlswire.tls13_peer import client, credential

from handclasp.tlswire.offer import TLS13, Offer
from handclasp.tlswire.seen import Alert, Answer, Step


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Where the server's keys are."""
    return Files(tmp_path_factory.mktemp("tls13"))


def staple(directory: Path) -> Path:
    """Some OCSP response; the server does not look into it."""
    path = directory / "staple.der"
    response = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    path.write_bytes(response.public_bytes(Encoding.DER))
    return path


def test_s_server(files: Files) -> None:
    """It staples, names its authorities, takes our certificate, and updates its keys when told to."""
    ca, stapled = files.authorities(), staple(files.directory)
    arguments: list[str | Path] = ["-tls1_3", "-Verify", "1", "-CAfile", ca, "-cert_chain", ca]
    arguments += ["-status_file", stapled, "-verify_return_error"]
    with s_server(files, "ec", *arguments) as server:
        ours = client(Offer(NAME, versions=(TLS13,)), trace=True)
        with server.visit(ours, credential("p256")) as connection:
            assert (ours.seen.fault, ours.seen.proved, ours.seen.answer) == (None, True, Answer.SHOWN)
            assert ours.seen.chain == (holder("ec").der, authority().der)
            assert ours.seen.staple == stapled.read_bytes()
            assert ours.seen.request is not None
            assert ours.seen.request.authorities == (authority().certificate.subject.public_bytes(),)
            while not ours.seen.tickets:
                server.hear(connection, ours)
            # K: update the keys, and ask for ours to be.
            server.say("K")
            while ours.seen.events[-1].what != "KeyUpdate":
                server.hear(connection, ours)
            assert [(event.sent, event.what) for event in ours.seen.events[-2:]] == [
                (False, "KeyUpdate"),
                (True, "KeyUpdate"),
            ]
            server.say("under new keys")
            heard = b""
            while heard != b"under new keys\n":
                server.hear(connection, ours)
                heard += ours.take()
            connection.sendall(ours.write(b"so are we"))
            assert not ours.over

        refused = client(Offer(NAME, versions=(TLS13,)))
        with server.visit(refused) as connection:
            assert (refused.seen.answer, refused.seen.complete) == (Answer.EMPTY, True)
            while not refused.over:
                server.hear(connection, refused)
        assert refused.seen.alerts == [Alert(116, True, Step.FIRST_READ)]


def test_older_server(files: Files) -> None:
    """The same hello with both versions, to a server that has TLS 1.2 alone."""
    with s_server(files, "ec", "-tls1_2") as server:
        ours = client()
        with server.visit(ours):
            assert (ours.seen.version, ours.seen.proved, ours.seen.fault) == (0x0303, True, None)
        only = client(Offer(NAME, versions=(TLS13,)))
        with server.visit(only):
            assert only.seen.alerts == [Alert(70, True, Step.CLIENT_HELLO)]
