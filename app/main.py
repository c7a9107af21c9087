"""The entry: `streamlit run app/main.py`. Path, page config, navigation, run.

The file is read twice over: as a module once, when the server starts and takes its application from it, and as a
script at each visitor's whole run.
"""

import os
import sys
from pathlib import Path

ROOT = str(Path(__file__).resolve().parent.parent)
if ROOT not in sys.path:
    # Streamlit puts app/ on the path, not the repository; position 0, so that no other "app" or "models" comes first.
    sys.path.insert(0, ROOT)

# Small matrices: a second thread only waits for the first, and waits by spinning. PyTorch reads this when it is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import streamlit as st  # noqa: E402

if __name__ == "__main__":
    from app import compute, frame, theme, turns

    with turns.turn():
        st.set_page_config(
            page_title="Attention Lab", page_icon=f"{ROOT}/assets/pictures/icon.png", layout="wide",
            initial_sidebar_state=264,
        )  # fmt: skip
        st.html(theme.css(frame.look().mode))
        compute.warm()
        frame.run(frame.navigation())
else:
    from app import heap, server

    heap.few_heaps()
    app = st.App(__file__, lifespan=server.lifespan, routes=server.ROUTES, middleware=server.MIDDLEWARE)
