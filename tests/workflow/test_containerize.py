"""The image of the demo's environments is what Snakemake makes of them today."""

import os
import subprocess
import sys
from pathlib import Path

from running import REPOSITORY

# Snakemake asks conda for its version, platform and priority of channels before it hashes the environments; nothing is built.
CONDA = """\
#!/bin/sh
case "$*" in
  "info --json") echo '{"conda_version": "25.1.0", "conda_prefix": "/c", "root_prefix": "/c", "platform": "linux-64"}' ;;
  "--version") echo "conda 25.1.0" ;;
  config*) echo '{"get": {"channel_priority": "strict"}}' ;;
  *) exit 1 ;;
esac
"""


def test_dockerfile_is_current(tmp_path: Path) -> None:
    conda = tmp_path / "conda"
    conda.write_text(CONDA)
    conda.chmod(0o755)
    words = [sys.executable, "-m", "snakemake", "--containerize"]
    variables = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(words, cwd=REPOSITORY, env=variables, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    kept = (REPOSITORY / "envs" / "Dockerfile").read_text()
    assert done.stdout == kept, "renew it: snakemake --containerize > envs/Dockerfile"
