"""What a running Handclasp itself has to say, kept in ``log/handclasp.log`` beside the terminal."""

from __future__ import annotations

import logging
import logging.handlers
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def log_file(directory: Path) -> Iterator[None]:
    """Keep it for as long as the context lasts."""
    log = logging.getLogger("handclasp")
    handler = logging.handlers.RotatingFileHandler(directory / "handclasp.log", maxBytes=5_000_000, backupCount=2)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()
