"""Rules of the house, executed: names, sizes, words, pins, licences."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from handclasp.findings import CATALOGUE, Code

ROOT = Path(__file__).parent.parent
MADE = ROOT / "bench" / "out"  # what a benchmark fetches and writes
MODULES = sorted(
    path.relative_to(ROOT)
    for folder in ("src", "tests", "bench")
    for path in (ROOT / folder).rglob("*.py")
    if MADE not in path.parents
)
FORBIDDEN_NAMES = {"utils", "util", "core", "common", "helpers", "helper", "base", "manager", "managers", "misc"}
MAX_LINES = 500
REQUIREMENTS = sorted((ROOT / "requirements").glob("*.txt"))
PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;]+)(?: ; .+)?((?:\s+--hash=sha256:[0-9a-f]{64})+)$")


def requirements(path: Path) -> list[str]:
    """The logical lines of a requirements file, without comments."""
    text = re.sub(r"\\\n\s*", " ", path.read_text())
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def test_there_are_modules() -> None:
    """The rules below look at something."""
    assert Path("src/handclasp/pki/issue.py") in MODULES
    assert [path.name for path in REQUIREMENTS] == ["dev.txt", "run.txt"]


def test_no_module_has_a_name_for_everything() -> None:
    """A helper lives beside its only user and earns a noun at the second."""
    assert [str(path) for path in MODULES if FORBIDDEN_NAMES & set(path.with_suffix("").parts)] == []


def test_no_module_is_long() -> None:
    """Past 500 lines one module is two."""
    modules = [path for path in MODULES if path.parts[0] != "tests"]
    lengths = {str(path): len((ROOT / path).read_text().splitlines()) for path in modules}
    assert {path: length for path, length in lengths.items() if length > MAX_LINES} == {}


@pytest.mark.parametrize("code", list(Code), ids=str)
def test_every_code_is_explained(code: Code) -> None:
    """A meaning and a remedy: sentences that end in a full stop, with no exclamation mark and no line break."""
    entry = CATALOGUE[code]
    for text in (entry.meaning, entry.remedy):
        assert text == text.strip()
        assert text.endswith(".")
        assert text[0].isupper()
        assert not {"!", "\n"} & set(text)


def test_a_code_is_its_name() -> None:
    """What is written in logs is what stands in the source."""
    assert {code.name: code.value for code in Code} == {code.name: code.name for code in Code}
    assert set(CATALOGUE) == set(Code)


def test_codes_are_used() -> None:
    """A code that nothing emits is not in the catalogue."""
    texts = [(ROOT / p).read_text() for p in MODULES if p.parts[0] == "src" and p.name != "catalogue.py"]
    assert [code.name for code in Code if not any(f"Code.{code.name}" in text for text in texts)] == []


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.name)
def test_every_requirement_is_pinned(path: Path) -> None:
    """One exact version with hashes each; no index, no URL, no option."""
    assert [line for line in requirements(path) if not PIN.fullmatch(line)] == []


def test_both_files_agree() -> None:
    """What runs in the tests is what runs at the user's: dev.txt has every pin of run.txt."""
    run, dev = (
        {m[1]: m[2] for line in requirements(ROOT / "requirements" / name) if (m := PIN.fullmatch(line))}
        for name in ("run.txt", "dev.txt")
    )
    assert run.items() <= dev.items()


def test_every_dependency_is_pinned_and_written_down() -> None:
    """Each of pyproject.toml is in run.txt, and named in docs/dependencies.md."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.split(r"[<>=~! \[]", one)[0].lower() for one in declared}
    pinned = {m[1].lower() for line in requirements(ROOT / "requirements/run.txt") if (m := PIN.fullmatch(line))}
    assert names - pinned == set()
    documented = (ROOT / "docs/dependencies.md").read_text().lower()
    assert sorted(name for name in names if name not in documented) == []


def licence(name: str) -> str:
    """All that a package says about its licence in its metadata."""
    told = metadata.metadata(name)
    said = [*told.get_all("License-Expression", []), *told.get_all("License", [])]
    said += [line for line in told.get_all("Classifier", []) if line.startswith("License ::")]
    return " | ".join(said)


def installed_for_run() -> list[str]:
    names = [m[1] for line in requirements(ROOT / "requirements/run.txt") if (m := PIN.fullmatch(line))]
    present = {re.sub(r"[-_.]+", "-", d.metadata["Name"]).lower() for d in metadata.distributions()}
    return [name for name in names if re.sub(r"[-_.]+", "-", name).lower() in present]


@pytest.mark.parametrize("name", installed_for_run())
def test_licence(name: str) -> None:
    """Nothing that is run is under the GPL, AGPL or LGPL, and each says what it is under."""
    said = licence(name)
    assert said, f"{name} names no licence"
    assert not re.search(r"\b[AL]?GPL|General Public License", said, re.IGNORECASE), said
