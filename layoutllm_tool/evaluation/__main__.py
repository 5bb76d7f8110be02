"""``python -m layoutllm_tool.evaluation`` is ``layoutllm eval``."""

import sys

from layoutllm_tool.evaluation.command import main

if __name__ == "__main__":
    sys.exit(main())
