"""Single values that a page's structure says: behind or below a printed label, shares, periods, signatures.

None wherever the page does not decide: such a value is asked for. Pure; similarity in meaning is handed in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from layoutllm_tool.cot import ExpectedType, LayoutCoT
from layoutllm_tool.documents import dates
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.documents.page_layout import PlacedWord, Run
from layoutllm_tool.documents.values import read, readings
from layoutllm_tool.extraction.labels import bound_to, is_known_label, label_key, labels_of, names_of
from layoutllm_tool.extraction.parties import is_part_of_party, is_sender, party_part
from layoutllm_tool.extraction.rows import Similarity, normal
from layoutllm_tool.extraction.segments import Texts, found_at, not_there, text_of
from layoutllm_tool.extraction.typed import chosen

_BY_LABEL, _BY_NAME, _BY_PATTERN, _BY_MEANING = 0.92, 0.9, 0.9, 0.78
"""Confidence of a value behind a known label, behind the field's own name, of a form that stands once, and
behind a label that is near in meaning."""
_NO_LABEL = 0.85
"""Confidence that a number which pages print with a label is not there."""
_LONGEST_LABEL = 6
_NEAR, _MARGIN = 0.8, 0.1
"""Least likeness in meaning of a label and the field, and its lead over the next label."""
_FORMS = {
    "email": re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    "iban": re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z\d]{4}){2,7}(?: ?[A-Z\d]{1,3})?\b"),
}
_SHARE = re.compile(r"(?<![\w.,])(\d{1,3}(?:[.,]\d{1,3})?) ?%")
_IS_SHARE = re.compile(
    r"(?i)\b(?:percent|percentage|pct|rate|prozent|satz|prozentsatz|taux|porcentaje|tasso)\b"
)
_FIRST = re.compile(r"(?i)\b(?:start|from|begin|beginning|first|von|beginn|anfang|d\u00e9but|desde|inizio)\b")
_LAST = re.compile(r"(?i)\b(?:end|to|until|till|last|bis|ende|fin|hasta|fine)\b")
_PERIOD = re.compile(
    r"(?i)\b(?:period|zeitraum|abrechnungszeitraum|leistungszeitraum|p\u00e9riode|periodo|statement|billing)\b"
)
_UNTIL = re.compile(r"\s*(?:-|\u2013|\u2014|to|until|through|till|bis(?: zum)?|au|al|hasta|tot|~|\u301c)\s*")
_ANY_DATE = re.compile(
    r"(?:purchase |receipt |transaction |invoice |issue |visit )?date"
    r"|date of (?:purchase|visit|issue)|visited on|purchased on|datum|belegdatum"
)
_CLOCK = re.compile(r"(?i)(?<![\d:.,])(\d{1,2}):([0-5]\d)(?::[0-5]\d)?(?:\s?([ap])\.?m\b)?(?![\d:])")
_CARD = re.compile(r"(?i)(?:[*x\u2022\u00b7#.]{2,}\s?|ending(?: in)? )(\d{4})(?!\d)")
_TELEPHONE = re.compile(
    r"(?i)(?<!\w)(?:tel|telephone|phone|ph|telefon|t\u00e9l|fon|reception|customer care)\b"
    r"[.:]*\s*(\+?[\d(][\d()/. -]{5,})"
)
_AMERICAN = re.compile(r"\(\d{3}\) ?\d{3}-\d{4}|\d{3}-\d{3}-\d{4}")
_DATED = re.compile(
    r"(?i)(?:(?:on|as of|as at|at|am|vom|per|zum|au|al|del)\s+)?"
    r"((?:\d{1,4}[./-]\d{1,2}[./-]\d{1,4})|\d{1,2}\.? [^\W\d_]+ \d{4})"
)
_DAY_ALONE = re.compile(r"(?:\d{1,2}\.?(?: [^\W\d_]+\.?)?|[^\W\d_]+\.? \d{1,2})")


_ENDS_LABEL = re.compile(r"(?i)^\D*\w\.? (?:no|nr|number|nummer|code|date|datum|ref|reference|point)\.?$")
"""Words that end as labels do, without a digit: "Tax point". A "No" alone is an answer."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One value of a schema, as a question."""

    question: str
    path: tuple[str, ...]
    type: ExpectedType = "text"
    required: bool = False
    told: str = ""
    """The schema's description."""

    @property
    def words(self) -> str:
        return " ".join(normal(spaced(name)) for name in self.path)

    @property
    def own(self) -> str:
        return normal(spaced(self.path[-1]))


