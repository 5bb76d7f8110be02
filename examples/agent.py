"""An agent that asks a document: pip install 'layoutllm-tool[agents]', then python examples/agent.py

A script plays the chat model here, so that no key is needed. With a real model, one line changes:

    model = init_chat_model("anthropic:claude-sonnet-4-6")    # from langchain.chat_models
"""

from typing import Any

from langchain.agents import create_agent

from layoutllm_graphs.middleware import LayoutReflectionMiddleware
from layoutllm_graphs.testing import ScriptedChatModel, call_tool
from layoutllm_tool import LayoutCoT, LayoutLLMTool, samples

QUESTION = "What is the notice period?"


def main() -> None:
    # The model knows the document by this name. Without `documents`, the tool opens files by their path.
    tool = LayoutLLMTool(documents={"letter.pdf": samples.path("letter.pdf")})
    call = call_tool("ask_document", document="letter.pdf", question=QUESTION)
    model = ScriptedChatModel(turns=[call, "You have to give two months' notice."])

    # The middleware is optional: it checks each answer against the page before the agent sees it.
    agent = create_agent(model, tools=[tool], middleware=[LayoutReflectionMiddleware()])
    asked: Any = {"messages": [("user", "How much notice do I have to give? It is in letter.pdf.")]}
    messages = agent.invoke(asked)["messages"]

    cot = LayoutCoT.from_json(messages[-2].artifact)
    print(f"Tool:  {cot.answer} (page {cot.page}, confidence {cot.confidence:.2f})")
    print(f"Agent: {messages[-1].text}")


if __name__ == "__main__":
    main()
