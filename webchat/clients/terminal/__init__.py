"""`webchat chat`: the chat in a terminal, or between the programs of a pipe."""
