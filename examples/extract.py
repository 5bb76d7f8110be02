"""An agent that reads a typed record: pip install 'layoutllm-tool[agents]', then python examples/extract.py

A script plays the chat model, as in agent.py. Without a schema of yours the chat model writes one.
"""

import datetime
from typing import Any

from langchain.agents import create_agent
from pydantic import BaseModel

from layoutllm_graphs import ExtractDocumentTool
from layoutllm_graphs.testing import ScriptedChatModel, call_tool
from layoutllm_tool import samples


class Item(BaseModel):
    description: str
    quantity: int
    amount: float


class Invoice(BaseModel):
    """What is booked of an invoice."""

    invoice_number: str
    due_date: datetime.date
    items: list[Item]


def main() -> None:
    tool = ExtractDocumentTool(Invoice, documents={"invoice.png": samples.path("invoice.png")})
    model = ScriptedChatModel(turns=[call_tool(tool.name, document="invoice.png"), "Booked."])
    asked: Any = {"messages": [("user", "Book invoice.png.")]}
    found = create_agent(model, tools=[tool]).invoke(asked)["messages"][-2].artifact
    invoice = Invoice.model_validate(found["record"])
    print(invoice.invoice_number, invoice.due_date, *invoice.items, sep="\n")
    print(found["fields"]["/items/0/amount"])


if __name__ == "__main__":
    main()
