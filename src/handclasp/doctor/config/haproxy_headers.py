"""HAProxy's request headers that carry the caller's identity, and the rules that look at the certificate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from handclasp.doctor.config.haproxy_lines import Line, Section
from handclasp.doctor.config.model import Setting
from handclasp.doctor.diagnosis import Ailment, Fix, Place, Side
from handclasp.findings import Code

_OF_CERTIFICATE = ("ssl_c_", "ssl_fc_has_crt")
_REFUSING = {"deny", "reject", "tarpit", "silent-drop", "return", "redirect"}
_RULES = ("http-request", "tcp-request")
_SETTING = {"set-header", "add-header"}


def judge(
    section: Section, sections: Sequence[Section], *, everyone_known: bool
) -> tuple[tuple[Setting, ...], tuple[Ailment, ...]]:
    """The identity headers that a frontend sets, and where a caller's own come through: under a condition without
    ``del-header`` before, by ``add-header``, or by another frontend to the same backend.

    ``everyone_known``: every caller of this frontend has shown a certificate that was verified.
    """
    behind = _backends(section)
    inside = list(_of_backends(behind, sections))
    rules = [*section.of("http-request"), *inside]
    carried: dict[str, Line] = {}
    found: list[Ailment] = []
    removed: set[str] = set()
    for line in rules:
        action, name = _action(line)
        if action == "del-header" and not _condition(line):
            removed.add(name)
        if action not in _SETTING or not any("ssl_c_" in word for word in line.words[3:]):
            continue
        carried.setdefault(name, line)
        open_ = bool(_condition(line)) and not (everyone_known and _is_certificate(_condition(line)))
        if name not in removed and (action == "add-header" or open_):
            why = "is added to what the caller sent" if action == "add-header" else "is set under a condition only"
            what = f"{line.words[2]} {why}: a caller can send it and be anybody"
            found.append(_ailment(line.words[2], what, line.place))
        removed.add(name)
    for other in sections if carried else ():
        if other is section or other.kind not in {"frontend", "listen"} or not behind & _backends(other):
            continue
        handled = {_action(line)[1] for line in [*other.of("http-request"), *inside]}
        for name, line in carried.items():
            if name not in handled:
                what = f"{other.kind} {other.name} leads to the same backend and leaves {line.words[2]} to the caller"
                found.append(_ailment(line.words[2], what, other.place))
    headers = tuple(Setting(" ".join(line.words[2:4])[:200], line.place) for _, line in sorted(carried.items()))
    return headers, tuple(found)


def guard(section: Section) -> Place | None:
    """The first rule that turns callers away by what came of their certificate."""
    names = {
        line.words[1]
        for line in section.of("acl")
        if len(line.words) > 2 and any(_is_certificate_word(word) for word in line.words[2:])
    }
    for line in section.of(*_RULES, "use_backend"):
        condition = _condition(line)
        refuses = line.words[0] == "use_backend" or bool(_REFUSING & set(line.words[1:4]))
        if refuses and any(_is_certificate_word(word) or word.lstrip("!") in names for word in condition):
            return line.place
    return None


def _action(line: Line) -> tuple[str, str]:
    return (line.words[1], line.words[2].lower()) if len(line.words) > 2 else ("", "")


def _condition(line: Line) -> tuple[str, ...]:
    for position, word in enumerate(line.words):
        if position > 1 and word in {"if", "unless"}:
            return line.words[position + 1 :]
    return ()


def _is_certificate(condition: Sequence[str]) -> bool:
    """Whether the condition is that a certificate was shown, and nothing else."""
    words = [word for word in condition if word not in {"{", "}", "1"}]
    return words in (["ssl_c_used"], ["ssl_fc_has_crt"])


def _is_certificate_word(word: str) -> bool:
    return word.lstrip("!").startswith(_OF_CERTIFICATE)


def _backends(section: Section) -> set[str]:
    found = {line.words[1] for line in section.of("use_backend", "default_backend") if len(line.words) > 1}
    return found | ({section.name} if section.kind == "listen" and section.name else set())


def _of_backends(names: set[str], sections: Sequence[Section]) -> Iterator[Line]:
    for section in sections:
        if section.kind == "backend" and section.name in names:
            yield from section.of("http-request")


def _ailment(name: str, what: str, place: Place) -> Ailment:
    line = f"http-request del-header {name}"
    fix = Fix(Side.SERVER, f"Remove {name} before any rule that sets it.", "haproxy", configuration=(line,))
    return Ailment(Code.CONFIG_IDENTITY_HEADER, str(place), what, fixes=(fix,), place=place)
