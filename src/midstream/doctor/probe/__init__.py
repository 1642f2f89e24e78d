"""The prober: what happens to a stream on this very path, measured from both ends, or from one."""
