"""A figure as a page of its own, with Plotly's code inside: it opens without a network."""

from typing import Any

from plotly.io import to_html

# Both formats by Plotly itself, as two buttons in its bar, which Streamlit's copy of Plotly has no way to show.
_TWO_CAMERAS = """
const plot = document.getElementById("{plot_id}");
const camera = (format) => ({
  name: "Download as " + format.toUpperCase(), icon: Plotly.Icons.camera,
  click: (gd) => Plotly.downloadImage(gd, {format, filename: FILENAME, scale: format === "png" ? 2 : 1}),
});
Plotly.react(plot, plot.data, plot.layout, {responsive: true, displaylogo: false, displayModeBar: true,
  modeBarButtonsToRemove: ["toImage"], modeBarButtonsToAdd: [camera("svg"), camera("png")]});
"""


def standalone(spec: dict[str, Any], name: str) -> str:
    """The whole HTML page of a figure's dictionaries; ``name`` is what its pictures are called."""
    figure = spec | {"layout": {key: part for key, part in spec["layout"].items() if key != "template"}}
    script = _TWO_CAMERAS.replace("FILENAME", f'"{name}"')
    return to_html(figure, include_plotlyjs=True, full_html=True, post_script=script, validate=False)
