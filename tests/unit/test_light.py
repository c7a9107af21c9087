"""What the default pages cost a process before anybody asks for more."""

import subprocess
import sys

from tests.conftest import ROOT

HEAVY = ("pandas", "pyarrow", "sympy", "transformers", "sklearn", "matplotlib")
VISIT = """
import sys
from streamlit.testing.v1 import AppTest
from app import syllabus
for station in syllabus.built():
    app = AppTest.from_file(r"{root}/app/main.py", default_timeout=240).run()
    app.switch_page(str(station.file)).run()
    assert not app.exception, app.exception
    assert app.title, station.slug
    found = [name for name in {heavy!r} if name in sys.modules]
    assert not found, (station.slug, found)
print("light")
"""


def test_no_page_imports_what_it_does_not_show():
    """pandas and pyarrow are 66 MB and most of a second, sympy 25 MB: only a box that somebody opens needs them."""
    code = VISIT.format(root=ROOT, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.stdout.strip() == "light", done.stderr[-2000:]
