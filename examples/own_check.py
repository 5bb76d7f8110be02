"""A check of your own beside the package's: python examples/own_check.py

A check takes an answer with its page and yields findings. A finding may bring a correction: what to try next.
"""

from collections.abc import Iterator

from layoutllm_graphs.planning.planner import question_of
from layoutllm_graphs.reflection.checks import CHECKS
from layoutllm_graphs.reflection.checks.context import CheckInput
from layoutllm_graphs.reflection.reflector import reflect
from layoutllm_graphs.reflection.types import Finding
from layoutllm_tool import Correction
from layoutllm_tool.testing import FakeReader, document_from_text

PAGE = document_from_text("Order no:   PO 77162\nInvoice no:   HC-2024-0318")


def house_number(given: CheckInput) -> Iterator[Finding]:
    """Our invoice numbers begin with HC-."""
    answer = given.cot.answer
    if answer is not None and not answer.startswith("HC-"):
        correction = Correction("answer", wrong=(answer,))
        yield Finding("house_number", "answer", f"{answer!r} does not begin with HC-", correction)


def main() -> None:
    question = "What is the invoice no?"
    reader = FakeReader({question: ["PO 77162", "HC-2024-0318"]})  # wrong, then right
    cot = reader.ask(PAGE, question)
    reflection = reflect(
        CheckInput(question_of(question), cot, PAGE), checks={**CHECKS, "house_number": house_number}
    )
    print(cot.answer, reflection.verdict, [finding.reason for finding in reflection.findings][-1])

    again = reader.ask(PAGE, question, correction=reflection.correction, previous=cot)
    attempt = CheckInput(question_of(question), again, PAGE, earlier=(cot,))
    print(again.answer, reflect(attempt, checks={**CHECKS, "house_number": house_number}).verdict)


if __name__ == "__main__":
    main()
