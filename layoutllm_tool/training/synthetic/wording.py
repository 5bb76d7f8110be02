"""What stands in the fields of typed business forms: short marks, codes, measures, names, lists, remarks of many lines.

A value may have line breaks (an address, a list of copies); everything else is wrapped where it is drawn. All invented.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from layoutllm_tool.training.synthetic.names import (
    CHEM_A,
    CHEM_B,
    DEPARTMENTS,
    DONE,
    FIRST,
    LAST,
    LOOKS,
    MATERIALS,
    MEDIA,
    MONTHS,
    NATIONS,
    NOUN,
    PEOPLE,
    PROMO_ENDS,
    PROMOS,
    REMARKS,
    ROLES,
    SHORT,
    STATES,
    UNITS,
    VERB,
)
from layoutllm_tool.training.synthetic.values import ValueGenerator


def initials(rng: Random) -> str:
    a, b, c = (rng.choice("ABCDEFGHJKLMNPRSTW") for _ in range(3))
    return rng.choice(
        (f"{a}{b}{c}", f"{a}. {b}. {c}.", f"{a}{b}", f"{a}.{b}.{c}.", f"{a}. {b}.", f"{a}{b}{c}/{c.lower()}{a.lower()}")
    )


def signer(m: ValueGenerator) -> str:
    """A name as typed on a form: "R. J. Harlow", "Harlow", "H. HARLOW HH"."""
    rng, last, first = m.rng, m.surname(), m.rng.choice(FIRST)
    a, b = rng.choice("ABCDEFGHJKLMNPRSTW"), rng.choice("ABCDEFGHJKLMPRST")
    forms = (f"{a}. {b}. {last}", f"{a}. {b}. {last}", f"{a}.{b}. {last}", f"{first} {last}", f"{a}. {last}", last, f"{first} {b}. {last}",
             f"Dr. {first} {last}", f"Ms. {first} {last}", f"{a}. {b}. {last.upper()} {a}{b}{last[0]}", f"{last}, {a}. {b}.", f"{last}, {first}")  # fmt: skip
    return rng.choice(forms)


def reference(m: ValueGenerator) -> str:
    """A number or code; often with blanks or signs in it."""
    rng, d = m.rng, m.digits
    a, b = rng.choice("ABCDEFGHKLMNPRSTVWX"), rng.choice("ABCDEFGHKLMNPRSTVWX")
    forms = (d(4), d(3), d(5), f"{d(2)}-{d(2)}", f"{d(2)}-{d(3)}{a}", f"# {d(3)}", f"#{d(4)}", f"{a}{d(2)}", f"{a}{b}{d(2)}-{d(2)}", f"{a}-{d(4)}", f"{d(4)}-{d(2)}{a}",
             f"{a}{b} {d(2)}-{d(3)}", f"19{d(2)}-{d(2)}{a}", f"{d(8)}", f"{d(1)}-{d(3)}-{d(4)}", f"{a}{b}{rng.choice('CDT')} {d(4)}", f"{d(2)} {d(3)} {d(1)}", f"No. {d(4)}",
             f"{d(2)}.{d(3)}", f"{a}{d(5)}", f"{d(4)} / {d(4)}", f"{d(3)}, {d(3)}, {d(3)}", f"{a}{b}-{d(1)}", f"{d(1)}{a}")  # fmt: skip
    return rng.choice(forms)


def date(m: ValueGenerator) -> str:
    """A date, mostly of 1965-1999 and as typed."""
    rng = m.rng
    d, mo, y = rng.randint(1, 28), rng.randint(1, 12), rng.randint(1965, 1999)
    name, yy = MONTHS[mo - 1], y % 100
    forms = (f"{mo}/{d}/{yy:02}",) * 5 + (f"{name} {d}, {y}",) * 4 + (f"{mo}-{d}-{yy:02}",) * 2 + (
        f"{mo:02}/{d:02}/{yy:02}", f"{mo}/{d}/{y}", f"{d} {name} {y}", f"{name[:3]}. {d}, {y}", f"{name[:3].upper()} {d} {yy:02}", f"{d}-{name[:3]}-{yy:02}",
        f"{mo}/{yy:02}", f"{name} {y}", f"{name}, {y}", f"{y}", f"{mo}.{d}.{yy:02}", f"{name[:3].upper()}-{d:02}-{y}", f"{mo} /{d} /{yy:02}", f"{mo}/ {d}/ {yy:02}")  # fmt: skip
    return (
        rng.choice(forms)
        if rng.random() < 0.94
        else rng.choice(("ASAP", "unknown", "N/A", "Open", "Immediately", "TBD"))
    )


def span_of_dates(m: ValueGenerator) -> str:
    rng = m.rng
    a, b = rng.choice(MONTHS), rng.choice(MONTHS)
    p, q = rng.randint(1, 15), rng.randint(16, 30)
    return rng.choice((f"{rng.randint(1, 12)}/{p}/{rng.randint(70, 99)}-{rng.randint(1, 12)}/{q}/{rng.randint(70, 99)}", f"{a} {p} through {b} {q}", f"{a} {p} - {q}",
                       f"{a[:3]}. {p} to {b[:3]}. {q}", f"{a} {p}-{q}, 19{rng.randint(70, 99)}", date(m)))  # fmt: skip


def money(m: ValueGenerator, *, negative: float = 0.04) -> str:
    rng = m.rng
    n = rng.choice((rng.randint(1, 99), rng.randint(100, 9999), rng.randint(1000, 900000)))
    whole, cents = f"{n:,}", f"{n:,}.{rng.randint(0, 99):02}"
    if rng.random() < negative:
        return rng.choice((f"({whole})", f"({cents})", f"-{whole}", f"$({whole})", f"(${cents})"))
    return rng.choice((f"${whole}", f"${cents}", f"$ {whole}", f"$ {cents}", whole, cents, f"${whole}.", f"${whole}", f"{n}", f"$.{n % 100:02}",
                       "-0-", "0", "$0", "None", f"${whole} (net)", f"${n % 90 + 1} million"))  # fmt: skip


def measure(m: ValueGenerator) -> str:
    rng = m.rng
    n = rng.choice(
        (
            str(rng.randint(1, 99)),
            f"{rng.uniform(0, 90):.1f}",
            f".{rng.randint(1, 999):03}",
            f"{rng.uniform(0, 300):.2f}",
            str(rng.randint(100, 9000)),
        )
    )
    unit = rng.choice(UNITS)
    return rng.choice((f"{n} {unit}", f"{n} {unit}", f"{n}{unit}", n, f"{n} x {rng.randint(2, 40)} {unit}", f"{n} +/- {rng.randint(1, 9)} {unit}",
                       f"<{rng.randint(1, 9)} {unit}", f"{n}-{rng.randint(91, 300)} {unit}", f"{rng.randint(1, 9)} 1/{rng.choice('248')} {unit}"))  # fmt: skip


def decimal(m: ValueGenerator) -> str:
    rng = m.rng
    return rng.choice(
        (
            f"{rng.uniform(0, 9):.1f}",
            f"{rng.uniform(0, 99):.2f}",
            f".{rng.randint(10, 999)}",
            str(rng.randint(0, 99)),
            f"{rng.randint(0, 999)}",
            f"{rng.uniform(0, 999):.1f}",
        )
    )


def count(m: ValueGenerator) -> str:
    rng = m.rng
    return rng.choice(
        (
            str(rng.randint(0, 99)),
            f"{rng.randint(100, 99999):,}",
            str(rng.randint(100, 9999)),
            f"{rng.randint(1, 900)}M",
            f"{rng.randint(2, 60)} {rng.choice(('stores', 'cases', 'ctns.', 'packs', 'each', 'copies'))}",
        )
    )


def tiny(m: ValueGenerator) -> str:
    """One or two characters mostly."""
    rng = m.rng
    return rng.choice(
        (
            str(rng.randint(0, 9)),
            str(rng.randint(1, 99)),
            str(rng.randint(1, 40)),
            f"{rng.randint(0, 9):02}",
            rng.choice("ABCDRSTX"),
            rng.choice(SHORT),
        )
    )


def pages(m: ValueGenerator) -> str:
    n = m.rng.randint(1, 30)
    return m.rng.choice((str(n), str(n), f"{n:02}", f"{n} pages", f"({n})", f"{n} (incl. cover)", f"{n} + cover"))


def brand(m: ValueGenerator) -> str:
    rng, name = m.rng, m.coined()
    end = rng.choice(
        (
            "",
            "",
            " Lights",
            " Menthol",
            " 100s",
            " King Size",
            " Ultra Lights",
            " Box",
            " Gold",
            " Slims",
            " Filter 85",
            f" {rng.randint(80, 120)}mm",
        )
    )
    return rng.choice((name, name, name.upper())) + end


def brands(m: ValueGenerator) -> str:
    names = [brand(m) for _ in range(m.rng.randint(1, 5))]
    if m.rng.random() < 0.2:
        return m.rng.choice((f"All {names[0]} styles", f"All {names[0]} packings", f"{names[0]} (all)", "All brands"))
    return m.rng.choice((", ", ", ", " / ", "; ", " and ", " & ")).join(names)


def chemical(m: ValueGenerator) -> str:
    rng, a, b = m.rng, m.rng.choice(CHEM_A), m.rng.choice(CHEM_B)
    return rng.choice((f"{a} {b}", f"{a}{b}" if a.endswith("-") else f"{a} {rng.choice(CHEM_A).lower()} {b}", f"{rng.randint(1, 9)}, {rng.randint(2, 9)}- {a}{b}",
                       f"{rng.randint(1, 60)}% {a.lower()} {b}", f"{a} {b} ({reference(m)})", rng.choice(("Water", "DMSO", "Ethanol", "Acetone", "Glycerin"))))  # fmt: skip


def specimen(m: ValueGenerator) -> str:
    rng = m.rng
    parts = [
        rng.choice(
            (
                f"Sample No. {m.digits(4)}",
                f"{brand(m)}",
                f"{rng.choice(MATERIALS)} {m.digits(2)}",
                f"Blend {reference(m)}",
                f"Code {m.digits(6)}",
            )
        )
    ]
    if rng.random() < 0.5:
        parts.append(
            rng.choice(
                (
                    f"+ {rng.randint(1, 9)}% {chemical(m)}",
                    f"with {rng.choice(MATERIALS).lower()} filter",
                    f"({rng.choice(LOOKS).lower()})",
                    f"/ {measure(m)}",
                    f"vs. {brand(m)}",
                )
            )
        )
    return " ".join(parts)


def remark(m: ValueGenerator) -> str:
    """A note, a sentence or a few of them."""
    rng = m.rng
    text = " ".join(_sentence(m) for _ in range(rng.choice((1, 1, 1, 2, 2, 3))))
    if rng.random() < 0.15:
        return rng.choice(
            ("None.", "None", "N/A", "See attached.", "See attached report", "Same as above", "Not applicable")
        )
    return text.upper() if rng.random() < 0.2 else text


def _sentence(m: ValueGenerator) -> str:
    rng = m.rng
    return rng.choice(REMARKS).format(
        coined=m.coined(), noun=rng.choice(NOUN), noun2=rng.choice(NOUN), done=rng.choice(DONE), n=rng.randint(2, 90), people=rng.choice(PEOPLE), month=rng.choice(MONTHS),
        d=rng.randint(1, 28), verb=rng.choice(VERB), brand=brand(m), city=m.make("city"), person=signer(m).rstrip('.'), level=rng.choice(("Low", "Enough", "High", "No")), code=reference(m),
    ).strip()  # fmt: skip


def title(m: ValueGenerator) -> str:
    """What a memo or a study is about."""
    rng = m.rng
    a, b = rng.choice(NOUN).capitalize(), rng.choice(NOUN).capitalize()
    text = rng.choice((f"{brand(m)} {a} {b}", f"Change in the {a.lower()} of the {brand(m)} {b.lower()}", f"{rng.choice(VERB)} {a.lower()} of {chemical(m)} for {b.lower()}s",
                       f"{m.coined()} v. {m.company()}", f"19{rng.randint(65, 99)} {a} {b} - {m.make('city')}", f"{a} {b} #{rng.randint(1, 60)}", f"{m.coined()} {a} Study",
                       f"{a} and {b} Groups in {m.make('city')} ({rng.choice(PEOPLE)}, {rng.randint(18, 30)}-{rng.randint(31, 60)})"))  # fmt: skip
    return text.upper() if rng.random() < 0.2 else text


def copies(m: ValueGenerator) -> str:
    """Names, one below the other or in a row."""
    names = [signer(m) for _ in range(m.rng.randint(1, 5))]
    return m.rng.choice(("\n", "\n", ", ", "; ")).join(names) if m.rng.random() < 0.9 else "File"


def party(m: ValueGenerator) -> str:
    """Name and address in lines, now and then with a telephone."""
    who = [m.rng.choice((m.person(), m.company())), *([m.company()] if m.rng.random() < 0.3 else [])]
    return "\n".join((*who[: m.rng.randint(0, 2)], *m.address(), *([m.phone()] if m.rng.random() < 0.15 else [])))


def areas(m: ValueGenerator) -> str:
    rng = m.rng
    if rng.random() < 0.3:
        return rng.choice(
            ("National", "Total U.S.", "All regions", f"{brand(m)} core markets", "Northeast", "Regions 1 & 4")
        )
    return rng.choice((", ", " / ", " and ")).join(m.make("city") for _ in range(rng.randint(1, 4)))


def _pick(options: list[str]) -> Callable[[ValueGenerator], str]:
    return lambda m: m.rng.choice(options)


def _of(*forms: str) -> Callable[[ValueGenerator], str]:
    """Forms with # for a digit, @ for a capital letter, * for an invented word."""

    def made(m: ValueGenerator) -> str:
        form = m.rng.choice(forms)
        return "".join(
            m.digits(1) if c == "#" else m.rng.choice("ABCDEFGHKLMNPRST") if c == "@" else m.coined() if c == "*" else c
            for c in form
        )

    return made


