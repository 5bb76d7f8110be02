"""The checks: each compares an answer with the page and names the step at fault. Pure, and without pictures.

| check | step | finds | weight |
|---|---|---|---|
| ``key`` | analysis | step 1's key shares no word with the field the question quotes | 0.9 if on the page |
| ``spatial`` | area | the answer is not where "bottom left" or "second" points | 0.9 if the key is there |
| ``grounding`` | answer | no page says the answer | 1; 0.2 where it was formed |
| | area | it stands on a page, but not in the area | 0.6 beside the key, else a mark |
| ``constraints`` | answer | a sum, equality or order fails by this answer | 0.9 if the area has it; 0.6 |
| | area | ... and the pages have the fitting value in one other place | 0.6 |
| ``type`` | answer | it does not look like the expected type; the area holds what does | 0.8 |
| | area | ... the place beside the key does | 0.6, else a mark |
| ``choices`` | answer, area | it is none of the plan's choices | 0.8 or 0.6 |
| ``label`` | analysis, area, answer | it is the key or another label | 0.8 to 0.5; a mark for titles |
| ``confidence`` | answer | the calibrated confidence is under the threshold | 0.6, corrects nothing |
| ``agreement`` | area | the value beside the key shares no word with it | 0.55 at most |
| ``refusal`` | area | no answer, though one is required or a value stands beside the key | 0.55 at most |
| ``ambiguity`` | area | the key has several values and the question doesn't say which | a mark |

Under 0.5 a finding is a mark: it is shown, and its correction is tried only where another finding is heavy
and the mark weighs 0.3 at least (``reflector``). The answer to a list question is its values joined by "; ".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from layoutllm_graphs.reflection.checks.constraints import check_constraints
from layoutllm_graphs.reflection.checks.context import CheckInput
from layoutllm_graphs.reflection.checks.grounding import check_confidence, check_grounding, check_refusal
from layoutllm_graphs.reflection.checks.location import check_agreement, check_ambiguity, check_spatial
from layoutllm_graphs.reflection.checks.types import check_choices, check_key, check_label, check_type
from layoutllm_graphs.reflection.types import Finding

Check = Callable[[CheckInput], Iterable[Finding]]
"""Pure: the same input always gets the same findings."""

CHECKS: dict[str, Check] = {
    "key": check_key,
    "spatial": check_spatial,
    "grounding": check_grounding,
    "constraints": check_constraints,
    "type": check_type,
    "choices": check_choices,
    "label": check_label,
    "confidence": check_confidence,
    "agreement": check_agreement,
    "refusal": check_refusal,
    "ambiguity": check_ambiguity,
}
"""In the order they run, by the name that their findings carry as ``check``."""
