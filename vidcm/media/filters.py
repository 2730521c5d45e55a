"""Chains of FFmpeg's filters, through PyAV."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import av
from av.filter import Graph
from av.filter.context import FilterContext


def link(graph: Graph, chain: Sequence[FilterContext]) -> Graph:
    """The graph, ready, with its filters one behind the other, from source to sink."""
    for left, right in pairwise(chain):
        left.link_to(right)
    graph.configure()
    return graph


def pull(graph: Graph) -> Iterator[av.VideoFrame | av.AudioFrame]:
    """The frames that are ready."""
    while True:
        try:
            yield graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
