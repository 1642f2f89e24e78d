"""The preflight: what of this machine is known to break streams, before one breaks."""
