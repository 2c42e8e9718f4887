"""A finding, and the two errors that carry one to a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from handclasp.findings.codes import Code


@dataclass(frozen=True, slots=True)
class Finding:
    """Something seen to be wrong: its code, where it was seen, and the facts that prove it."""

    code: Code
    where: str
    what: str
    facts: Mapping[str, str] = field(default_factory=dict)


class InvalidSetting(ValueError):
    """A value that a person wrote and that cannot be used.

    ``path`` names the setting (``services.orders.listen``; empty where the caller knows it better),
    ``why`` says what is wrong with it, ``allowed`` what may stand there instead.
    """

    def __init__(self, path: str, why: str, allowed: str) -> None:
        super().__init__(f"{path}: {why}" if path else why)
        self.path = path
        self.why = why
        self.allowed = allowed

    def at(self, path: str) -> InvalidSetting:
        """The same error, said of the setting at ``path``."""
        return InvalidSetting(f"{path}.{self.path}" if self.path else path, self.why, self.allowed)


class Refused(Exception):
    """Something that Handclasp will not or cannot do, said so that a person can act on it.

    ``what`` happened, ``why``, and the ``fix``: what to do next. The code is one of the catalogue.
    """

    def __init__(self, code: Code, what: str, why: str, fix: str) -> None:
        super().__init__(f"{what}: {why}")
        self.code = code
        self.what = what
        self.why = why
        self.fix = fix
