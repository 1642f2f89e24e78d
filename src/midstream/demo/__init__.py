"""One reply, cut twice, beside the same through the bare SDK: what ``midstream demo`` shows.

Rule: everything is real but the model: the official SDK, the middleware, sockets, and the faults of `midstream.faults`.
"""
