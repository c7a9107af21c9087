"""Take it with you: each figure's numbers as a table, CSV and NPZ, the figure as a page, the experiment as code.

Works from what a page has drawn, so that every page has it. All of it is made only when its box is open.
"""

import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app import pictures
from app.figures.charts import Chart
from app.recipe import Export

if TYPE_CHECKING:
    from pandas import DataFrame

    from app.frame import Stage

MAX_ROWS = 5000  # shown in the browser; a download holds all


def draw(prefix: str, stages: Sequence["Stage"], address: str, code: Export | None = None) -> None:
    """The box at the foot of a page; ``code`` is the experiment as a program."""
    if not stages:
        return
    box = st.expander("Take it with you: numbers, pictures, code", on_change="rerun", key=f"{prefix}_take")
    if not box.open:
        return
    usable = {stage.title: stage for stage in stages if arrays(stage)}
    with box:
        stage = usable[st.selectbox("Figure", list(usable), key=f"{prefix}_take_figure") or next(iter(usable))]
        table = frame_of(stage)
        st.dataframe(table.head(MAX_ROWS), height=260, hide_index=True)
        with st.container(horizontal=True):
            name = f"{prefix}-{stage.key}"
            st.download_button("CSV", table.to_csv(index=False).encode(), f"{name}.csv", "text/csv")
            st.download_button(
                "NPZ, all figures", lambda: npz(usable.values(), address), f"{prefix}.npz", "application/zip"
            )
            if pictures.has_page(stage):
                st.download_button(
                    "HTML, opens off line", lambda: pictures.page(stage, address), f"{name}.html", "text/html"
                )
            if code:
                st.download_button("Python script", code.script, f"{prefix}.py", "text/x-python")
                st.download_button("Notebook", code.notebook, f"{prefix}.ipynb", "application/x-ipynb+json")
        if pictures.drawn(stage):
            pictures.offer(stage)


def arrays(stage: "Stage") -> dict[str, np.ndarray]:
    """The numbers of a figure by name: those the page handed over, else those that are drawn."""
    if stage.tensors:
        return {name: np.asarray(value) for name, value in stage.tensors.items()}
    if isinstance(stage.figure, Chart):
        return _columns(stage.figure.spec)
    found = {}
    for number, trace in enumerate(getattr(stage.figure, "data", ())):
        if getattr(trace, "hoverinfo", None) == "skip" and trace.type == "scatter":
            continue  # hatching and frames are drawing, not data
        kind = "z" if trace.type == "heatmap" else "y"
        value = getattr(trace, kind, None)
        if value is not None and np.asarray(value).dtype.kind in "fiub":
            found[trace.name or f"{stage.key}_{number}"] = np.asarray(value)
    return found


def _columns(spec: dict[str, Any]) -> dict[str, np.ndarray]:
    layers = spec.get("layer", [spec])
    rows = (layers[0].get("data") or spec.get("data") or {}).get("values") or []
    return {name: np.array([row[name] for row in rows]) for name in (rows[0] if rows else {}) if name != "key"}


def frame_of(stage: "Stage") -> "DataFrame":
    """A long table: for a chart its columns, for tensors one row a number with its name and indices."""
    import pandas as pd  # 66 MB with pyarrow: only for a process in which somebody opens the box

    if isinstance(stage.figure, Chart) and not stage.tensors:
        return pd.DataFrame(_columns(stage.figure.spec))
    parts = []
    for name, value in arrays(stage).items():
        index = np.indices(value.shape).reshape(value.ndim, -1)
        parts.append(
            pd.DataFrame(
                {"tensor": name} | {f"axis_{axis}": at for axis, at in enumerate(index)} | {"value": value.ravel()}
            )
        )
    return pd.concat(parts, ignore_index=True)


def npz(stages: Any, address: str) -> bytes:
    """Every tensor of the page, and under ``about`` a JSON text with each one's shape, figure and maker."""
    held: dict[str, np.ndarray] = {}
    about: dict[str, Any] = {"link": address, "tensors": {}}
    for stage in stages:
        for name, value in arrays(stage).items():
            held[f"{stage.key}.{name}"] = value
            about["tensors"][f"{stage.key}.{name}"] = {
                "shape": list(value.shape), "figure": stage.title, "axes": stage.shape, "made_by": stage.made_by,
            }  # fmt: skip
    buffer = io.BytesIO()
    np.savez_compressed(buffer, about=np.array(json.dumps(about, ensure_ascii=False)), **held)  # type: ignore[arg-type]
    return buffer.getvalue()
