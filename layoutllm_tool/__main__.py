"""``python -m layoutllm_tool`` is ``layoutllm``."""

import sys

from layoutllm_tool.cli import main

if __name__ == "__main__":
    sys.exit(main())
