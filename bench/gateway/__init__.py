"""What an event costs on its way through a gateway (``make bench-gateway``)."""
