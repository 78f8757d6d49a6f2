"""Ways to cut a stream into segments; a codec has to read the same from each of them."""

from hypothesis import strategies as st


def whole(data: bytes) -> list[bytes]:
    return [data]


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(at, len(data)) for at in cuts), len(data)]
    return [data[a:b] for a, b in zip(edges, edges[1:], strict=False) if a < b]


random_cuts = st.lists(st.integers(0, 400), max_size=12)
