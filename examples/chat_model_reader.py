"""Any chat model reads the page in place of the small one: python examples/chat_model_reader.py

The page's text and boxes are sent, and with ``ChatModelReader(model, images=True)`` its picture. The words of
the answer are looked for on the page as ever: a model that makes one up cannot point at it. A script plays
the model here; a real one would be init_chat_model("openai:gpt-5").
"""

import json

from layoutllm_graphs.testing import ScriptedChatModel
from layoutllm_tool import LayoutLLMTool
from layoutllm_tool.readers.chat import ChatModelReader
from layoutllm_tool.testing import document_from_text

PAGE = document_from_text("Invoice no:   4711\nTotal:        12.50")  # four lines, numbered from 1
REPLY = {
    "kind": "key-value",
    "operation": "extraction",
    "key": "total",
    "segments": [3, 4],
    "relation": "right of",
    "key_text": "Total",
    "answer": "12.50",
}


def main() -> None:
    reader = ChatModelReader(ScriptedChatModel(turns=[json.dumps(REPLY)]))
    tool = LayoutLLMTool(reader=reader, documents={"invoice.pdf": PAGE})
    print(tool.invoke({"document": "invoice.pdf", "question": "What is the total?"}))


if __name__ == "__main__":
    main()
