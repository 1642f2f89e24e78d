"""`kill -9` of the gateway at drawn moments, and what its clients read afterwards."""
