"""webchat: one chat, every client, nothing stored."""

__version__ = "1.0.0"
