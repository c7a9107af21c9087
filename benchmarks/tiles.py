"""The largest picture there is: the heads of a model of 12 layers × 12 heads over 64 tokens, drawn by the app's own atlas.

No shipped model has as many heads, so the maps are random rows that sum to one: what is measured is the drawing.
"""

import sys
from pathlib import Path

import numpy as np
import streamlit as st

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.figures import atlas
from app.theme import Look

LAYERS, HEADS, TOKENS = 12, 12, 64

seed = st.slider("Seed", 0, 99, 0, key="seed")
scores = np.random.default_rng(seed).normal(0, 2, (LAYERS * HEADS, TOKENS, TOKENS)).astype(np.float32)
weights = np.exp(scores)
weights /= weights.sum(-1, keepdims=True)
names = [f"L{place // HEADS}H{place % HEADS}" for place in range(LAYERS * HEADS)]
figure = atlas.atlas(weights, atlas.by_layer(LAYERS, HEADS), Look("light"), names, pick=0, height=760)
st.plotly_chart(figure, key="map", theme=None)
