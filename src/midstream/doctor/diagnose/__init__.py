"""What became of a recorded stream: complete, truncated, an error, or not the protocol; where, why, and what is left.

Rule: judged by the same decoders, the same message and the same engine that recover a live stream; no second opinion.
"""
