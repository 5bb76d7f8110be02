"""The reader as an HTTP service, and what guards apps over HTTP."""

from importlib.util import find_spec

from layoutllm_tool.errors import LayoutLLMError

if not all(map(find_spec, ("fastapi", "httptools", "uvicorn"))):
    raise LayoutLLMError("HTTP needs a few packages more.", hint="pip install 'layoutllm-tool[web]'")