MAKERS: dict[str, Callable[[ValueGenerator], str]] = {
    "initials": lambda m: initials(m.rng), "signer": signer, "ref": reference, "date": date, "range": span_of_dates, "money": money,
    "negative": lambda m: money(m, negative=0.5), "measure": measure, "decimal": decimal, "count": count, "tiny": tiny, "pages": pages, "brand": brand, "brands": brands,
    "chemical": chemical, "specimen": specimen, "remark": remark, "title": title, "copies": copies, "party": party, "areas": areas,
    "signed": lambda m: m.rng.choice((signer(m), f"{signer(m)} {m.rng.randint(1, 12)}/{m.rng.randint(1, 28)}/{m.rng.randint(70, 99)}", initials(m.rng))),
    "signers": lambda m: f"{signer(m)} & {signer(m)}", "persons": lambda m: m.rng.choice((", ", " and ", "; ", "\n")).join(m.person() for _ in range(m.rng.randint(1, 4))),
    "person": lambda m: m.rng.choice((m.person(), m.person(), signer(m), f"{signer(m)}, {m.rng.choice(ROLES)}", f"{m.person()} - {m.make('city')}")),
    "short": _pick(SHORT), "yes": _pick(["Yes", "No", "YES", "NO", "X", "N/A", "Yes - see note", "yes", "no", "Y"]),
    "department": lambda m: m.rng.choice(DEPARTMENTS) + m.rng.choice(("", "", " Dept.", " Department", f", {m.coined()}", f" - {m.rng.randint(1, 40)}")),
    "level": _pick(["High", "Low", "Normal", "Rush", "Confidential", "Medium", "Urgent", "Routine", "A", "B", "1", "Full"]),
    "action": _pick(["For approval", "Please call", "None", "For your information", "Please handle", "Reply by fax", "Sign and return", "Comment"]),
    "roman": _pick(["I", "II", "III", "IV", "V", "VI", "A", "1", "2", "X"]), "letter": _pick(list("ABCDEFGHJKLMNPRSTX")), "letters": _pick(["XL", "M", "L", "S", "JR", "RB", "TK", "Sr."]),
    "formula": lambda m: "".join(f"{e}{m.rng.choice(('', m.rng.randint(2, 24)))}" for e in m.rng.sample(["C", "H", "N", "O", "Cl", "Na", "S"], 3)),
    "looks": _pick(LOOKS), "material": lambda m: m.rng.choice(MATERIALS) + m.rng.choice(("", "", f" {m.digits(2)}", " type", f" ({measure(m)})")),
    "species": _pick(["Rat", "Mouse (female)", "Rabbit", "Dog", "Hamster", "S. cerevisiae", "Beagle dogs", "Guinea pig"]), "route": _pick(["Oral", "Dermal", "I.V.", "Inhalation", "I.P.", "Diet"]),
    "cas": _of("###-##-#", "####-##-#", "#####-##-#", "None"), "machine": _of("@@@ ##", "Model #", "@-###", "* ###"), "percent": _of("##%", "##.# %", "#.#%", "# %", "##", "100%", "#.##%"),
    "promo": lambda m: m.rng.choice((f"{m.rng.choice(PROMOS)} {m.rng.choice(PROMO_ENDS)}", f"{brand(m)} {m.rng.choice(PROMO_ENDS)}", f"{m.coined()} {m.rng.choice(PROMO_ENDS)}", f"{m.rng.choice(PROMOS)} {m.coined()} {m.rng.choice(PROMO_ENDS)}")),
    "region": lambda m: m.rng.choice((m.rng.choice(("Northeast", "Southern", "Midwest", "Western", "East", "Central", "Region")), str(m.rng.randint(1, 20)), m.make("city"))),
    "months": lambda m: m.rng.choice((f"{m.rng.choice(MONTHS)}/{m.rng.choice(MONTHS)}", f"{m.rng.choice(MONTHS)[:3]}. - {m.rng.choice(MONTHS)[:3]}. 19{m.rng.randint(66, 99)}", f"{m.rng.choice(('1st', '2nd', '3rd', '4th'))} Quarter", span_of_dates(m))),
    "month": lambda m: f"{m.rng.choice(MONTHS)}{m.rng.choice(('', f' 19{m.rng.randint(66, 99)}', f' {m.rng.randint(1, 28)}'))}",
    "day": lambda m: f"{m.rng.choice(('Monday', 'Tuesday', 'Wednesday', 'Friday'))}, {date(m)}", "days": _of("## days", "## days after service", "Within # days", "##"),
    "hours": _of("#:00 a.m. - #:30 p.m.", "# to #", "#-# PM", "## hrs.", "#:30 - 1#:00", "9-5"), "media": lambda m: m.rng.choice((f"{m.coined()} {m.rng.choice(MEDIA)}", f"{m.make('city')} {m.rng.choice(MEDIA)}", m.rng.choice(MEDIA))),
    "station": _of("W@@@", "K@@@-TV", "W@@@-FM", "K@@ (AM)", "W@@@ ##.#"), "space": _pick(["Full page", "1/2 page", "P4C", "Spread", "1/3 page B/W", "7 x 10", "Page 4/C bleed", "2 col. x 10 in.", "Junior page", "30 sec.", "Back cover"]),
    "position": _pick(["Back cover", "2nd cover", "Run of paper", "Far forward", "Right hand page", "Sports section", "Front half", "Opposite editorial"]), "length": _of(":30", ":60", "## sec.", "# weeks", "##"),
    "freq": _of("#x", "## times", "Weekly", "Monthly", "# per week"), "year": _of("197#", "198#", "199#", "198#-8#", "FY 9#"), "terms": _pick(["Net 30", "2% 10 days", "Check enclosed", "C.O.D.", "Bill me", "Visa", "Cash", "Prepaid"]),
    "surname": lambda m: m.rng.choice(LAST), "given": lambda m: m.rng.choice(FIRST), "role": lambda m: m.rng.choice(ROLES) + m.rng.choice(("", "", "", f", {m.rng.choice(DEPARTMENTS)}")),
    "state": _pick(STATES), "zip": _of("#####", "#####", "#####-####"), "nation": _pick(NATIONS), "feet": _of("5'#\"", "6'#\"", "5 ft. #", "##\""), "ssn": _of("###-##-####", "### ## ####"),
    "status": _pick(["Married", "Single", "Open", "Closed", "Pending", "New", "Active", "Complete", "In progress", "On hold", "M", "S"]),
    "school": lambda m: m.rng.choice((f"{m.coined()} College", f"University of {m.coined()}", f"{m.coined()} High School")), "degree": _pick(["B.A.", "Ph.D.", "M.S.", "B.S. Chemistry", "MBA", "J.D.", "None", "M.D."]),
    "card": _of("#### #### #### ####", "####-####-####-####"), "expiry": _of("1#/9#", "0#/9#", "#/##"), "court": lambda m: f"{m.rng.choice(('Circuit Court', 'District Court', 'Superior Court', 'Supreme Court', 'Civil Court'))}{m.rng.choice(('', f', {m.coined()} County', f' of {m.coined()}'))}",
    "place": lambda m: m.rng.choice((m.make("city"), m.coined(), f"{m.coined()} County", f"{m.coined()} Hotel, {m.make('city')}", f"{m.make('city')}, {m.rng.choice(STATES)}")),
    "stamped": lambda m: f"{date(m)} {m.rng.randint(1, 12)}:{m.rng.randint(0, 59):02} {m.rng.choice(('a.m.', 'p.m.', 'PM', 'AM'))}", "idrange": _of("######## - ########", "@@ ###### to ######"),
}  # fmt: skip
"""Generators by kind of value; kinds not here are those of ``values.MAKERS``."""


def made(maker: ValueGenerator, kind: str) -> str:
    """A value of a kind of either table."""
    return MAKERS[kind](maker) if kind in MAKERS else maker.make(kind)
