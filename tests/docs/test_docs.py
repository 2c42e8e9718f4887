"""What the documents say is there: commands, settings, codes, tests, links, packages."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType

import click
import pytest

from handclasp.app import settings
from handclasp.cli.main import handclasp
from handclasp.findings import Code

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
REFERENCE = ROOT / "docs" / "reference.md"
PAGES = ROOT / "docs" / "codes"
SECURITY = ROOT / "docs" / "security.md"
REQUIREMENTS = ROOT / "requirements"

each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)


@cache
def generator() -> ModuleType:
    """docs/generate.py, which is a script and in no package."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_as_generated() -> None:
    """Commands, settings and codes are those of the code. If not: python docs/generate.py."""
    text = REFERENCE.read_text()
    assert generator().generated(text) == text


def test_every_command_and_option_is_in_the_reference() -> None:
    """Read from the commands themselves, and not by the generator."""
    text = REFERENCE.read_text()
    missing = []

    def look(command: click.Command, path: str) -> None:
        if isinstance(command, click.Group):
            for name, below in command.commands.items():
                look(below, f"{path} {name}")
            return
        part = text.partition(f"### {path}\n")[2].partition("\n### ")[0].partition("<!-- end")[0]
        options = [name for p in command.params if isinstance(p, click.Option) for name in p.opts]
        missing.extend([path] if not part else [f"{path} {name}" for name in options if f"`{name}`" not in part])

    look(handclasp, "handclasp")
    assert missing == []


def test_every_setting_is_in_the_reference() -> None:
    """Each key of the schema, by its name."""
    schema = settings.schema()
    named = {name for part in (schema, *schema["$defs"].values()) for name in part["properties"]}
    rows = set(re.findall(r"^\| `(?:[^`]*\.)?([a-z_]+)` \|", REFERENCE.read_text(), re.MULTILINE))
    assert named - rows == set()


def test_every_code_is_in_the_reference() -> None:
    """The catalogue, whole and no more."""
    part = REFERENCE.read_text().partition("<!-- codes:")[2].partition("<!-- end of codes")[0]
    assert set(re.findall(r"^\| `([A-Z][A-Z_]+)` \|", part, re.MULTILINE)) == set(Code)


@pytest.mark.parametrize("name", ["README", *Code])
def test_the_page_of_a_code_is_as_generated(name: str) -> None:
    """It is there, and what the code would write now. If not: python docs/generate.py."""
    path = PAGES / f"{name}.md"
    written = generator().index() if name == "README" else generator().page(Code(name))
    assert (path.exists(), path.read_text() if path.exists() else "") == (True, written)


def test_there_are_pages_of_codes_only() -> None:
    """A page of a code that was taken back would say what is not so."""
    assert sorted(path.name for path in PAGES.iterdir()) == sorted(["README.md", *(f"{code}.md" for code in Code)])


@pytest.mark.parametrize("code", list(Code), ids=str)
def test_a_page_says_everything(code: Code) -> None:
    """Read from the page itself, and not by the generator: the meaning and six parts, each with something in it."""
    text = (PAGES / f"{code}.md").read_text()
    parts = dict(re.findall(r"^## (.+)\n\n(.+)$", text, re.MULTILINE))
    assert list(parts) == ["Cause", "Evidence", "What to do", "Standard", "Example", "See also"]
    assert re.search(rf"^# {code}\n\n\S", text, re.MULTILINE)


def test_every_test_that_is_named_exists() -> None:
    """A threat is answered by a test that is there."""
    named = set(re.findall(r"`(test_\w+)`", SECURITY.read_text()))
    contracts = (ROOT / "src" / "handclasp" / "testing").glob("*_contract*.py")
    paths = [*(ROOT / "tests").rglob("test_*.py"), *contracts]
    there = {name for path in paths for name in re.findall(r"def (test_\w+)", path.read_text())}
    assert (named - there, len(named) > 50) == (set(), True)


