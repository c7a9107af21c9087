"""The concepts' arithmetic in plain PyTorch. Knows no streamlit, no plotly, no pandas."""
