"""Operations on a state directory: answered by the ``up`` that runs there, or done here while nobody does (D10).

One JSON line each way over a Unix socket that only its owner can open; the peer's user is checked as well.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import struct
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from handclasp.app.state import StateDirectory
from handclasp.dataplane.unixpath import short
from handclasp.findings import Code, InvalidSetting, Refused

if TYPE_CHECKING:
    from handclasp.app.settings import Settings
    from handclasp.app.site import Site
    from handclasp.app.vault import Vault

_log = logging.getLogger("handclasp.control")
_MAX_LINE = 64 << 20  # bytes; the largest file that is read, in hex, and as much again
_PATIENCE = 5.0


class SettingsSource(Protocol):
    """Where settings come from when they are needed: a file that may be missing or wrong."""

    def __call__(self) -> Settings:
        """Read them; raises SettingsError or Refused."""


async def perform(
    state: StateDirectory, load: SettingsSource, operation: str, /, **arguments: object
) -> dict[str, Any]:
    """Do one operation, wherever the writer of this state directory is. Raises Refused and InvalidSetting."""
    deadline = asyncio.get_running_loop().time() + _PATIENCE
    if not state.exists() and operation not in _FIRST:
        load()  # what is wrong with it is said before anything is made
    while True:
        try:
            with state.lock():
                # Imported only where the work is done here: asking the one who does it needs no database.
                from handclasp.app.hardening import no_core_dumps
                from handclasp.app.operations import OPERATIONS, VAULT_OPERATIONS
                from handclasp.app.site import open_site
                from handclasp.app.vault import open_vault

                no_core_dumps()
                if operation in VAULT_OPERATIONS:
                    with open_vault(state, _settings(state, load, operation)) as vault:
                        return await VAULT_OPERATIONS[operation](vault, **arguments)
                async with open_site(state, _settings(state, load, operation)) as site:
                    return await OPERATIONS[operation](site, **arguments)
        except Refused as refused:
            if refused.code is not Code.STATE_IN_USE:
                raise
            try:
                return await _ask(state, operation, arguments)
            except (FileNotFoundError, ConnectionError):
                # The other is just starting or stopping, or is itself a short command.
                if asyncio.get_running_loop().time() > deadline:
                    raise refused from None
                await asyncio.sleep(0.05)


_FIRST = frozenset({"ca.root", "ca.csr", "ca.import", "credential.add", "monitor.add"})
"""What may be the first thing that is ever done in a state directory, before there are settings."""

_URGENT = frozenset(
    {
        "client.list",
        "client.show",
        "client.revoke",
        "cert.revoke",
        "cert.hold",
        "ca.show",
        "ca.bundle",
        "audit.verify",
        "audit.export",
    }
)
"""What is done in spite of a settings file with mistakes, and makes nothing that depends on what it says."""

_NEED_NO_SETTINGS = (
    _FIRST
    | _URGENT
    | {"ca.sign", "ca.renew-root", "ca.crl", "ca.install-crl", "ca.install", "ca.passphrase"}
    | {"audit.checkpoint", "backup"}
    | {f"monitor.{name}" for name in ("list", "show", "remove", "pause", "check", "history", "changes")}
    | {"credential.list", "credential.show", "credential.remove", "credential.for"}
)
"""What is done on a machine without settings, such as that of an offline root."""


def _settings(state: StateDirectory, load: SettingsSource, operation: str) -> Settings | None:
    """The settings; None where there are none and none are needed, or where they are wrong and it is urgent.

    A broken file must not keep a caller in. But it may say of what kind a key is to be, where it is kept and what an
    authority may sign, so nothing is made without it; and of another ledger than the one here.
    """
    from handclasp.app.settings import SettingsError

    try:
        return load()
    except (SettingsError, Refused) as error:
        missing = isinstance(error, Refused) and error.code is Code.CONFIG_MISSING
        own = state.exists() and not state.writer.exists()  # the ledger here may be what was before a move
        if (missing and operation in _NEED_NO_SETTINGS) or (operation in _URGENT and own):
            return None
        raise


async def _ask(state: StateDirectory, operation: str, arguments: Mapping[str, object]) -> dict[str, Any]:
    with short(state.control_socket) as address:
        reader, writer = await asyncio.open_unix_connection(address, limit=_MAX_LINE)
    try:
        writer.write(json.dumps({"operation": operation, "arguments": arguments}).encode() + b"\n")
        await writer.drain()
        line = await reader.read()  # to the end: an answer has no limit
    finally:
        writer.close()
    if not line:
        raise ConnectionResetError("the running handclasp closed the connection")
    answer = json.loads(line)
    if "refused" in answer:
        said = answer["refused"]
        raise Refused(Code(said["code"]), said["what"], said["why"], said["fix"])
    if "invalid" in answer:
        said = answer["invalid"]
        raise InvalidSetting(said["path"], said["why"], said["allowed"])
    result: dict[str, Any] = answer["result"]
    return result


async def serve(
    vault: Vault, site: Site | None = None, current: Callable[[], Settings | None] | None = None
) -> asyncio.Server:
    """Answer operations on the vault's control socket (0600) until the server is closed; without a ``site`` only those
    that need no authority. ``current`` gives the settings of now, where they may differ from the vault's."""
    path = vault.state.control_socket
    path.unlink(missing_ok=True)

    def with_settings() -> Vault:
        return vault if current is None else replace(vault, settings=current())

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if _peer_is_owner(writer.get_extra_info("socket")):
                writer.write(json.dumps(await _answer(with_settings(), site, await reader.readline())).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError) as error:
            _log.warning("a control connection failed: %s", error)
        finally:
            writer.close()

    before = os.umask(0o177)
    try:
        with short(path) as address:
            return await asyncio.start_unix_server(answer, address, limit=_MAX_LINE)
    finally:
        os.umask(before)


