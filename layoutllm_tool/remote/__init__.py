"""``RemoteReader``: a ``Reader`` whose model runs elsewhere, behind ``layoutllm serve``. Needs httpx, and no torch.

Documents are opened here and sent page by page, each once: picture and, where they are known, words. What the service reads comes
back, so that everything that looks at a page's words works as with a reader at hand. Pictures stay here as they were opened. Who may
ask is the service's business; a token travels as it is, so give one to https or to your own machine only.
"""

from layoutllm_tool.remote.reader import RemoteReader

__all__ = ["RemoteReader"]
