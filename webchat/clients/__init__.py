"""The programs that people chat with: the terminal client and the desktop window."""
