"""What passes through: HTTP/1.1, HTTP/2, gRPC, WebSocket; TLS 1.2 and 1.3, AEAD ciphers only."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from handclasp.app.state import BUNDLE, CHAIN, KEY
from handclasp.testing.calls import Caller, curl
from handclasp.testing.site import RunningSite, free_port
from handclasp.testing.upstream import EchoApi

Start = Callable[..., RunningSite]


def settings(port: int, upstream: str, more: str = "") -> str:
    """One service that `first` may call."""
    return (
        f"trust_domain: example.org\nservices:\n  api:\n    listen: 127.0.0.1:{port}\n    hosts: [localhost]\n"
        f"    upstream: {upstream}\n    rules: [{{allow: spiffe://example.org/first}}]\n{more}"
    )


@pytest.fixture(scope="module")
def port_and_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path, RunningSite]]:
    """A site with an echo API, shared by the tests that only call it."""
    directory, port = tmp_path_factory.mktemp("protocols"), free_port()
    with EchoApi() as api:
        (directory / "handclasp.yaml").write_text(settings(port, api.url))
        with RunningSite(directory) as site:
            yield port, site.client("first"), site


@pytest.mark.parametrize("flag", ["--http1.1", "--http2"])
def test_http_passes(port_and_files: tuple[int, Path, RunningSite], flag: str) -> None:
    """Both versions of HTTP over TLS, chosen by ALPN."""
    port, files, _ = port_and_files
    done = curl(
        flag, "-o", "-", "-w", "%{http_version} %{http_code}", f"https://localhost:{port}/", trust=files, files=files
    )
    assert done.stdout.endswith({"--http1.1": "1.1 200", "--http2": "2 200"}[flag])


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=str)
def test_tls_1_2_and_1_3_pass(port_and_files: tuple[int, Path, RunningSite], version: ssl.TLSVersion) -> None:
    """Both are spoken."""
    port, files, _ = port_and_files
    with Caller(port, files, files, version=version) as caller:
        assert caller.send("GET", "/").status == 200


def test_tls_1_1_is_refused_and_logged(port_and_files: tuple[int, Path, RunningSite]) -> None:
    """An older version is refused, and the log says that it was the version."""
    port, files, site = port_and_files
    command = ["--tls-max", "1.1", "--tlsv1.0", "--ciphers", "DEFAULT:@SECLEVEL=0", f"https://localhost:{port}/"]
    assert curl(*command, trust=files, files=files).returncode == 35
    assert site.wait_for_log(kind="connection", accepted=False, code="TLS_VERSION_MISMATCH")["accepted"] is False


@pytest.mark.parametrize("cipher", ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "AES128-GCM-SHA256"])
def test_ciphers_without_aead_or_forward_secrecy_are_refused(
    port_and_files: tuple[int, Path, RunningSite], cipher: str
) -> None:
    """CBC modes and RSA key exchange are not spoken on TLS 1.2."""
    port, files, _ = port_and_files
    with pytest.raises(ssl.SSLError):
        Caller(port, files, files, version=ssl.TLSVersion.TLSv1_2, ciphers=cipher)


@pytest.mark.parametrize("cipher", ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"])
def test_aead_ciphers_pass(port_and_files: tuple[int, Path, RunningSite], cipher: str) -> None:
    """AES-GCM and ChaCha20-Poly1305 with ECDHE are spoken on TLS 1.2."""
    port, files, _ = port_and_files
    with Caller(port, files, files, version=ssl.TLSVersion.TLSv1_2, ciphers=cipher) as caller:
        assert caller.send("GET", "/").status == 200


def test_grpc_passes_and_is_told_the_caller(tmp_path: Path) -> None:
    """Bidirectional streaming over mutual TLS to an h2c upstream; identity headers arrive as metadata."""

    def shout(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        metadata = dict(context.invocation_metadata())
        for request in requests:
            yield request.upper() + b" " + str(metadata["x-client-spiffe-id"]).encode()

    server = grpc.server(futures.ThreadPoolExecutor(2))
    methods = {"Shout": grpc.stream_stream_rpc_method_handler(shout)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", methods),))
    api_port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    port = free_port()
    (tmp_path / "handclasp.yaml").write_text(settings(port, f"h2c://127.0.0.1:{api_port}"))
    try:
        with RunningSite(tmp_path) as site:
            first = site.client("first")
            credentials = grpc.ssl_channel_credentials(
                (first / BUNDLE).read_bytes(), (first / KEY).read_bytes(), (first / CHAIN).read_bytes()
            )
            with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
                call = channel.stream_stream("/test.Echo/Shout", request_serializer=None, response_deserializer=None)
                assert list(call(iter([b"one", b"two"]), timeout=10)) == [
                    b"ONE spiffe://example.org/first",
                    b"TWO spiffe://example.org/first",
                ]
    finally:
        server.stop(None).wait()


def test_a_websocket_passes(tmp_path: Path) -> None:
    """Messages go both ways; the API is told the caller; without a certificate there is no connection."""

    def talk(connection: ServerConnection) -> None:
        assert connection.request is not None
        connection.send(connection.request.headers["x-client-spiffe-id"])
        for message in connection:
            connection.send(message)

    with serve(talk, "127.0.0.1", 0) as api:
        thread = threading.Thread(target=api.serve_forever)
        thread.start()
        port = free_port()
        (tmp_path / "handclasp.yaml").write_text(settings(port, f"http://127.0.0.1:{api.socket.getsockname()[1]}"))
        with RunningSite(tmp_path) as site:
            first = site.client("first")
            context = ssl.create_default_context(cafile=first / BUNDLE)
            context.load_cert_chain(first / CHAIN, first / KEY)
            with connect(f"wss://localhost:{port}/", ssl=context) as connection:
                connection.send("hello")
                assert [connection.recv(), connection.recv()] == ["spiffe://example.org/first", "hello"]
            with pytest.raises((OSError, WebSocketException)):
                connect(f"wss://localhost:{port}/", ssl=ssl.create_default_context(cafile=first / BUNDLE)).close()
        api.shutdown()
        thread.join()


def server_context(directory: Path) -> ssl.SSLContext:
    """TLS for an API, with the certificate in a directory."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / CHAIN, directory / KEY)
    return context


