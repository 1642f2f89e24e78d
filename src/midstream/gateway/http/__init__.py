"""HTTP/1.1 on both sides of the gateway, without a task switch for each event.

Rule: knows requests, responses and bytes; never streams, messages or the journal.
"""
