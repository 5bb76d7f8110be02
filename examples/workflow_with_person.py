"""The workflow stops and asks a person about a doubtful answer: python examples/workflow_with_person.py

Fakes stand in for the model and the document, so that the doubt always arises. For your own documents, leave
out `tool`.
"""

from typing import Any

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from layoutllm_graphs.context import Context
from layoutllm_graphs.workflow import build_workflow
from layoutllm_tool import LayoutLLMTool
from layoutllm_tool.testing import FakeReader, document_from_text

PAGE = document_from_text("Subtotal:   100.00\nTax:         20.00\nTotal:      125.00")  # does not add up
TASK = "Extract subtotal, tax and total; check that subtotal plus tax equals the total"


def main() -> None:
    tool = LayoutLLMTool(reader=FakeReader(), documents={"invoice.pdf": PAGE})
    context = Context(tool=tool, review=True)
    graph = build_workflow().compile(checkpointer=InMemorySaver())
    thread: Any = {"configurable": {"thread_id": "1"}}

    state = graph.invoke({"document": "invoice.pdf", "task": TASK}, thread, context=context)
    while "__interrupt__" in state:
        decisions = {}
        for waiting in state["__interrupt__"]:
            shown = waiting.value
            print("Doubtful:", shown["name"], shown["answer"], "-", shown["reasons"][0])
            decisions[waiting.id] = {"accept": True}  # or answer=, absent=, correction=
        state = graph.invoke(Command(resume=decisions), thread, context=context)

    for answer in state["answers"]:
        print(answer["name"], answer["answer"], answer["verdict"], "by", answer["by"])


if __name__ == "__main__":
    main()
