"""The memory left, from files as Linux writes them."""

from models.memory import megabytes, memory_left

MEMINFO = "MemTotal:       16000000 kB\nMemFree:         1000000 kB\nMemAvailable:    8000000 kB\n"


def machine(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    return root


def test_the_machine_alone(tmp_path):
    assert memory_left(machine(tmp_path, {"proc/meminfo": MEMINFO})) == 8_192_000_000


def test_a_control_group_of_version_2_that_leaves_less(tmp_path):
    files = {
        "proc/meminfo": MEMINFO,
        "sys/fs/cgroup/memory.max": "1000000000\n",
        "sys/fs/cgroup/memory.current": "700000000\n",
        "sys/fs/cgroup/memory.stat": "anon 500000000\ninactive_file 150000000\n",
    }
    assert memory_left(machine(tmp_path, files)) == 450_000_000


def test_no_limit_and_an_overdrawn_one(tmp_path):
    files = {"proc/meminfo": MEMINFO, "sys/fs/cgroup/memory.max": "max\n", "sys/fs/cgroup/memory.current": "5\n"}
    assert memory_left(machine(tmp_path, files)) == 8_192_000_000
    files |= {
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "100\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "200\n",
    }
    assert memory_left(machine(tmp_path, files)) == 0


def test_a_system_that_keeps_no_such_files(tmp_path):
    left = memory_left(tmp_path)
    assert left is None or left > 0


def test_words_for_sizes():
    assert megabytes(950_400_000) == "950 MB"
    assert megabytes(2_140_000_000) == "2.1 GB"
