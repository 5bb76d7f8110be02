"""Names and addresses of parties, from the blocks in which pages print them. Pure.

A block stands under a heading ("Bill to"); a recipient's may also stand alone in the upper left, as letters
have it, and a sender's above everything else or in the one line over the recipient's.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.documents.page_layout import PlacedWord, Run, WordId
from layoutllm_tool.extraction.rows import normal
from layoutllm_tool.extraction.segments import Texts, found_at, text_of

_HEADED, _ALONE = 0.88, 0.78
"""Confidence of a block under a heading, and of one that is known by its place."""
_MOST_LINES = 7
_UNDER_HEAD = 3.6
"""Heights of a line from a heading to the first line under it."""
_BEHIND = 20.0
"""Heights of a line from a label with a colon to its value, at most."""
_CLOSE = 5.0
"""Heights of a line from the widest label to its column of values, at most."""
_WIDEST = 9
"""Words of a line that may be one of an address."""
_UPPER, _LEFT = 0.42, 0.45
"""Share of the page's height and width in which a recipient's block begins."""
_ZIP = re.compile(
    r"(?<![\w.,/-])(?:[A-Z]{1,2}\d[\dA-Z]? ?\d[A-Z]{2}|[A-Z]\d[A-Z] ?\d[A-Z]\d|[A-Z]\d\d ?[A-Z\d]{4}"
    r"|(?:[A-Z]{1,2}-)?\d{5}(?:-\d{4})?|\d{3} \d\d|\d{4} ?[A-Z]{2}|[A-Z]{2}-\d{4}|\d{3}-\d{4})(?![\w/-])"
)
"""A postal code: British, Canadian, Irish, of five digits, Swedish, Dutch, with a country, Japanese."""
_FOUR = re.compile(r"^\d{4}(?= [A-Z\u00c4\u00d6\u00dc][a-z\u00e4\u00f6\u00fc])")
"""Of four digits, before a town."""
_ATTENTION = re.compile(
    r"(?i)^(?:attn|att|attention|fao|f\.a\.o|c/o|z\.? ?hd|zu h\u00e4nden|contact|kontakt|ansprechpartner)\b"
    r"[.:]*(?: (?:von|of)\b)?:? *"
)
_SALUTATION = re.compile(r"^(?:Herrn?|Frau|Firma|Fa\.|Familie|Mr|Mrs|Ms|Miss|Dr|Mme|M\.|Monsieur|Madame)\.?$")
_ADDRESSED = re.compile(r"^(?:Herrn?|Frau|Mr|Mrs|Ms|Miss|Dr|Mme|Monsieur|Madame)\.? [A-Z\u00c4\u00d6\u00dc]")
_TITLE = re.compile(r"^(?:(?:Herrn?|Frau|Mr|Mrs|Ms|Miss|Mme|Monsieur|Madame)\.? )+")
_WITHOUT_TITLE = re.compile(r"(?i)\b(?:without|ohne|sans)\b.*\b(?:mr|ms|mrs|title|salutation|anrede|titel)\b")
_CONTACT = re.compile(
    r"(?i)^(?:tel|phone|fon|fax|mobile?|e-?mail|www|http|iban|bic|vat|ust|steuer|gst|abn|siret|tva|nif|cif|reg|account|konto"
    r"|customer|supplier|kunden|order|invoice|date|datum|page|seite|company no|terms|po no)\b.*"
    r"|.*(?:@|\bwww\.).*"
)
"""A line that is no part of an address."""
_PARTS_OF_LINE = re.compile(r"\s+[\u00b7\u2022|\u2013]\s+|\s*[\u00b7\u2022|]\s*")
_LEGAL = re.compile(
    r"(?<!\w)(?:GmbH(?: & Co\. ?KG)?|AG|KG|OHG|e\. ?K\.|e\. ?V\.|eG|UG|mbB"
    r"|Ltd|Limited|LLC|LLP|Inc|Corp|plc|PLC|S\.?A\.?S?|S\.?r\.?l\.?"
    r"|S\.?L\.?|B\.?V\.?|N\.?V\.?|AB|ApS|A/S|AS|Oy|DAC|a\.s\.|s\.r\.o\.|Pty|K\.K\.)\.?(?!\w)"
)


@dataclass(frozen=True, slots=True)
class Block:
    """A party's lines: name, perhaps a person, street, town. Each line: its words and its text."""

    texts: Texts
    lines: tuple[tuple[Run, str], ...]
    sure: float

    def part(self, name: str) -> tuple[Sequence[PlacedWord], str] | None:
        """The words and the text of "name", "address", "street", "city", "zip" or "contact"."""
        lines = [line for line in self.lines if not _SALUTATION.match(line[1])]
        persons = [line for line in lines[1:] if _ATTENTION.match(line[1]) or _ADDRESSED.match(line[1])]
        rest = _whole_name([line for line in lines if line not in persons])
        match name:
            case "name":
                return rest[0] if rest else None
            case "contact":
                return (persons[0][0], _ATTENTION.sub("", persons[0][1])) if persons else None
            case "address":
                place = rest[1:]
                words = [word for line in place for word in line[0]]
                told = ", ".join(_without_contacts(line[1].rstrip(",")) for line in place)
                return (words, told) if place else None
            case _:
                return _of_place(rest[1:], name)


def _whole_name(lines: list[tuple[Run, str]]) -> list[tuple[Run, str]]:
    """A legal form at the end of the second line: the name goes over both."""
    if len(lines) > 2 and _is_rest_of_name(lines[0][1], lines[1][1]):
        return [((*lines[0][0], *lines[1][0]), f"{lines[0][1]} {lines[1][1]}"), *lines[2:]]
    return lines


def _is_rest_of_name(first: str, second: str) -> bool:
    return bool(_LEGAL.search(second)) and not _LEGAL.search(first) and not any(map(str.isdigit, second))


def _of_place(lines: Sequence[tuple[Run, str]], name: str) -> tuple[Sequence[PlacedWord], str] | None:
    towns = [line for line in lines if _zip_of(line[1])]
    if not towns:
        return None
    words, town = towns[-1]
    if name == "street":
        before = lines[: lines.index(towns[-1])]
        return ([w for line in before for w in line[0]], ", ".join(t for _, t in before)) if before else None
    code = _zip_of(town)
    assert code is not None
    if name == "zip":
        return words, code
    if re.fullmatch(r"\d{4,5}", code) and town.startswith(code):
        return words, town.removeprefix(code).strip(" ,")
    region = re.fullmatch(r"(.+), ?[A-Z]{2} " + re.escape(code), town)
    return words, region[1] if region else town


def party_part(document: Document, question: str, path: Sequence[str]) -> LayoutCoT | None:
    """The part of a party that the path names ("customer", "address"); None where no block says it."""
    role, part = _role_and_part(path)
    if role is None or part is None:
        return None
    for page in document.pages[:1]:
        texts = Texts(page)
        block = _block(texts, role)
        found = block.part(part) if block else None
        if found and _WITHOUT_TITLE.search(question):
            found = found[0], _TITLE.sub("", found[1])
        if block and found and found[1]:
            return found_at(question, page, found[0], found[1], f"{role} {part}", block.sure)
    return None


def is_sender(name: str) -> bool:
    """Whether schemas call the document's sender so."""
    return _role(normal(name)) == "sender"


def is_part_of_party(path: Sequence[str]) -> bool:
    """Whether it is one of several values of a party, which labels alone do not tell apart."""
    role, part = _role_and_part(path)
    return len(path) > 1 and role is not None and part is not None


