"""nginx with what is published: lists for client certificates, OCSP for client certificates, and stapling."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.authority.issue import Issued
from handclasp.pki import pem
from handclasp.pki.keys import private_pem
from handclasp.pki.profile import SERVER
from handclasp.testing.publishing import Publishing, publishing, run

BASE = "http://pki.example.org"


def files(found: Publishing, issued: Issued, name: str) -> tuple[Path, Path]:
    """The certificate with its chain, and its key."""
    chain = found.write(f"{name}.pem", pem.pem(*issued.chain))
    return chain, found.write(f"{name}.key", private_pem(found.keys[issued.record.serial]))


@asynccontextmanager
async def nginx(found: Publishing, settings: str) -> AsyncIterator[int]:
    """nginx that asks callers for a certificate; the port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = await found.issued("gateway", SERVER, dns=("localhost",))
    certificate, key = files(found, server, "server")
    where = found.directory
    trusted = found.write("trusted.pem", found.roots().read_bytes() + found.chain().read_bytes())
    config = f"""
        daemon off; master_process off; worker_processes 1; pid {where}/nginx.pid; error_log {where}/nginx.log info;
        events {{ worker_connections 64; }}
        http {{
            access_log off;
            client_body_temp_path {where}/t1; proxy_temp_path {where}/t2; fastcgi_temp_path {where}/t3;
            uwsgi_temp_path {where}/t4; scgi_temp_path {where}/t5;
            server {{
                listen 127.0.0.1:{port} ssl;
                ssl_certificate {certificate}; ssl_certificate_key {key};
                ssl_trusted_certificate {trusted}; ssl_client_certificate {found.roots()};
                ssl_verify_depth 3; ssl_session_cache off; ssl_session_tickets off;
                {settings}
                location / {{ return 200 "welcome\\n"; }}
            }}
        }}"""
    path = found.write("nginx.conf", config.encode())
    process = await asyncio.create_subprocess_exec("nginx", "-c", path, "-p", where, "-e", where / "nginx.log")
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.returncode is None, (where / "nginx.log").read_text()
            await asyncio.sleep(0.05)
        yield port
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def call(found: Publishing, port: int, issued: Issued, name: str) -> str:
    """The status that the caller with this certificate gets."""
    certificate, key = files(found, issued, name)
    command: list[str | Path] = ["curl", "-sS", "--cacert", found.roots(), "--cert", certificate, "--key", key]
    command += ["-o", "/dev/null", "-w", "%{http_code}", f"https://localhost:{port}/"]
    return await run(*command, check=False)


async def lists(found: Publishing) -> Path:
    """Every published list in one PEM file, as nginx wants them."""
    hierarchy, shards = found.authority.hierarchy, found.authority.plan.crl_shards
    paths = [f"/crl/{one.key_id}.crl" for one in hierarchy.anchors]
    for one in hierarchy.issuers:
        paths += [f"/crl/{one.key_id}.crl"] if shards == 1 else [f"/crl/{one.key_id}/{n}.crl" for n in range(shards)]
    text = b""
    for path in paths:
        await run("curl", "-sSf", "-o", found.directory / "one.crl", found.url + path)
        text += x509.load_der_x509_crl((found.directory / "one.crl").read_bytes()).public_bytes(Encoding.PEM)
    return found.write("lists.pem", text)


@pytest.mark.parametrize("shards", [1, 3], ids=["full list", "shards"])
def test_nginx_refuses_who_is_on_the_list(tmp_path: Path, shards: int) -> None:
    """ssl_crl with the published lists: the others are let in, the revoked caller is not."""

    async def scene() -> tuple[str, str]:
        async with publishing(tmp_path, publication=BASE, crl_shards=shards) as found:
            alice, bob = await found.issued("alice"), await found.issued("bob")
            await found.revoke(bob)
            async with nginx(found, f"ssl_verify_client on; ssl_crl {await lists(found)};") as port:
                return await call(found, port, alice, "alice"), await call(found, port, bob, "bob")

    assert asyncio.run(scene()) == ("200", "400")


def test_nginx_asks_whether_callers_are_revoked(tmp_path: Path) -> None:
    """ssl_ocsp against our responder: the good caller is let in, the revoked one is not."""

    async def scene() -> tuple[str, str]:
        async with publishing(tmp_path, publication=BASE) as found:
            alice, bob = await found.issued("alice"), await found.issued("bob")
            await found.revoke(bob)
            settings = f"ssl_verify_client on; ssl_ocsp leaf; ssl_ocsp_responder {found.url}/ocsp;"
            async with nginx(found, settings) as port:
                return await call(found, port, alice, "alice"), await call(found, port, bob, "bob")

    assert asyncio.run(scene()) == ("200", "400")


def test_nginx_staples_our_answers(tmp_path: Path) -> None:
    """ssl_stapling with ssl_stapling_verify: the handshake carries our answer about the server, verified by openssl."""

    async def scene() -> str:
        async with publishing(tmp_path, publication=BASE) as found:
            settings = f"ssl_stapling on; ssl_stapling_verify on; ssl_stapling_responder {found.url}/ocsp;"
            async with nginx(found, settings) as port:
                text = ""
                for _ in range(50):  # the first handshake only makes nginx ask
                    command = f"openssl s_client -connect localhost:{port} -status -CAfile {found.roots()} </dev/null"
                    text = await run("sh", "-c", command, check=False)
                    if "OCSP Response Status" in text:
                        break
                    await asyncio.sleep(0.1)
                return text

    text = asyncio.run(scene())
    assert "OCSP Response Status: successful" in text
    assert re.search(r"Cert Status: (\w+)", text)[1] == "good"  # type: ignore[index]
