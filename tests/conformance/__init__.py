"""One suite for everything that promises the same."""
