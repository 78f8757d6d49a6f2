"""The doors: one file for each way into the chat."""
