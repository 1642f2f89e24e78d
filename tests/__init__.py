"""The tests: they mirror src/, one test module for each source module."""
