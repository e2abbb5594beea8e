"""`python -m benchmarks --install-peers`: the other servers, in a place of their own."""

import subprocess
import sys

from benchmarks.contenders import PEERS_PYTHON, REPOSITORY


def install_peers() -> int:
    """Create `.venv-peers` if needed and install the peers; returns the exit code."""
    if not PEERS_PYTHON.exists():
        folder = PEERS_PYTHON.parent.parent
        make_venv = [str(REPOSITORY / "tools" / "make-venv"), sys.executable, str(folder)]
        if subprocess.run(make_venv, check=False).returncode != 0:
            return 1
        (folder / ".gitignore").write_text("*\n")
    requirements = REPOSITORY / "benchmarks" / "requirements-peers.txt"
    install = [str(PEERS_PYTHON), "-m", "pip", "install", "--upgrade", "-r", str(requirements)]
    return subprocess.run(install, check=False).returncode
