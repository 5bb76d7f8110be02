"""``RemoteReader``: a ``Reader`` whose model runs behind ``layoutllm serve``. Does not need torch.

Documents are opened here and sent page by page, each page once: picture and, where they are known, words.
The words that the service reads come back. Pictures stay here as they were opened.
A token is sent as it is: give one only to an https address or to this machine.
"""

from layoutllm_tool.remote.reader import RemoteReader

__all__ = ["RemoteReader"]
