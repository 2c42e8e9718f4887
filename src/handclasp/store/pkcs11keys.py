"""The authority's keys in a hardware security module, through PKCS#11. They are made there and never leave it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from handclasp.findings import Code, Refused
from handclasp.pki.keys import KeyType, PrivateKey, PublicKey, key_type, spki_sha256

if TYPE_CHECKING:
    import pkcs11

    from handclasp.store.pkcs11objects import Pair

_T = TypeVar("_T")

_HOW_TO = "Check the module, the token's label and the PIN, as in docs/how-to/hsm.md."


class Pkcs11Keys:
    """A KeyCustody of one token: the key ``issuing`` is the key pair with the label ``handclasp-issuing``.

    A token is for one authority: a key that is there under the label is the authority's. There is one session, used
    by one thread, opened when it is first needed and opened again once when it is lost. ``pin`` is called whenever
    it is opened; a PIN that was wrong is not tried a second time, since tokens lock themselves after a few.
    """

    # One call at a time in the whole process: opening again ends the library's other sessions (C_Finalize), which
    # must not happen under somebody's call.
    _turn = Lock()

    def __init__(self, module: Path, token: str, pin: Callable[[], bytes]) -> None:
        self._module = module
        self._token = token
        self._pin = pin
        self._wrong: set[bytes] = set()
        self._session: pkcs11.Session | None = None
        self._known: dict[str, Pair] = {}
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="pkcs11")

    def __repr__(self) -> str:
        return f"Pkcs11Keys({str(self._module)!r}, {self._token!r})"

    async def create(self, name: str, kind: KeyType) -> PublicKey:
        """As KeyCustody says. Refused(AUTHORITY_UNUSABLE) for a kind that the token does not have, as ML-DSA."""
        return await self._run(lambda session: self._create(session, name, kind))

    async def take(self, name: str, key: PrivateKey) -> PublicKey:
        """As KeyCustody says. Refused(AUTHORITY_UNUSABLE) for a kind that no token has."""
        return await self._run(lambda session: self._take(session, name, key))

    async def public_key(self, name: str) -> PublicKey | None:
        """As KeyCustody says."""
        pair = await self._run(lambda session: self._find(session, name))
        return None if pair is None else pair.public

    async def available(self, name: str) -> bool:
        """As KeyCustody says. Asks the token every time."""

        def look(session: pkcs11.Session) -> bool:
            self._known.pop(name, None)
            return self._find(session, name) is not None

        return await self._run(look)

    async def sign(self, name: str, tbs: bytes) -> bytes:
        """As KeyCustody says."""
        return await self._run(lambda session: self._sign(session, name, tbs))

    def where(self, name: str) -> str:
        """As KeyCustody says."""
        return f"token {self._token}, label {_label(name)}"

    def close(self) -> None:
        """Log out. Whoever uses it afterwards gets RuntimeError."""
        self._worker.shutdown()
        with self._turn:
            self._drop()

    async def _run(self, work: Callable[[pkcs11.Session], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._work, work)

    def _work(self, work: Callable[[pkcs11.Session], _T]) -> _T:
        try:
            from pkcs11 import PKCS11Error
        except ImportError:
            fix = "Install it: pip install 'handclasp[hsm]'."
            raise self._unavailable("the package python-pkcs11 is not installed", fix) from None
        with self._turn:
            try:
                return work(self._session or self._open(again=False))
            except PKCS11Error as error:
                self._drop()
                if not _is_loss(error):
                    raise self._unavailable(_said(error)) from None
            try:
                return work(self._open(again=True))
            except PKCS11Error as error:
                self._drop()
                raise self._unavailable(_said(error)) from None

    def _open(self, *, again: bool) -> pkcs11.Session:
        import pkcs11

        library = pkcs11.lib(str(self._module))
        if again:
            # A library looks for its tokens when it is initialized, and a lost connection may be lost for good to it.
            library.reinitialize()
        token = library.get_token(token_label=self._token)
        pin = self._pin()
        tried = hashlib.sha256(pin).digest()
        if tried in self._wrong:
            raise self._wrong_pin("it was wrong before, and was not tried again")
        try:
            self._session = token.open(rw=True, user_pin=pin.decode())
        except pkcs11.UserAlreadyLoggedIn:
            # Whoever uses the token in this process has logged in for all of it (PKCS#11 v3.1 §5.6).
            self._session = token.open(rw=True)
        except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange):
            self._wrong.add(tried)
            raise self._wrong_pin("the token does not take it") from None
        except UnicodeDecodeError:
            raise self._wrong_pin("it is not UTF-8") from None
        return self._session

    def _drop(self) -> None:
        from pkcs11 import PKCS11Error

        session, self._session = self._session, None
        self._known.clear()
        if session is not None:
            with suppress(PKCS11Error):  # it was lost
                session.close()

    def _find(self, session: pkcs11.Session, name: str) -> Pair | None:
        from handclasp.store import pkcs11objects

        if name not in self._known:
            try:
                pair = pkcs11objects.find(session, _label(name))
                if pair is None:
                    return None
                key_type(pair.public)
            except (pkcs11objects.Unusable, Refused) as error:
                why = error.why if isinstance(error, Refused) else str(error)
                raise Refused(
                    Code.STATE_DAMAGED,
                    f"The {name} key cannot be used: {self.where(name)}",
                    why,
                    "Look at the token with pkcs11-tool --list-objects; restore it from a backup.",
                ) from None
            self._known[name] = pair
        return self._known[name]

    def _create(self, session: pkcs11.Session, name: str, kind: KeyType) -> PublicKey:
        from handclasp.store import pkcs11objects

        found = self._find(session, name)
        if found is not None:
            return found.public
        if not pkcs11objects.can(session, kind):
            raise Refused(
                Code.AUTHORITY_UNUSABLE,
                f"The {name} key cannot be made",
                f"the token {self._token} has no keys of the kind {kind}",
                "Choose another kind for it (ec-p256, ec-p384, rsa-3072), or keep the keys in files.",
            )
        pkcs11objects.generate(session, _label(name), kind)
        made = self._find(session, name)
        assert made is not None
        return made.public

    def _take(self, session: pkcs11.Session, name: str, key: PrivateKey) -> PublicKey:
        import pkcs11

        from handclasp.store import pkcs11objects

        found = self._find(session, name)
        if found is None:
            try:
                pkcs11objects.store(session, _label(name), key)
            except (pkcs11objects.Unusable, pkcs11.PKCS11Error) as error:
                if isinstance(error, pkcs11.PKCS11Error) and _is_loss(error):
                    raise
                kind = isinstance(error, pkcs11objects.Unusable)
                raise Refused(
                    Code.AUTHORITY_UNUSABLE if kind else Code.HSM_UNAVAILABLE,
                    f"The {name} key cannot be put into the token {self._token}",
                    str(error) if kind else f"it takes no such key from outside: {_said(error)}",
                    f"Put it there with the tools of the token's maker, as {_label(name)}; or keep it in files.",
                ) from None
            found = self._find(session, name)
            assert found is not None
        if spki_sha256(found.public) != spki_sha256(key.public_key()):
            raise Refused(
                Code.STATE_FILE_EXISTS,
                f"The {name} key cannot be taken over",
                f"there is another key already: {self.where(name)}",
                "Remove it with the tools of the token's maker, if nothing needs it.",
            )
        return found.public

    def _sign(self, session: pkcs11.Session, name: str, tbs: bytes) -> bytes:
        from handclasp.store import pkcs11objects

        pair = self._find(session, name)
        if pair is None:
            raise Refused(
                Code.STATE_KEY_MISSING,
                f"The {name} key is not here",
                f"the token {self._token} has no private key with the label {_label(name)}",
                "Insert the token that has it, or restore it from a backup.",
            )
        return pkcs11objects.sign(pair, tbs)

    def _unavailable(self, why: str, fix: str = _HOW_TO) -> Refused:
        what = f"The token {self._token} cannot be used (module {self._module})"
        return Refused(Code.HSM_UNAVAILABLE, what, why, fix)

    def _wrong_pin(self, why: str) -> Refused:
        return Refused(
            Code.KEY_PASSPHRASE_WRONG,
            f"The PIN does not open the token {self._token}",
            why,
            "Give the right one and start again; a token locks itself after some wrong ones.",
        )


def _label(name: str) -> str:
    return f"handclasp-{name}"


def _is_loss(error: pkcs11.PKCS11Error) -> bool:
    """Whether opening the token again may help: the session, the connection or the token went away."""
    import pkcs11

    losses = (
        pkcs11.DeviceError,
        pkcs11.DeviceRemoved,
        pkcs11.FunctionFailed,
        pkcs11.GeneralError,
        pkcs11.KeyHandleInvalid,
        pkcs11.NoSuchToken,
        pkcs11.ObjectHandleInvalid,
        pkcs11.OperationActive,
        pkcs11.OperationNotInitialized,
        pkcs11.SessionClosed,
        pkcs11.SessionHandleInvalid,
        pkcs11.SlotIDInvalid,
        pkcs11.TokenNotPresent,
        pkcs11.TokenNotRecognised,
        pkcs11.UserNotLoggedIn,
    )
    # Its own class is raised where the library is not initialized, or could not be loaded.
    return isinstance(error, losses) or type(error) is pkcs11.PKCS11Error


def _said(error: Exception) -> str:
    """What the library said, without what it was given."""
    import pkcs11

    if isinstance(error, pkcs11.NoSuchToken):
        return "there is no token of that label"
    if isinstance(error, pkcs11.MultipleTokensReturned):
        return "there is more than one token of that label"
    if isinstance(error, pkcs11.PinLocked):
        return "its PIN is locked, after too many wrong ones"
    if isinstance(error, pkcs11.UserNotLoggedIn):
        return "it shows a public key, and no private key to it"
    if type(error) is pkcs11.PKCS11Error and "loading" in str(error):
        return str(error)
    return f"the module reports {type(error).__name__}"
