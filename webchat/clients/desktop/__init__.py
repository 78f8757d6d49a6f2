"""`webchat desktop`: the chat in a window of its own."""
