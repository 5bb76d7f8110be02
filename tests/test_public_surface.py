"""The names users import, and what importing costs."""

import subprocess
import sys
from types import ModuleType

import pytest

import layoutllm_graphs
import layoutllm_tool


def test_all_is_sorted_and_complete() -> None:
    assert list(layoutllm_tool.__all__) == sorted(layoutllm_tool.__all__)
    known = [*layoutllm_tool._HOMES.values(), *layoutllm_tool._GRAPHS.values()]
    homes = [name for names in known for name in names]
    assert sorted(homes) == layoutllm_tool.__all__


@pytest.mark.parametrize("name", layoutllm_tool.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(layoutllm_tool, name).__name__ == name
    assert name in dir(layoutllm_tool)


def test_the_graphs_names_are_there() -> None:
    for name in layoutllm_graphs.__all__:
        assert getattr(layoutllm_graphs, name).__name__ == name and name in dir(layoutllm_graphs)


@pytest.mark.parametrize("package", [layoutllm_tool, layoutllm_graphs])
def test_unknown_names_are_attribute_errors(package: ModuleType) -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        package.nonsense  # noqa: B018


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import layoutllm_tool", "torch transformers langchain langchain_core langgraph pydantic PIL numpy"),
        (
            "import layoutllm_tool.testing",
            "torch transformers langchain langchain_core langgraph pydantic numpy",
        ),
        ("from layoutllm_tool import LayoutLLMTool; LayoutLLMTool()", "torch transformers langgraph"),
        ("import layoutllm_graphs", "torch langchain_core langgraph pydantic"),
        ("from layoutllm_graphs import ExtractDocumentTool; ExtractDocumentTool()", "torch transformers"),
        (
            "import layoutllm_graphs.testing; from layoutllm_graphs.workflow import make_graph; make_graph()",
            "torch transformers",
        ),
        ("import layoutllm_tool.readers.chat", "torch transformers langchain_core"),
        (
            "from layoutllm_tool import LayoutLLMTool; LayoutLLMTool(endpoint='http://127.0.0.1:1')._reader()",
            "torch transformers fastapi",
        ),
        ("import layoutllm_graphs.planning.planner", "torch transformers langgraph langchain_core"),
        ("import layoutllm_tool.training.pretraining", "torch pydantic langchain_core pypdfium2 PIL"),
        (
            "from layoutllm_tool.training import html, mrc, sampling",
            "torch pydantic langchain_core pypdfium2 weasyprint",
        ),
    ],
)
def test_importing_brings_in_nothing_heavy(statement: str, absent: str) -> None:
    code = f"{statement}\nimport sys\nprint(*[m for m in {absent.split()} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == []
