"""``ChatModelReader``: a ``Reader`` whose reading is done by a chat model, from the page's text with segment marks and boxes.

The model writes the three steps as JSON; the page decides what stands: segments must exist, and an answer must be found in them to be
pointed at. No pictures are sent. What the model costs, and whether the text may leave the machine, is the caller's business. Nothing
here knows LangChain: any chat model with ``invoke`` will do, its ``ainvoke`` is used where it has one.

Its confidence is *not* calibrated. It has no token probabilities to go by and weighs what the page says by weights set by hand
(``judging.ANSWERED``, ``judging.NOTHING``); compare it among its own answers, not with the trained model's.
"""

from layoutllm_tool.chat_reader.reader import ChatModelReader

__all__ = ["ChatModelReader"]
