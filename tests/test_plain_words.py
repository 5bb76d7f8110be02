"""Names that were given up stay given up: what they stood for has a name that says it."""

from __future__ import annotations

import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paths import ROOT

GIVEN_UP = {
    "mendable": "caller_can_fix",
    "none_bias": "no_answer_bias",
    "named_bias": "key_present_bias",
    "widened": "answer_outside_area",
    "astray": "answer_far_from_key",
    "Judged": "ScoredDecoding or ParsedReply",
    "Constraints": "DecodingConstraints",
    "Desk": "QueryService or BatchWorker",
    "Shelf": "DocumentCache",
    "shelf": "caching",
    "Library": "PageCache",
    "Recent": "LRUCache",
    "Kept": "TTLCache",
    "PageStore": "PrefixCacheStore",
    "Flow": "RequestFlow",
    "Call": "Request",
    "HEAD_1": "ANALYSIS_HEAD",
    "KEY_1": "ANALYSIS_KEY",
    "HEAD_3": "FORMATION_HEAD",
    "guessing": "speculative",
    "GUESSES": "MAX_DRAFT",
    "Tail": "SuffixCache",
    "Matrix": "QuantizedLinear",
    "Norm": "RMSNorm",
    "taps": "hidden_layers",
    "Spelling": "TokenBytes",
    "settle": "reconcile",
    "settling": "cross_field",
    "_to_mend": "route_after_reconcile",
    "second_look": "second_opinion",
    "Look": "SecondOpinionInput",
    "critic": "vote",
    "Attempted": "Attempt",
    "Tried": "Attempt",
    "Dealt": "Attempt",
    "waves": "stages",
    "Said": "ReviewDecision",
    "Taught": "ReviewExamples",
    "_Hand": "pebble's pool",
    "_Crew": "pebble's pool",
    "_hire": "pebble's pool",
    "_hear": "pebble's pool",
    "_mourn": "pebble's pool",
    "_FAREWELL": "pebble's pool",
    "_patience": "pebble's pool",
    "Tally": "BatchStats",
    "Done": "DocumentResult",
    "lying": "as_scanned",
    "Maker": "ValueGenerator",
    "Sheet": "FormCanvas",
    "flywheel": "active_learning",
    "remembering": "nothing: evaluation has no such module any more",
    "Frozen": "ValidationSet",
    "freeze": "set-validation",
    "Case": "ValidationCase",
}
"""Old name: what to say instead."""


def names(path: Path, package: Path) -> Iterator[tuple[str, str]]:
    """Every name of a file, and of its path in the package, with where it stands."""
    for part in path.relative_to(package).with_suffix("").parts:
        yield part, str(path)
    with tokenize.open(path) as file:
        for token in tokenize.generate_tokens(file.readline):
            if token.type == tokenize.NAME:
                yield token.string, f"{path}:{token.start[0]}"


def given_up(package: Path) -> list[str]:
    files = sorted(package.rglob("*.py"))
    assert files
    return [
        f"{place}: {name!r} was given up; say {GIVEN_UP[name]}"
        for path in files
        for name, place in names(path, package)
        if name in GIVEN_UP
    ]


@pytest.mark.parametrize("package", ["layoutllm_tool", "graphs/layoutllm_graphs"])
def test_no_name_that_was_given_up_comes_back(package: str) -> None:
    found = given_up(ROOT / package)
    assert not found, "\n".join(found)


def test_a_name_is_found_in_code_and_in_file_names_but_not_in_prose(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text('"""Look at the Desk."""\n\n\nclass Desk: ...  # Done\n')
    (tmp_path / "shelf.py").write_text("")
    assert given_up(tmp_path) == [
        f"{tmp_path / 'plain.py'}:4: 'Desk' was given up; say QueryService or BatchWorker",
        f"{tmp_path / 'shelf.py'}: 'shelf' was given up; say caching",
    ]
