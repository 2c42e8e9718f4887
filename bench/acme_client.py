"""A small ACME client (RFC 8555): from an order to the certificate, on one kept connection."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from typing import Any, Final, Self
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from bench.http1 import Answer, Connection

_SHA256: Final = ec.ECDSA(SHA256())
_FIRST_WAIT, _LONGEST_WAIT = 0.01, 0.16  # seconds between two looks at what the server does meanwhile
_LOOKS = 60
_NONCES = 5


class AcmeFailed(Exception):
    """The server did not give the certificate: the measurement would be of something else."""


class AcmeClient:
    """One account, one order at a time. ``requests`` counts everything that was sent.

    ``answers`` are those to http-01 by token; what is in it is served before the server is told to look.
    """

    def __init__(self, connection: Connection, directory: dict[str, str], answers: dict[str, str]) -> None:
        self.requests = 0
        self._connection = connection
        self._directory = directory
        self._answers = answers
        self._key = ec.generate_private_key(ec.SECP256R1())
        numbers = self._key.public_key().public_numbers()
        # The order of RFC 7638, for the thumbprint.
        self._jwk = {"crv": "P-256", "kty": "EC", "x": _number(numbers.x), "y": _number(numbers.y)}
        self._thumbprint = encode(hashlib.sha256(json.dumps(self._jwk, separators=(",", ":")).encode()).digest())
        self._account = ""
        self._nonce = ""

    @classmethod
    async def register(cls, connection: Connection, path: str, answers: dict[str, str]) -> Self:
        """A client with a new account at the server whose directory is at ``path``."""
        answer = await connection.send("GET", path)
        if answer.status != 200:
            raise AcmeFailed(f"GET {path}: {answer.status} {answer.body.decode()}")
        client = cls(connection, json.loads(answer.body), answers)
        answer = await client.post(client._directory["newAccount"], {"termsOfServiceAgreed": True})
        client._account = answer.headers["location"]
        return client

    async def certificate(self, kind: str, name: str, csr: bytes) -> bytes:
        """The PEM chain for a CSR (DER) with this one name; ``kind`` is dns or ip. Raises AcmeFailed."""
        answer = await self.post(self._directory["newOrder"], {"identifiers": [{"type": kind, "value": name}]})
        order, url = json.loads(answer.body), answer.headers["location"]
        for where in order["authorizations"]:
            authorization = json.loads((await self.post(where)).body)
            if authorization["status"] == "pending":
                challenge = next(one for one in authorization["challenges"] if one["type"] == "http-01")
                self._answers[challenge["token"]] = f"{challenge['token']}.{self._thumbprint}"
                done = json.loads((await self.post(challenge["url"], {})).body)
                if done["status"] != "valid":
                    await self._until_valid(where)
        order = json.loads((await self.post(order["finalize"], {"csr": encode(csr)})).body)
        if order["status"] != "valid":
            order = await self._until_valid(url)
        return (await self.post(order["certificate"])).body

    async def post(self, url: str, payload: dict[str, Any] | None = None) -> Answer:
        """POST with a JWS (§6.2); without a payload POST-as-GET. A rejected nonce is tried again (§6.5)."""
        for _ in range(_NONCES):
            if not self._nonce:
                await self._new_nonce()
            header: dict[str, Any] = {"alg": "ES256", "nonce": self._nonce, "url": url}
            header |= {"kid": self._account} if self._account else {"jwk": self._jwk}
            protected, body = _json(header), "" if payload is None else _json(payload)
            signature = encode(self._signature(f"{protected}.{body}".encode()))
            jws = json.dumps({"protected": protected, "payload": body, "signature": signature}).encode()
            answer = await self._connection.send("POST", urlsplit(url).path, jws, "application/jose+json")
            self.requests += 1
            self._nonce = answer.headers.get("replay-nonce", "")
            if answer.status < 400:
                return answer
            if b":badNonce" not in answer.body:
                break
        raise AcmeFailed(f"POST {url}: {answer.status} {answer.body.decode()}")

    def _signature(self, data: bytes) -> bytes:
        """ES256 (RFC 7518 §3.4)."""
        r, s = decode_dss_signature(self._key.sign(data, _SHA256))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    async def _new_nonce(self) -> None:
        answer = await self._connection.send("HEAD", urlsplit(self._directory["newNonce"]).path)
        self.requests += 1
        self._nonce = answer.headers["replay-nonce"]

    async def _until_valid(self, url: str) -> dict[str, Any]:
        wait = _FIRST_WAIT
        found: dict[str, Any] = {}
        for _ in range(_LOOKS):
            await asyncio.sleep(wait)
            found = json.loads((await self.post(url)).body)
            if found["status"] == "valid":
                return found
            if found["status"] == "invalid":
                break
            wait = min(2 * wait, _LONGEST_WAIT)
        raise AcmeFailed(f"{url} did not become valid: {found}")


def encode(data: bytes) -> str:
    """base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _json(value: dict[str, Any]) -> str:
    return encode(json.dumps(value).encode())


def _number(value: int) -> str:
    return encode(value.to_bytes(32, "big"))
