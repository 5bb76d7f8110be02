"""Twenty questions that their page does not answer, one for each of twenty held-out receipts. The right outcome is None.

The list is fixed. Half of the questions name the field in the paper's form, half ask in plain words. ``names`` are the ways in
which a page would print the field: none of them may stand on the page as read, and ``present`` checks that at every run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.evaluation.asking import Item
from layoutllm_tool.evaluation.receipts import image
from layoutllm_tool.evaluation.rows import Question
from layoutllm_tool.training.synthetic.questions import lacks

AIM = 15
"""Outcomes None, of twenty, that the first weights should reach."""


@dataclass(frozen=True, slots=True)
class Absent:
    """A receipt's number, a question, and what the page would have to say for it to be answerable."""

    number: int
    text: str
    names: tuple[str, ...]


QUESTIONS = (
    Absent(402, 'What is the "IBAN" in the given document?', ("iban",)),
    Absent(405, "What is the customer's date of birth?", ("date of birth", "birthday")),
    Absent(407, 'What is the "passport number" in the given document?', ("passport",)),
    Absent(410, "Which flight number is given?", ("flight", "airline", "boarding")),
    Absent(412, 'What is the content in the "Patient name" field?', ("patient", "clinic", "hospital")),
    Absent(416, "What interest rate applies?", ("interest", "per annum")),
    Absent(417, 'What is the "blood type" in the given document?', ("blood",)),
    Absent(424, "Who is the landlord?", ("landlord", "tenant", "monthly rent")),
    Absent(422, 'What is the content in the "Vessel name" field?', ("vessel", "voyage")),
    Absent(427, "What is the room number of the guest?", ("room", "hotel", "check-out")),
    Absent(432, 'What is the "SWIFT code" in the given document?', ("swift", "bank")),
    Absent(437, "When is the hearing before the court?", ("hearing", "court", "judge")),
    Absent(442, 'What is the content in the "Tracking number" field?', ("tracking", "parcel", "courier")),
    Absent(447, "What is the nicotine content per cigarette?", ("nicotine", "cigarette")),
    Absent(452, 'What is the "policy number" in the given document?', ("policy", "insurance", "insured")),
    Absent(457, "How many kilowatt hours were used?", ("kwh", "kilowatt", "meter reading")),
    Absent(462, 'What is the content in the "Next of kin" field?', ("next of kin", "relative")),
    Absent(467, "What is the student's grade?", ("student", "grade", "university")),
    Absent(472, 'What is the "maturity date" in the given document?', ("maturity", "matures")),
    Absent(487, "Which doctor signed the prescription?", ("doctor", "prescription", "physician")),
)


def items(data: Path) -> list[Item]:
    """The twenty receipts (a folder as in ``receipts``), one question each, no gold."""
    return [
        Item(image(data, q.number), (Question(f"receipts/{q.number:03d}", "absent", q.text, ()),)) for q in QUESTIONS
    ]


def present(question: Absent, page: Page) -> tuple[str, ...]:
    """The names that do stand on the page, misread or not; () as it should be."""
    return tuple(name for name in question.names if not lacks(page, (name,)))