def test_a_verified_https_upstream_passes(tmp_path_factory: pytest.TempPathFactory) -> None:
    """With its authority named and its name right, an https API is called, by its own name."""
    other, ours = tmp_path_factory.mktemp("other"), tmp_path_factory.mktemp("ours")
    (other / "handclasp.yaml").write_text(settings(free_port(), "http://127.0.0.1:1"))
    with RunningSite(other) as issuer:  # somebody else's authority, for the API's certificate
        bundle = issuer.client("first") / BUNDLE
        api_files = issuer.state / "gateway" / "api"
        with EchoApi(tls=server_context(api_files)) as api:
            port = free_port()
            text = settings(port, f"https://localhost:{api.port}").replace(
                "    rules:", f"    upstream_ca: {bundle}\n    rules:"
            )
            (ours / "handclasp.yaml").write_text(text)
            with RunningSite(ours) as site:
                first = site.client("first")
                with Caller(port, first, first) as caller:
                    seen = dict(caller.send("GET", "/", host=f"localhost:{port}").json["headers"])
                assert (seen["host"], seen["x-forwarded-host"]) == ("localhost", f"localhost:{port}")
                site.change(text.replace("https://localhost", "https://127.0.0.1"))  # not a name of its certificate
                with Caller(port, first, first) as caller:
                    assert caller.send("GET", "/").status == 503
                assert site.wait_for_log(kind="request", status=503)["code"] == "UPSTREAM_UNTRUSTED"
