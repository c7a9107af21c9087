"""Arrays and labels in, a figure out. Knows no streamlit and no torch."""

import plotly.io

plotly.io.templates.default = "none"  # the look comes from app/theme.py; Plotly's own would add kilobytes a chart
