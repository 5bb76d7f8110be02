"""The tool as a node of a LangGraph graph of your own: python examples/own_graph.py

An answer under a confidence of yours goes to another node: a person, a larger model, whatever you have.
"""

from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph

from layoutllm_tool import LayoutCoT, default_reader, samples

SURE = 0.8


class State(TypedDict, total=False):
    question: str
    cot: dict[str, Any]
    outcome: str


def ask(state: State) -> State:
    reader = default_reader()
    cot = reader.ask(reader.load(samples.path("invoice.png")), state["question"])
    return {"cot": cot.to_json()}  # plain JSON: any checkpointer can keep it


def accept(state: State) -> State:
    return {"outcome": f"accepted: {LayoutCoT.from_json(state['cot']).answer}"}


def hand_over(state: State) -> State:
    return {"outcome": "to be looked at by a person"}


def route(state: State) -> str:
    cot = LayoutCoT.from_json(state["cot"])
    return "accept" if cot.grounded and cot.confidence >= SURE else "hand_over"


def main() -> None:
    graph = StateGraph(State)
    for node in (ask, accept, hand_over):
        graph.add_node(node)
    graph.add_edge(START, "ask")
    graph.add_conditional_edges("ask", route, ["accept", "hand_over"])
    graph.add_edge("accept", END)
    graph.add_edge("hand_over", END)
    for question in ("What is the invoice number?", "What is the shipping weight?"):
        print(question, "->", graph.compile().invoke({"question": question})["outcome"])


if __name__ == "__main__":
    main()