def spaced(name: str) -> str:
    """ "dueDate" -> "due Date"."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)


def single(document: Document, wanted: Wanted, similarity: Similarity) -> LayoutCoT | None:
    """The value's place on the pages, or that it is not there; None where the pages do not decide."""
    pages = [Texts(page) for page in document.pages]
    return (
        party_part(document, wanted.question, wanted.path)
        or _period(pages, wanted)
        or _share(pages, wanted)
        or _form(pages, wanted)
        or (None if is_part_of_party(wanted.path) else _labelled(pages, wanted))
        or _sole(pages, wanted)
        or _unlabelled(pages, wanted)
        or (_meant(pages, wanted, similarity) if len(wanted.path) == 1 else None)
    )


def labelled_choice(document: Document, wanted: Wanted, values: Sequence[str]) -> LayoutCoT | None:
    """What stands behind the field's label, where that is one of the values."""
    cot = _labelled([Texts(page) for page in document.pages], wanted)
    return cot if cot and cot.answer and chosen(values, cot.answer).value is not None else None


def _labelled(pages: Sequence[Texts], wanted: Wanted) -> LayoutCoT | None:
    """What stands behind or below the field's own name, or the labels of its kind, where all say the same."""
    names = [name for name in names_of(wanted.path) if len(name) > 3]
    if len(wanted.path) > 1 and _is_printed(pages, label_key(wanted.path[-2])):
        names = names[:1]  # its own name alone may be of another group
    if 0 < len(wanted.told.split()) <= _LONGEST_LABEL:
        names.append(label_key(wanted.told))
    if len(wanted.path) == 1 and names and names[0].endswith("no") and len(names[0]) > 6:
        names.append(names[0].removesuffix("no"))  # "Check 20418"
    for labels, sure in ((names, _BY_NAME), (labels_of(wanted.path), _BY_LABEL)):
        found = [one for texts in pages for one in _values(texts, labels, wanted)]
        if len({normal(text) for _, _, text, _ in found}) == 1:
            texts, words, text, label = found[0]
            if not words:
                return None
            return found_at(wanted.question, texts.page, words, text, label, sure)
        if found:
            return None
    return None


def _meant(pages: Sequence[Texts], wanted: Wanted, similarity: Similarity) -> LayoutCoT | None:
    """What stands behind the label that is nearest to the field in meaning, by a margin."""
    found: dict[str, list[tuple[Texts, Sequence[PlacedWord], str]]] = {}
    for texts in pages:
        for run in texts.runs:
            label = normal(text_of(run))
            if len(run) > _LONGEST_LABEL or not label or any(map(str.isdigit, label)):
                continue
            words, text = _value(texts, run, (), run, wanted)
            if text:
                found.setdefault(label, []).append((texts, words, text))
    labels = list(found)
    if not labels:
        return None
    asked = [wanted.words, wanted.own, *([wanted.told] if wanted.told else [])]
    scores = [max(column) for column in zip(*similarity(asked, labels), strict=True)]
    ranked = sorted(zip(scores, labels, strict=True), reverse=True)
    best, label = ranked[0]
    second = next((score for score, other in ranked[1:] if found[other][0][2] != found[label][0][2]), 0.0)
    values = {normal(text) for _, _, text in found[label]}
    if best < _NEAR or best - second < _MARGIN or len(values) > 1:
        return None
    texts, words, text = found[label][0]
    return found_at(wanted.question, texts.page, words, text, label, _BY_MEANING)


def _is_printed(pages: Sequence[Texts], words: str) -> bool:
    return any(label_key(text_of(run)) == words for texts in pages for run in texts.runs)


def _values(
    texts: Texts, labels: Sequence[str], wanted: Wanted
) -> Iterator[tuple[Texts, Sequence[PlacedWord], str, str]]:
    for run in texts.runs:
        for count in range(min(len(run), _LONGEST_LABEL), 0, -1):
            if (label := label_key(text_of(run[:count]))) in labels:
                words, text = _value(texts, run[:count], run[count:], run, wanted)
                if text:
                    yield texts, words, text, label
                break


def _value(texts: Texts, key: Run, rest: Run, run: Run, wanted: Wanted) -> tuple[Sequence[PlacedWord], str]:
    """The words behind the label, else right of it, else below it, if they are of the type."""
    if rest and _DATED.fullmatch(text_of(rest)) and wanted.type in ("money", "number"):
        rest = ()  # "Balance on 30 June 2025"
    if rest and not key[-1].ends_key and rest[0].text[:1].islower() and not _DATED.fullmatch(text_of(rest)):
        return (), ""  # a sentence, or a longer label
    if rest and (text := _fitting(rest, wanted)):
        return rest, _DATED.sub(r"\1", text) if wanted.type == "date" else text
    if rest and not _may_follow(rest):
        return (), ""
    right, below = texts.right_of(run), None if rest else texts.below(run)
    for words in (right, below):
        if words is None or _is_label(words) or (words is right and _is_head(texts, run, right)):
            continue
        if words is below and wanted.type in ("money", "number") and (deeper := texts.below(words)):
            words = () if _fitting(deeper, wanted) else words  # not from a column of a table
        if words and (text := _fitting(words, wanted)):
            return words, text
    return (), ""


