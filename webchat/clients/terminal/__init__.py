"""`webchat chat`: the chat in a terminal, or between two programs."""
