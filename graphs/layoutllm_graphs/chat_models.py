"""Chat models by name, as LangChain names them."""

from __future__ import annotations

from typing import Any

from langchain_core.language_models import BaseChatModel

from layoutllm_tool.errors import LayoutLLMError


def chat_model(name: str) -> BaseChatModel:
    """Make the model: ``openai:gpt-5``, ``anthropic:claude-sonnet-4-6``, ``google_genai:gemini-2.5-flash``.

    LayoutLLMError where its package or its key is missing, or nobody has a model of that name.
    """
    hint = "pip install 'layoutllm-tool[agents]', and the provider's package; set its key in the environment."
    try:
        from langchain.chat_models import init_chat_model

        made: Any = init_chat_model(name)
    except Exception as error:  # a provider's package raises what it likes
        said = f"{type(error).__name__}: {str(error)[:300]}"
        raise LayoutLLMError(f"there is no chat model {name!r}: {said}.", hint=hint) from error
    if not isinstance(made, BaseChatModel):
        raise LayoutLLMError(f"{name!r} names no chat model.", hint="Give provider:model.")
    return made