def _is_label(words: Run) -> bool:
    text = text_of(words)
    return words[-1].ends_key or is_known_label(text) or _ENDS_LABEL.search(text) is not None


def _is_head(texts: Texts, run: Run, right: Run | None) -> bool:
    """Whether both are heads of columns, over values of their own."""
    if right is None or any(map(str.isdigit, text_of(right))) or run[-1].ends_key:
        return False
    column = list(texts.block_below(run, 2))
    if len(column) == 2 and all(
        (value := texts.right_of(one)) and _aligned(value, right, texts.layout.height) for one in column
    ):
        return False  # a column of labels beside one of values
    half = 0.5 * texts.layout.height
    row = list(texts.between(run[0].middle - half, run[0].middle + half))
    under = [texts.below(one) for one in row]
    plain = not any(any(map(str.isdigit, text_of(one))) for one in row)
    numbered = any(map(str.isdigit, text_of(under[row.index(run)] or ()))) if run in row else False
    apart = all(under) and len({u[0].id for u in under if u}) == len(row)
    return len(row) > (1 if numbered else 2) and plain and apart


def _aligned(run: Run, other: Run, height: float) -> bool:
    return abs(run[0].x0 - other[0].x0) < height or abs(run[-1].x1 - other[-1].x1) < height


def _may_follow(rest: Run) -> bool:
    """Whether a label may have these words at its end: "VAT 19 %", "Total (EUR)"."""
    return all(not word.text[:1].islower() for word in rest) and len(rest) <= 3


def _fitting(words: Run, wanted: Wanted) -> str:
    text = re.split(r"\s[\u00b7\u2022|]\s", text_of(words))[0].strip(" :;")
    match wanted.type:
        case "date":
            return text if len(dates.days(text)) else ""
        case "money":
            return text if readings(text) and not dates.days(text) else ""
        case "number":
            return (
                ""
                if "%" in text and not _IS_SHARE.search(wanted.own)
                else text
                if read(text) or len(re.findall(r"\d+(?:[.,]\d+)?", text)) == 1
                else ""
            )
        case "phone":
            found = re.match(r"[\d+()/. -]{6,}", text)
            return found[0].strip() if found else ""
        case "email":
            return found[0] if (found := _FORMS["email"].search(text)) else ""
        case _:
            numbered = re.search(r"\b(?:number|no|nr|id|code|nummer|iban|bic)\b", wanted.own)
            if numbered and wanted.own != "bic":
                text = re.sub(r"^(?:#|No\.?|Nr\.?|N\u00b0) *", "", text)
                return text if any(map(str.isdigit, text)) else ""
            return text


def _share(pages: Sequence[Texts], wanted: Wanted) -> LayoutCoT | None:
    """A percentage beside its words, for a field of a rate or of percents."""
    if wanted.type not in ("number", "money") or not _IS_SHARE.search(f"{wanted.own} {wanted.question}"):
        return None
    if not _IS_SHARE.search(wanted.own) and "percent" not in wanted.question.lower():
        return None
    stems = {w[:5] for w in normal(f"{wanted.words}").split() if len(w) > 2 and not _IS_SHARE.search(w)}
    of = " ".join(_IS_SHARE.sub(" ", wanted.own).split())
    stems |= {label[:5] for label in labels_of((of,)) if len(label) > 2} if of else set()
    found = [
        (texts, run, match[1])
        for texts in pages
        for run in texts.runs
        for match in _SHARE.finditer(text_of(run))
        if any(word[:5] in stems for word in normal(text_of(run)[: match.end() + 25]).split())
    ]
    if found and len({text for _, _, text in found}) == 1:
        texts, run, text = found[0]
        return found_at(wanted.question, texts.page, run, f"{text} %", wanted.own, _BY_PATTERN)
    return None


def _form(pages: Sequence[Texts], wanted: Wanted) -> LayoutCoT | None:
    """An e-mail address or IBAN: the one on the pages, or none."""
    kind = "email" if wanted.type == "email" else "iban" if wanted.own.endswith("iban") else ""
    if not kind:
        return None
    found = [
        (texts, run, match[0].strip())
        for texts in pages
        for run in texts.runs
        for match in _FORMS[kind].finditer(text_of(run))
    ]
    if not found:
        return not_there(wanted.question, kind, _BY_PATTERN)
    if len({text for _, _, text in found}) > 1 or (kind == "email" and len(wanted.path) > 1):
        return None
    texts, run, text = found[0]
    return found_at(wanted.question, texts.page, run, text, kind, _BY_PATTERN)


