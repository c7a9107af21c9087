"""How much memory is left, so that a model too large for it is refused before it is loaded."""

import os
from pathlib import Path

CGROUPS = (  # version 2, version 1: the limit, what is used, and the cached pages in the use that can be dropped
    ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory.current", "sys/fs/cgroup/memory.stat", "inactive_file"),
    (
        "sys/fs/cgroup/memory/memory.limit_in_bytes",
        "sys/fs/cgroup/memory/memory.usage_in_bytes",
        "sys/fs/cgroup/memory/memory.stat",
        "total_inactive_file",
    ),
)


def _named_number(path: Path, name: str) -> int | None:
    """The whole number behind a name at the start of a line, as /proc and the control groups write them."""
    try:
        for line in path.read_text(encoding="ascii").splitlines():
            words = line.replace(":", " ").split()
            if len(words) > 1 and words[0] == name:
                return int(words[1])
    except (OSError, ValueError):
        pass
    return None


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):  # no such group, or "max": no limit
        return None


def memory_left(root: Path = Path("/")) -> int | None:
    """Bytes a process may still take: the machine's free memory, or what its control group leaves if that is less.

    None where the system does not say. ``root`` is where /proc and /sys are found.
    """
    found = []
    if (kilobytes := _named_number(root / "proc/meminfo", "MemAvailable")) is not None:
        found.append(kilobytes * 1024)
    for limit_at, used_at, stat_at, droppable in CGROUPS:
        limit, used = _number(root / limit_at), _number(root / used_at)
        if limit is not None and used is not None:
            found.append(limit - used + (_named_number(root / stat_at, droppable) or 0))
    if found:
        return max(0, min(found))
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not every system knows these names
        return None


def megabytes(size: int) -> str:
    """A number of bytes for people: "950 MB", "2.1 GB"."""
    return f"{size / 1e6:.0f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"
