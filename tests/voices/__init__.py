"""One person at each kind of door, with the same few verbs: arrive, say, tell, leave, and what has been heard.

Each listens to what its user would see: the page's regions, a terminal's lines, a window's text, a socket's frames.
"""
