"""Arrays and labels in, a figure out. Knows no streamlit and no torch."""
