"""What a WebSocket client sends, built by hand."""

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY = b"\x11\x22\x33\x44"


def masked(opcode, payload=b"", final=True, key=KEY):
    """One frame of a client."""
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    else:
        length = b"\xfe" + size.to_bytes(2) if size < 1 << 16 else b"\xff" + size.to_bytes(8)
    data = bytes(byte ^ key[i % 4] for i, byte in enumerate(payload)) if any(key) else payload
    return bytes([(0x80 if final else 0) | opcode]) + length + key + data
