"""Other interpreters, for settings that a process reads when it starts."""

from __future__ import annotations

import os
import subprocess
import sys


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run another interpreter, in which only the variables given here speak to thinnet."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("THINNET_")}
    return subprocess.run(
        [sys.executable, *arguments],
        env=env | environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def printed(script: str, **environment: str) -> str:
    """Return the output of a script; fail if it fails or writes errors."""
    done = python("-c", script, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()