def _period(pages: Sequence[Texts], wanted: Wanted) -> LayoutCoT | None:
    """The first or the last day of the one period that the pages name."""
    if wanted.type != "date" or not _PERIOD.search(wanted.words):
        return None
    first = bool(_FIRST.search(wanted.words))
    if first == bool(_LAST.search(wanted.words)):
        return None
    found = [(t, run, days) for t in pages for run in t.runs if (days := _days_of(text_of(run)))]
    if not found or len({days for _, _, days in found}) > 1:
        return None
    texts, run, days = found[0]
    return found_at(wanted.question, texts.page, run, days[0 if first else 1], "period", _BY_PATTERN)


def _days_of(text: str) -> tuple[str, str] | None:
    """ "1 to 30 September 2025" -> "1 September 2025", "30 September 2025"."""
    for sign in _UNTIL.finditer(text):
        left, right = text[: sign.start()].split(), text[sign.end() :].split()
        last = next((d for n in range(1, 5) if dates.read(d := " ".join(right[:n]))), None)
        if last is None or not left:
            continue
        longest = next((d for n in range(1, 5) if dates.read(d := " ".join(right[:n])) and n >= 3), last)
        for n in range(min(4, len(left)), 0, -1):
            begun = " ".join(left[-n:])
            if dates.read(begun):
                return begun, longest
            if _DAY_ALONE.fullmatch(begun) and (whole := _completed(begun, longest)):
                return whole, longest
    return None


def _completed(begun: str, last: str) -> str | None:
    """A day without its year or month, as the last day has them."""
    words = last.split()
    for n in range(1, len(words)):
        whole = " ".join((begun, *words[n:]))
        if dates.read(whole):
            return whole
    return None


def _sole(pages: Sequence[Texts], wanted: Wanted) -> LayoutCoT | None:
    """What stands once on the pages, of a date, a time of day, the last digits of a card, a telephone."""
    if wanted.type == "date" and _ANY_DATE.fullmatch(wanted.own):
        return _only(pages, wanted, _written_date)
    if re.search(r"\btime\b|\buhrzeit\b", wanted.own):
        return _only(pages, wanted, _time)
    if re.search(r"last ?(?:4|four)|\blast digits\b", f"{wanted.own} {wanted.told.lower()}"):
        return _only(pages, wanted, lambda text: found[1] if (found := _CARD.search(text)) else "")
    if wanted.own in ("phone", "telephone", "phone number", "tel", "telefon"):
        sender = len(wanted.path) == 1 or is_sender(wanted.path[0])
        return _only(pages, wanted, _phone) if sender else None
    if wanted.type == "email" and is_sender(wanted.path[0]):
        form = _FORMS["email"]
        return _only(pages, wanted, lambda text: found[0] if (found := form.search(text)) else "")
    return None


def _only(pages: Sequence[Texts], wanted: Wanted, find: Callable[[str], str]) -> LayoutCoT | None:
    found = [(t, row, text) for t in pages for row in t.layout.rows if (text := find(text_of(row)))]
    if len({text for _, _, text in found}) != 1:
        return None
    texts, row, text = found[0]
    return found_at(wanted.question, texts.page, row, text, wanted.own, _BY_PATTERN)


def _written_date(text: str) -> str:
    """The one date in a row, as printed."""
    words = text.split()
    spans = ((i, n) for n in range(min(4, len(words)), 0, -1) for i in range(len(words) - n + 1))
    return next((d for i, n in spans if dates.read(d := " ".join(words[i : i + n]).strip(",;"))), "")


def _time(text: str) -> str:
    """As the 24-hour clock has it."""
    found = _CLOCK.search(text)
    if found is None:
        return ""
    half = (found[3] or "").lower()
    hour = int(found[1]) % 12 + 12 * (half == "p") if half else int(found[1])
    return f"{hour:02}:{found[2]}" if hour < 24 else ""


def _phone(text: str) -> str:
    if (found := _TELEPHONE.search(text)) and sum(map(str.isdigit, found[1])) >= 7:
        return found[1].strip(" -.")
    pieces = re.split(r"\s[\u00b7\u2022|]\s", text)
    return next((one.strip() for one in pieces if _AMERICAN.fullmatch(one.strip())), "")


def _unlabelled(pages: Sequence[Texts], wanted: Wanted) -> LayoutCoT | None:
    """Not there: an optional value that pages print with a label, of which none is printed."""
    bound = bound_to(wanted.path)
    if wanted.required or bound is None:
        return None
    known = {*names_of(wanted.path), *labels_of(wanted.path)}
    rows = [row for texts in pages for row in texts.layout.rows]
    printed = {word for row in rows for word in normal(text_of(row)).split()}
    if not printed.isdisjoint(bound):
        return None
    for row in rows:
        for start in range(len(row)):
            if any(label_key(text_of(row[start:stop])) in known for stop in range(start + 1, start + 5)):
                return None
    return not_there(wanted.question, wanted.own, _NO_LABEL)
