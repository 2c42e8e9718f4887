"""Files that are whole or not there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from handclasp.store import files


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


@pytest.mark.parametrize("mask", [0o000, 0o077], ids=["umask 000", "umask 077"])
@pytest.mark.parametrize("wanted", [0o600, 0o644], ids=oct)
def test_mode(tmp_path: Path, mask: int, wanted: int) -> None:
    """The mode is the one asked for, whatever the umask says."""
    with umask(mask):
        files.write(tmp_path / "file", b"x", wanted)
    assert mode(tmp_path / "file") == oct(wanted)


def test_replaces_content_and_mode(tmp_path: Path) -> None:
    """A file that is there already is replaced, mode and all; nothing else is left."""
    files.write(tmp_path / "file", b"old", 0o644)
    files.write(tmp_path / "file", b"new", 0o600)
    assert [(p.name, p.read_bytes(), mode(p)) for p in tmp_path.iterdir()] == [("file", b"new", "0o600")]


def test_a_reader_keeps_what_it_opened(tmp_path: Path) -> None:
    """Replacing is by name: whoever reads the old file reads all of it."""
    files.write(tmp_path / "file", b"old", 0o600)
    with (tmp_path / "file").open("rb") as reader:
        files.write(tmp_path / "file", b"newer", 0o600)
        assert reader.read() == b"old"


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """Where the new file cannot be put in place, neither it nor a part of it is left behind."""
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError):
        files.write(tmp_path / "file", b"secret", 0o600)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_part_of_a_crash_is_written_over(tmp_path: Path) -> None:
    """What a crash left half-written is in nobody's way."""
    (tmp_path / ".file.part").write_bytes(b"hal")
    files.write(tmp_path / "file", b"whole", 0o600)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("file", b"whole")]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """A link laid at the temporary name is not written through."""
    (tmp_path / "target").write_bytes(b"mine")
    (tmp_path / ".file.part").symlink_to(tmp_path / "target")
    files.write(tmp_path / "file", b"secret", 0o600)
    assert (tmp_path / "target").read_bytes() == b"mine"
