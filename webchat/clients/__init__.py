"""The programs that people run: the terminal client and the desktop window."""
