"""`make accuracy`: every fault on every product, examined twice, mended, and written to docs/accuracy.md.

python -m bench.accuracy
"""

from __future__ import annotations

import re
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from handclasp.testing.accuracy import Result, right, run, trials
from handclasp.testing.faults import FAULTS, Workshop
from handclasp.testing.servers import APACHE, CADDY, ENVOY, GO, HAPROXY, JAVA, NGINX, OPENSSL, Product, missing

PRODUCTS: tuple[Product | None, ...] = (NGINX, HAPROXY, ENVOY, APACHE, CADDY, OPENSSL, GO, JAVA, None)
PAGE = Path(__file__).parent.parent / "docs" / "accuracy.md"
_BEGIN, _END = "<!-- results: written by make accuracy -->\n", "<!-- end of results -->\n"


def main() -> None:
    """Run all of it."""
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        directory.chmod(0o755)
        (directory / "shop").mkdir()
        shop = Workshop(directory / "shop")
        for product in PRODUCTS:
            if product is not None and (why := missing(product)):
                print(f"left out: {why}")
                continue
            found = run(shop, product, list(trials(shop, product, FAULTS)), kept=directory / "kept", mend=True)
            print(f"{'no product' if product is None else product.name}: {len(found)} examinations")
            results += found
    table = "\n".join(written(results))
    text = PAGE.read_text()
    head, tail = text.partition(_BEGIN)[0], text.partition(_END)[2]
    PAGE.write_text(f"{head}{_BEGIN}\n{table}\n\n{_END}{tail}")
    print(table.split("\n\n")[0])


def written(results: Sequence[Result]) -> Iterator[str]:
    """The summary, and the table."""
    yield "| | cases | right code first | in the first three | among them | passes after the fix | median, max |"
    yield "|---|---|---|---|---|---|---|"
    for whole, name in ((True, "with the server's files"), (False, "from the client's side alone")):
        count, first, three, among = right(results, whole=whole)
        mine = [one for one in results if one.whole is whole]
        passed = sum(1 for one in mine if one.passes)
        times = [one.seconds for one in mine if one.trial.scene.raw != "silent"]
        yield (
            f"| {name} | {count} | {first} ({first / count:.1%}) | {three} ({three / count:.1%}) | "
            f"{among} ({among / count:.1%}) | {passed} ({passed / count:.1%}) | "
            f"{statistics.median(times):.2f} s, {max(times):.2f} s |"
        )
    yield ""
    yield "| fault | server | says (TLS 1.2; 1.3) | the doctor, with the files | alone | fix proved |"
    yield "|---|---|---|---|---|---|"
    for key in dict.fromkeys((one.trial.fault.name, one.trial.product) for one in results):
        mine = [one for one in results if (one.trial.fault.name, one.trial.product) == key]
        given = [one for one in mine if one.whole]
        alone = [one for one in mine if not one.whole]
        says = "; ".join(dict.fromkeys(_says(one) for one in given))
        proved = "yes" if all(one.passes for one in given) else "no"
        yield f"| {key[0]} | {key[1] or 'any'} | {says} | {_codes(given)} | {_ranks(alone)} | {proved} |"


def _says(result: Result) -> str:
    """What the server said, as short as can be."""
    shown = [one.seen for one in result.diagnosis.evidence if "certificate" in one.tried and "handshake" in one.tried]
    text = shown[-1] if shown else " ".join(one.seen for one in result.diagnosis.evidence)
    for pattern in (r"alert (\d+)", r"HTTP (\d+)"):
        if found := re.search(pattern, text):
            return found[0]
    return "nothing of it"


def _codes(results: Sequence[Result]) -> str:
    return ", ".join(dict.fromkeys(f"`{one.diagnosis.code}`" for one in results))


def _ranks(results: Sequence[Result]) -> str:
    ranks = dict.fromkeys("first" if one.first else f"place {one.rank}" for one in results)
    return ", ".join(ranks)


if __name__ == "__main__":
    main()
