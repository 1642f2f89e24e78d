"""Recorded replies, in whatever form somebody kept them: a file becomes the facts of one or more exchanges.

Rule: what stands in a file is read as it comes, in bounded memory; no file is too broken to be read as far as it goes.
"""
