"""Where the engine meets the world.

Rule: a driver performs one wait and reports one input; it decides nothing.
"""
