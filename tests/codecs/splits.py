"""Every way of cutting a stream into segments that a codec has to bear."""

from collections.abc import Iterator

from hypothesis import strategies as st


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(at, len(data)) for at in cuts), len(data)]
    return [data[a:b] for a, b in zip(edges, edges[1:], strict=False) if a < b]


def ways(data: bytes) -> Iterator[list[bytes]]:
    yield [data]
    yield byte_by_byte(data)


random_cuts = st.lists(st.integers(0, 400), max_size=12)
