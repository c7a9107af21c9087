"""Where downloaded text and half-finished training live: outside the repository, in one folder of the user's."""

import os
from pathlib import Path


def cache_home() -> Path:
    """ATTENTION_LAB_HOME when set, else ``attention-lab`` in the XDG cache folder; made when missing."""
    named = os.environ.get("ATTENTION_LAB_HOME")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(named).expanduser() if named else Path(base).expanduser() / "attention-lab"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
