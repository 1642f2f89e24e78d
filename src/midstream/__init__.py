"""Claude streams that finish."""
