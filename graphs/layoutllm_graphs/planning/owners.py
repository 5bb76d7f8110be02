"""What belongs to several owners: "name and address of the buyer and of the seller" is four fields. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from layoutllm_graphs.planning.fields import guess_type, known
from layoutllm_graphs.planning.phrases import fronted
from layoutllm_graphs.planning.words import Language


@dataclass(slots=True)
class _Group:
    """Things with the same owners."""

    heads: list[str]
    owners: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    """What the group was read from."""
    ahead: bool = False
    """The owner stands first, so that more things of theirs may follow."""

    def names(self, language: Language) -> list[str]:
        if len(self.heads) * len(self.owners) <= 1:
            return self.parts
        owned, plural = language.texts["owned"], language.patterns["plural_head"]
        heads = [plural.sub("", head) if len(self.owners) > 1 else head for head in self.heads]
        return [owned.format(owner=owner, head=head) for owner in self.owners for head in heads]


def with_owners(parts: Sequence[str], language: Language) -> list[str]:
    """The parts of a list, each with its owner. Where nothing is shared they stay as they stand."""
    groups: list[_Group] = []
    for part, behind in zip(parts, [*parts[1:], ""], strict=False):
        _add(groups, part, behind, language)
    return [name for group in groups for name in group.names(language)]


def _add(groups: list[_Group], part: str, behind: str, language: Language) -> None:
    """Join the part to the last group, or begin another."""
    patterns, plain = language.patterns, fronted(part.strip(" .,:;"), language)
    last = groups[-1] if groups else _Group([])
    theirs, own = patterns["of_owner"].match(plain), patterns["possessive"].match(plain)
    if last.owners and not last.ahead and (owner := _owner(part, language)):
        last.owners.append(owner)
        last.parts.append(part)
    elif theirs and _is_owned(theirs["head"], theirs["owner"], behind, groups, language):
        heads, parts = _pending(groups, "attribute", language)
        owners = [_named(theirs["owner"], language)]
        groups.append(_Group([*heads, theirs["head"]], owners, [*parts, part]))
    elif own and (patterns["attribute"].match(own["head"]) or patterns["party"].match(own["owner"])):
        owners, parts = _pending(groups, "owner_ahead", language)
        bare = [patterns["owner_mark"].sub("", owner) for owner in owners]
        groups.append(_Group([own["head"]], [*bare, own["owner"]], [*parts, part], ahead=True))
    elif last.ahead and patterns["attribute"].match(plain):
        last.heads.append(plain)
        last.parts.append(part)
    else:
        groups.append(_Group([plain], parts=[part]))


def _owner(part: str, language: Language) -> str:
    """The owner that the part is alone; "" where it names something else."""
    only = language.patterns["owner_only"].match(part.strip(" .,:;"))
    plain = fronted(part.strip(" .,:;"), language)
    if only and guess_type(plain) in ("text", "name") and not known(plain):
        return _named(only["owner"], language)
    return _named(part.strip(" .,:;"), language) if language.patterns["party"].match(plain) else ""


def _named(owner: str, language: Language) -> str:
    """The owner as it stands beside what is theirs: without an article, unless the language needs it."""
    return owner if language.texts["article"] == "kept" else fronted(owner, language)


def _is_owned(head: str, owner: str, behind: str, groups: Sequence[_Group], language: Language) -> bool:
    """Whether it is surely an owner, or there is more that such an owner has, or another owner."""
    patterns = language.patterns
    if patterns["party"].match(fronted(owner, language)):
        return True
    more = bool(groups) and not groups[-1].owners and patterns["attribute"].match(groups[-1].heads[0])
    return bool(patterns["attribute"].match(head) and (more or patterns["owner_only"].match(behind.strip())))


def _pending(groups: list[_Group], pattern: str, language: Language) -> tuple[list[str], list[str]]:
    """Take back the last groups that wait for an owner, or are one: their words and parts."""
    words, parts = list[str](), list[str]()
    while groups and not groups[-1].owners and language.patterns[pattern].match(groups[-1].heads[0]):
        group = groups.pop()
        words[:0], parts[:0] = group.heads, group.parts
    return words, parts
