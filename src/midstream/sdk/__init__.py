"""Face one: middleware for the Anthropic SDK, in the caller's own process.

Rule: stands on the SDK's public names; what it must look up in private ones, it can do without.
"""