def _role_and_part(path: Sequence[str]) -> tuple[str | None, str | None]:
    """From names such as ("customer", "address"), ("seller_name",), ("ship_to",), ("store", "name")."""
    words = [normal(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", step)) for step in path]
    joined, known = " ".join(words), _known()
    for part, names in known["parts"].items():
        for name in sorted(names, key=len, reverse=True):
            if joined.endswith(f" {name}"):
                role = _role(joined.removesuffix(f" {name}"))
                if role:
                    return role, part
    role = _role(joined) if joined != "buyer" else None  # a person, of those who buy
    return (
        (role, "address" if "address" in joined or "adresse" in joined else "name") if role else (None, None)
    )


def _role(words: str) -> str | None:
    return next((role for role, (names, _) in _known()["roles"].items() if words in names), None)


def _block(texts: Texts, role: str) -> Block | None:
    headings = {r: set(h) for r, (_, h) in _known()["roles"].items()}
    runs = texts.runs
    heads = {id(run): r for run in runs for r, own in headings.items() if normal(text_of(run)) in own}
    for run in runs:
        if heads.get(id(run)) == role and (block := _under(texts, run, heads)):
            return Block(texts, block, _HEADED)
    if role == "recipient":
        return _letter(texts, heads) or _block(texts, "delivery")
    if role == "sender":
        others = _block(texts, "recipient")
        taken = {word.id for line, _ in others.lines for word in line} if others else set()
        return _one_line(texts) or _top(texts, taken)
    return None


def _under(texts: Texts, head: Run, heads: Mapping[int, str]) -> tuple[tuple[Run, str], ...]:
    """The lines under a heading, up to the next heading or a line of numbers and contacts. What stands right
    of a label with a colon is its value, and the block begins there.
    """
    value = texts.right_of(head) if head[-1].ends_key else None
    if value and id(value) not in heads and value[0].x0 - head[-1].x1 < _BEHIND * texts.layout.height:
        block = [value, *texts.block_below(value, _MOST_LINES)]
    else:
        block = list(texts.block_below(head, _MOST_LINES, _UNDER_HEAD))
    if _are_labels(texts, [head, *block]):
        return ()
    lines = _until_other(iter(block), heads)
    return tuple(lines) if len(lines) > 1 else ()


def _are_labels(texts: Texts, lines: Sequence[Run]) -> bool:
    """Whether a column of values stands close behind the lines."""
    behind = [(line, value) for line in lines if (value := texts.right_of(line))]
    if len(behind) < 3 or behind[0][0] is not lines[0]:
        return False
    edge, height = behind[0][1][0].x0, texts.layout.height
    values = [value for _, value in behind if abs(value[0].x0 - edge) < height]
    return len(values) >= 3 and edge - max(line[-1].x1 for line, _ in behind) < _CLOSE * height


def _until_other(block: Iterator[Run], heads: Mapping[int, str]) -> list[tuple[Run, str]]:
    lines: list[tuple[Run, str]] = []
    for run in block:
        text = text_of(run)
        labelled = any(word.ends_key for word in run) and not _ATTENTION.match(text)
        if id(run) in heads or labelled or (_CONTACT.match(text) and not _ATTENTION.match(text)):
            break
        lines.append((run, text))
    return lines


def _letter(texts: Texts, heads: Mapping[int, str]) -> Block | None:
    """The first block of three lines or more in the upper left that has a postal code."""
    page = texts.page
    begun: set[int] = set()
    for run in texts.runs:
        if run[0].y0 > _UPPER * page.height or run[0].x0 > _LEFT * page.width:
            continue
        if id(run) in begun or texts.layout.before(run[0]) or _PARTS_OF_LINE.search(text_of(run)):
            continue
        block = [run, *texts.block_below(run, _MOST_LINES)]
        begun |= {id(one) for one in block}
        if any(id(one) in heads for one in block[:1]):
            continue
        lines = _until_other(iter(block), heads)
        towns = [n for n, (_, text) in enumerate(lines) if _zip_of(text)]
        if len(lines) >= 3 and towns and not _LEGAL.search(lines[-1][1]):
            above = texts.layout.between(0, run[0].y0)
            if above:
                return Block(texts, tuple(lines[: towns[-1] + 1]), _ALONE)
    return None


def _one_line(texts: Texts) -> Block | None:
    """The line over a recipient's address, or of a footer: name, street, town."""
    for run in texts.runs:
        text = text_of(run)
        pieces = [one for one in _PARTS_OF_LINE.split(text) if one]
        if len(pieces) >= 3 and _zip_of(pieces[2]) and not _CONTACT.match(pieces[0]):
            return Block(texts, tuple((run, one) for one in pieces[:3]), _ALONE)
        commas = [one.strip() for one in text.split(". ")[0].split(",")]
        if len(commas) >= 3 and _LEGAL.search(commas[0]) and _zip_of(text):
            end = next(n for n, one in enumerate(commas) if _zip_of(one)) if any(map(_zip_of, commas)) else 0
            if end >= 1:
                return Block(texts, tuple((run, one) for one in commas[: end + 1]), _ALONE)
    return None


def _top(texts: Texts, taken: Collection[WordId]) -> Block | None:
    """A name in the first lines, and the postal address under it or beside it."""
    page, height = texts.page, texts.layout.height
    top = [run for run in texts.runs if run[0].y0 < 0.22 * page.height and run[0].id not in taken]
    towns = [run for run in top if _zip_of(text_of(run)) and _is_short(text_of(run))]
    if not towns:
        return None
    town = towns[0]
    name = _name_at_top(texts, top, town)
    if name is None:
        return None
    inline = [piece for piece in _PARTS_OF_LINE.split(text_of(town)) if piece]
    if len(inline) > 1:
        return Block(texts, (name, *((town, piece) for piece in inline if not _CONTACT.match(piece))), _ALONE)
    street = [
        run for run in top
        if 0.5 * height < town[0].middle - run[0].middle < 2.3 * height and run not in name[0:1]
        and not _CONTACT.match(text_of(run)) and _aligned(run, town, height)
    ]  # fmt: skip
    lines = [(run, text_of(run)) for run in street if run[0].id not in {w.id for w in name[0]}]
    if not lines and not re.search(r"\d.*[A-Za-z].*,", text_of(town)):
        return None
    return Block(texts, (name, *lines[-1:], (town, text_of(town))), _ALONE)


def _is_short(text: str) -> bool:
    return len(_without_contacts(text).split()) <= _WIDEST


def _aligned(run: Run, other: Run, height: float) -> bool:
    middle = abs((run[0].x0 + run[-1].x1) - (other[0].x0 + other[-1].x1)) / 2
    return abs(run[0].x0 - other[0].x0) < height or abs(run[-1].x1 - other[-1].x1) < height or middle < height


def _name_at_top(texts: Texts, top: Sequence[Run], town: Run) -> tuple[Run, str] | None:
    """The line with a legal form, else the tallest words over the address."""
    above = [run for run in top if run[0].middle <= town[0].middle + texts.layout.height and run is not town]
    legal = [run for run in above if _LEGAL.search(text_of(run))]
    named = legal or [run for run in above if not any(c.isdigit() for c in text_of(run))]
    if not named:
        return None
    best = max(named, key=lambda run: max(word.height for word in run)) if not legal else legal[0]
    height = texts.layout.height
    over = [
        run for run in above
        if 0.5 * height < best[0].middle - run[0].middle < 3 * height and _aligned(run, best, height)
    ]  # fmt: skip
    if legal and over and _is_rest_of_name(text_of(over[-1]), text_of(best)) and len(best) < 5:
        return (*over[-1], *best), f"{text_of(over[-1])} {text_of(best)}"
    return best, text_of(best)


def _without_contacts(text: str) -> str:
    """An address without the telephone number and the like behind it."""
    found = _ZIP.search(text)
    rest = text[found.end() :] if found else ""
    return text[: found.end()] if found and re.match(r" +(?:\+?\(?\d|Tel|Ph|Fax|VAT|E-?mail)", rest) else text


def _zip_of(text: str) -> str | None:
    found = _ZIP.search(text) or _FOUR.search(text)
    return found[0] if found and not _CONTACT.match(text) else None


@cache
def _known() -> Mapping[str, Any]:
    data = tomllib.loads((files(__package__) / "parties.toml").read_text(encoding="utf-8"))

    def split(text: str) -> tuple[str, ...]:
        return tuple(normal(one) for one in text.split(","))

    return {
        "roles": {r: (split(entry["names"]), split(entry["headings"])) for r, entry in data["roles"].items()},
        "parts": {part: split(names) for part, names in data["parts"].items()},
    }
