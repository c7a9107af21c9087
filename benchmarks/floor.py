"""The floor: the least a Streamlit page with a slider and a figure can cost. Every figure is given as a ratio to it."""

import numpy as np
import plotly.graph_objects as go
import streamlit as st

seed = st.slider("Seed", 0, 99, 0, key="seed")
cells = np.random.default_rng(seed).random((16, 16), dtype=np.float32)
st.plotly_chart(go.Figure(go.Heatmap(z=cells)), key="map")
