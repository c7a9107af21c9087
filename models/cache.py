"""Where downloaded text and half-finished training live: outside the repository, in one folder of the user's."""

import os
from pathlib import Path


def cache_home() -> Path:
    """ATTENTION_LAB_HOME when set, else ``attention-lab`` in the XDG cache folder.

    Whoever writes into it makes it: the app only looks, and must run where there is no home or no room.
    """
    named = os.environ.get("ATTENTION_LAB_HOME")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    # Not Path.expanduser, which raises for a user without an entry in the password file.
    return Path(os.path.expanduser(named)) if named else Path(os.path.expanduser(base)) / "attention-lab"
