"""What the app costs, beside what Streamlit itself costs: `make bench`."""
