"""Wire formats to chat events and back, without input or output of their own (sans-I/O)."""