def test_every_danger_is_answered() -> None:
    """The numbered list begins with the dangers, each with a test of its number where the number is in its name."""
    points = re.findall(r"^(\d+)\. \*\*", SECURITY.read_text(), re.MULTILINE)
    assert points == [str(n) for n in range(1, len(points) + 1)]
    dangers = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_danger\w+)", path.read_text())
    }
    named = set(re.findall(r"`(test_danger\w+)`", SECURITY.read_text()))
    numbers = {int(n) for name in named for n in re.findall(r"\d+", name)}
    assert (numbers >= set(range(1, 16)), bool(dangers)) == (True, True)


def anchors(path: Path) -> set[str]:
    """The headings of a document as links name them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_document
def test_every_relative_link_resolves(path: Path) -> None:
    """To a file that is there, and a heading in it."""
    broken = []
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text()):
        file, _, anchor = target.partition("#")
        there = path.parent / file if file else path
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(target)
    assert broken == []


@each_document
def test_house_words(path: Path) -> None:
    """No exclamation marks, no paths of somebody's machine, no addresses of package registries."""
    text = re.sub(r"<!--|#!/", "", path.read_text())
    # The configurations of others, on the page of a code, have theirs: != in Go is no shouting.
    prose = re.sub(r"^    .*", "", text, flags=re.MULTILINE) if path.parent == PAGES else text
    assert re.findall(r".*!.*", prose) == []
    assert re.findall(r"/(?:home|Users|work|root|tmp)/\S*", text) == []
    assert re.findall(r"\S*(?:pypi\.|pythonhosted|npmjs|crates\.io|index-url)\S*", text, re.IGNORECASE) == []


def test_the_readme_names_its_two_commands() -> None:
    """make up and make test, each a block of its own and a target that exists."""
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    for target in ("up", "test"):
        assert f"\n    make {target}\n" in readme
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def direct() -> set[str]:
    """The packages that pyproject.toml asks for, with every extra, and the one that builds."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    return {"setuptools", *(re.split(r"[^\w.-]", one)[0].lower() for one in asked)} - {project["name"]}


def licence(name: str) -> str:
    """What the package says of its licence, in one line."""
    said = metadata.metadata(name)
    # Another package may have put its own reader of metadata in place, which raises for what is missing.
    text = " ".join((said.get_all("License-Expression") or said.get_all("License") or [""])[:1])
    return str(text) or " ".join(
        c.rpartition(" :: ")[2] for c in said.get_all("Classifier", []) if c.startswith("License")
    )


def test_no_gpl_and_licences_as_written() -> None:
    """Each direct dependency has a row with the licence of its metadata; nothing pinned is under GPL, LGPL, AGPL."""
    text = (ROOT / "docs" / "dependencies.md").read_text()
    rows = {name.lower(): said for name, said in re.findall(r"^\| ([\w-]+) \|.*\| ([^|]+) \|$", text, re.MULTILINE)}
    rows.pop("package")
    assert rows == {name: licence(name) for name in direct()}
    pinned = re.findall(r"^([\w.-]+)==", (REQUIREMENTS / "dev.txt").read_text(), re.MULTILINE)
    installed = {re.sub(r"[-_.]+", "-", d.metadata["Name"].lower()) for d in metadata.distributions()}
    here = [name for name in pinned if re.sub(r"[-_.]+", "-", name.lower()) in installed]
    assert [name for name in here if re.search(r"GPL|General Public", licence(name))] == []


@pytest.mark.parametrize("name", ["run.txt", "dev.txt"])
def test_pinned_with_hashes_and_without_an_index(name: str) -> None:
    """Every requirement is an exact version with a hash; no option names where it comes from."""
    text = (REQUIREMENTS / name).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert [
        line for line in lines if not re.fullmatch(r"[\w.-]+(\[[\w,-]+\])?==[^ ]+ .*--hash=sha256:[0-9a-f]{64} *", line)
    ] == []
