"""Face two: the streaming proxy, for every language.

Rule: what a consumer sees comes out of the journal; what recovery decides, the engine decides.
"""
