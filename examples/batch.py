"""Many documents, one task; the results as tables: python examples/batch.py

The same as `layoutllm batch scans/ --task "..." -o out/` in a terminal, which works with several processes.
"""

import json
import shutil
from pathlib import Path

from layoutllm_tool import default_reader, samples
from layoutllm_tool.cli import main as layoutllm

TASK = "Extract the invoice number and the total due"


def main() -> None:
    scans, out = Path("scans"), Path("out")
    scans.mkdir(exist_ok=True)
    shutil.copy(samples.path("invoice.png"), scans / "a.png")
    (scans / "b.png").write_bytes(b"not a picture")  # a broken file becomes a row with a reason

    # Run it again and nothing is asked twice. `layoutllm view out/` shows what waits for a person.
    layoutllm(["batch", str(scans), "--task", TASK, "-o", str(out)], reader=default_reader())
    for line in (out / "fields.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        print(Path(row["document"]).name, row["field"], row["value"], row["verdict"], row["error"] or "")


if __name__ == "__main__":
    main()
