"""What keeps keys in memory from getting out of it by accident.

A process that was told so leaves no core dump, and no other process of the same user may read its memory or attach to
it (root may). It is not tried to keep keys out of swap: ``cryptography`` and OpenSSL copy them to memory that nobody
outside can name, so ``mlock`` of some pages would promise what it does not do. Whoever fears swap encrypts it.
"""

from __future__ import annotations

import ctypes
import resource
import sys

_PR_GET_DUMPABLE = 3
_PR_SET_DUMPABLE = 4


def no_core_dumps() -> None:
    """To be called first in every process that will hold a private key; it lasts for its life.

    Children inherit the limit of zero bytes. A program that is started in one (Envoy) begins with a memory of its
    own, which may be looked at again.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # The limit does not hold where core_pattern is a pipe, as systemd-coredump is: core(5).
        _prctl(_PR_SET_DUMPABLE, 0)


def is_dumpable() -> bool:
    """Whether a core dump of this process could be made, or another process of the same user could look into it."""
    if sys.platform == "linux":
        return _prctl(_PR_GET_DUMPABLE, 0) != 0
    return resource.getrlimit(resource.RLIMIT_CORE)[0] != 0


def _prctl(option: int, argument: int) -> int:
    call = ctypes.CDLL(None, use_errno=True).prctl
    call.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)
    call.restype = ctypes.c_int
    result: int = call(option, argument, 0, 0, 0)
    if result < 0:
        raise OSError(ctypes.get_errno(), "prctl")
    return result
