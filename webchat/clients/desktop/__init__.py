"""`webchat desktop`: the chat in a window."""
