"""The how-tos do what they say: each page is followed word for word, in a directory with what it takes for given."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest

from handclasp.testing.postgres import postgres
from handclasp.testing.site import RunningSite, free_port, handclasp
from handclasp.testing.walkthrough import follow

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
LEFT_OUT = {"DATABASE", "SOFTHSM2_CONF", "PGPASSWORD"}
SETTINGS = """\
trust_domain: example.org
services:
  orders:
    listen: 127.0.0.1:{port}
    hosts: [localhost]
    upstream: http://127.0.0.1:9
    rules:
      - allow: spiffe://example.org/first
"""

Given = Callable[[Path], AbstractContextManager[Mapping[str, str]]]
"""What a page takes for given, for as long as it is followed; its value is what is more in the environment."""


def nothing(_: Path) -> AbstractContextManager[Mapping[str, str]]:
    """An empty directory."""
    return nullcontext({})


@contextmanager
def authority(directory: Path) -> Iterator[Mapping[str, str]]:
    """An authority with settings, and the caller ``first``."""
    (directory / "handclasp.yaml").write_text(SETTINGS.format(port=free_port()))
    handclasp(directory, "client", "add", "first")
    yield {}


@contextmanager
def authority_and_postgresql(directory: Path) -> Iterator[Mapping[str, str]]:
    """The same, and an empty PostgreSQL whose address is in DATABASE."""
    with authority(directory), postgres() as server:
        yield {"DATABASE": server.create("ledger")}


@contextmanager
def gateway(directory: Path) -> Iterator[Mapping[str, str]]:
    """A running gateway with no callers."""
    settings = SETTINGS.format(port=free_port()).partition("    rules:")[0]
    (directory / "handclasp.yaml").write_text(settings)
    with RunningSite(directory):
        yield {}


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("page", "given"),
    [
        pytest.param(name, given, id=name)
        for name, given in {
            "offline-root.md": nothing,
            "import-ca.md": nothing,
            "rotate-root.md": gateway,
            "backup.md": authority,
            "postgresql.md": authority_and_postgresql,
        }.items()
    ],
)
def test_the_page_does_what_it_says(page: str, given: Given, tmp_path: Path) -> None:
    """Every block runs, and what it prints is as shown."""
    text = (HOW_TO / page).read_text()
    environment = {
        key: value for key, value in os.environ.items() if key not in LEFT_OUT and not key.startswith("HANDCLASP_")
    }
    environment |= {"PATH": f"{Path(sys.executable).parent}:{environment['PATH']}", "HOME": str(tmp_path)}
    with given(tmp_path) as more:
        steps = follow(text, tmp_path, {**environment, **more})
    assert [(step.block, step.shown, step.printed) for step in steps if not step.fits] == []
    assert len(steps) == text.count("```sh\n")


def test_every_page_is_followed() -> None:
    """Here, or in a module that names it."""
    tests = "".join(path.read_text() for path in Path(__file__).parents[1].rglob("test_*.py"))
    assert [page.name for page in HOW_TO.glob("*.md") if f'"{page.name}"' not in tests] == []
