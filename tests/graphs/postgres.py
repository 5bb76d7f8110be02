"""A Postgres server of one's own for a test, in a temporary folder; the test is skipped where none is
installed.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Its URL. Postgres refuses to be root: then it runs as nobody, in a folder that is nobody's."""
    path = os.pathsep.join([*map(str, _PLACES), os.environ.get("PATH", "")])
    initdb, control = shutil.which("initdb", path=path), shutil.which("pg_ctl", path=path)
    if not initdb or not control:
        pytest.skip("Postgres is not installed: apt-get install postgresql")
    user = "nobody" if getpass.getuser() == "root" else None
    for parent in (folder, *folder.parents):  # pytest's own are closed to others
        if parent == Path(tempfile.gettempdir()):
            break
        if parent.owner() == getpass.getuser() and "pytest" in str(parent):
            parent.chmod(0o755)
    data = folder / "postgres"
    data.mkdir()
    if user:
        shutil.chown(data, user)
    port = _free_port()
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={data} -c fsync=off"
    _do([initdb, "-D", str(data), "-U", "layoutllm", "--auth=trust"], user)
    _do([control, "-D", str(data), "-w", "-l", str(data / "log"), "-o", options, "start"], user)
    try:
        yield f"postgresql://layoutllm@127.0.0.1:{port}/postgres"
    finally:
        _do([control, "-D", str(data), "-m", "immediate", "stop"], user)


def _do(command: list[str], user: str | None) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, user=user, cwd="/", timeout=60)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
