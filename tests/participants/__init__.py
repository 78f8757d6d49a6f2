"""One kind of participant for each kind of client, all with the same methods: join, say, tell, leave, shown.

Each reads what its user would see: the page, a terminal, a window; or what its program receives from a socket.
"""
