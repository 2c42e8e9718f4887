"""Monitoring as a part of a running process: of `handclasp up`, or alone as `handclasp monitor run`."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

from handclasp.app import control, settings
from handclasp.app.credential_source import CredentialSource, Renew
from handclasp.app.hardening import no_core_dumps
from handclasp.app.log_file import log_file
from handclasp.app.settings import Settings, SettingsError
from handclasp.app.state import StateDirectory
from handclasp.app.vault import Vault, open_vault
from handclasp.app.watch import Watch, looking
from handclasp.findings import Code, Refused

_AGAIN: Final = 10.0  # seconds
_LOOK: Final = 1.0  # seconds
_PATIENCE: Final = 3.0  # seconds

_log = logging.getLogger("handclasp.monitor")


class Monitoring:
    """The worker of this process. ``run`` works until it is cancelled, whatever happens; ``settle`` takes over
    settings: ``settings`` are those of now."""

    def __init__(self, vault: Vault, renew: Renew, current: Settings | None) -> None:
        self._vault = vault
        self._renew = renew
        self.settings = current
        self._watch: Watch | None = None

    async def run(self) -> None:
        """Check what is due. A fault in here ends nothing else of the process."""
        while True:
            try:
                credentials = CredentialSource(self._vault, self._renew)
                with looking(self._vault, credentials) as look:
                    watch = Watch(self._vault, credentials, look)
                    await watch.settle(self.settings)
                    self._watch = watch
                    await watch.run()
            except Exception:
                _log.exception("monitoring stopped; it starts again in %.0f s", _AGAIN)
            finally:
                self._watch = None
            await asyncio.sleep(_AGAIN)

    async def settle(self, current: Settings) -> None:
        """Take over what the settings file says now."""
        self.settings = current
        if self._watch is not None:
            await self._watch.settle(current)


async def run(state: StateDirectory, config: Path, say: Callable[[str], None]) -> None:
    """`handclasp monitor run`: monitoring alone, until SIGINT or SIGTERM. Raises Refused and SettingsError.

    Where the ledger is SQLite, this is the one process of its state directory; with PostgreSQL any number of them
    share the work, each with a state directory of its own.
    """
    no_core_dumps()
    current = settings.load(config) if config.exists() else None
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with state.lock(_PATIENCE), log_file(state.log), open_vault(state, current) as vault:
        monitoring = Monitoring(vault, _elsewhere, current)
        server = await control.serve(vault, current=lambda: monitoring.settings)
        tasks = [asyncio.create_task(monitoring.run()), asyncio.create_task(_follow(config, monitoring, say))]
        named = f"the {len(current.monitors)} monitors of {config}, and " if current is not None else ""
        say(f"Watching {named}what was added with handclasp monitor add. Stop with Ctrl-C.")
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            server.close()
            state.control_socket.unlink(missing_ok=True)
            for task in (stopped, *tasks):
                task.cancel()
            await asyncio.gather(stopped, *tasks, return_exceptions=True)


async def _elsewhere(name: str) -> None:
    raise Refused(
        Code.AUTHORITY_UNUSABLE,
        f"The credential {name} is not renewed here",
        "this process watches, and issues nothing",
        "Run handclasp up with the authority's keys; it renews the credential when it is next shown.",
    )


async def _follow(config: Path, monitoring: Monitoring, say: Callable[[str], None]) -> None:
    """Take over each change of the settings file; a bad one changes nothing and is said."""
    seen = _signature(config)
    while True:
        await asyncio.sleep(_LOOK)
        now = _signature(config)
        if now == seen:
            continue
        seen = now
        try:
            await monitoring.settle(settings.load(config))
        except (SettingsError, Refused) as error:
            say(f"{error}\nNothing was changed: the monitors go on as they are.")
        else:
            say(f"Took over {config.name}.")


def _signature(config: Path) -> tuple[int, int, int] | None:
    try:
        stat = config.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