async def _answer(vault: Vault, site: Site | None, line: bytes) -> dict[str, object]:
    try:
        asked = json.loads(line)
        operation, arguments = _known(vault, site, asked["operation"]), dict(asked["arguments"])
    except Refused as refused:
        return _refusal(refused)
    except (ValueError, KeyError, TypeError, RecursionError):
        return _refusal(
            Refused(
                Code.GATEWAY_BAD_REQUEST, "The operation cannot be read", "it is not known here", "Use one version."
            )
        )
    try:
        return {"result": await operation(**arguments)}
    except Refused as refused:
        return _refusal(refused)
    except InvalidSetting as invalid:
        return {"invalid": {"path": invalid.path, "why": invalid.why, "allowed": invalid.allowed}}
    except Exception:
        # Answered, or the one who asks would ask again, and have done twice what is not to be.
        _log.exception("the operation %s failed", asked["operation"])
        return _refusal(
            Refused(
                Code.GATEWAY_OTHER,
                "The operation failed",
                "of a fault in Handclasp that has no message yet",
                f"Its trace is in {vault.state.log / 'handclasp.log'}: please report it.",
            )
        )


def _known(vault: Vault, site: Site | None, name: str) -> Callable[..., Awaitable[dict[str, Any]]]:
    """The operation of that name. Raises KeyError; Refused(STATE_IN_USE) for one that needs an authority."""
    from handclasp.app.operations import OPERATIONS, VAULT_OPERATIONS

    if name in OPERATIONS:
        if site is None:
            raise Refused(
                Code.STATE_IN_USE,
                "This cannot be done while handclasp monitor run runs here",
                "that process watches, and has no authority",
                "Stop it, and run handclasp up instead: it watches too.",
            )
        return partial(OPERATIONS[name], site)
    on_vault = VAULT_OPERATIONS[name]

    async def then_take_over(**arguments: object) -> dict[str, Any]:
        result = await on_vault(vault, **arguments)
        if site is not None and await site.reload():
            await site.apply()
        return result

    return then_take_over


def _refusal(refused: Refused) -> dict[str, object]:
    said = {"code": str(refused.code), "what": refused.what, "why": refused.why, "fix": refused.fix}
    return {"refused": said}


def _peer_is_owner(connection: socket.socket) -> bool:
    if not sys.platform.startswith("linux"):
        return True  # the socket's mode is what there is
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return uid in (0, os.geteuid())
