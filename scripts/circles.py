"""Circles in a graph of files: which files reach each other, and by which way."""

from pathlib import Path


def circles(graph: dict[Path, set[Path]]) -> list[list[Path]]:
    """Return the sets of files that reach each other, each as one shortest way around."""
    return [_way_around(graph, found) for found in _components(graph) if len(found) > 1]


def _components(graph: dict[Path, set[Path]]) -> list[set[Path]]:
    index: dict[Path, int] = {}
    low: dict[Path, int] = {}
    stack: list[Path] = []
    on: set[Path] = set()
    found: list[set[Path]] = []

    def visit(node: Path) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        on.add(node)
        for target in sorted(graph.get(node, set())):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in on:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            component = set()
            while True:
                last = stack.pop()
                on.discard(last)
                component.add(last)
                if last == node:
                    break
            found.append(component)

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def _way_around(graph: dict[Path, set[Path]], component: set[Path]) -> list[Path]:
    best: list[Path] = []
    for start in sorted(component):
        before: dict[Path, Path] = {}
        queue = [start]
        for node in queue:
            for target in sorted(graph[node] & component):
                if target == start:
                    way = [node]
                    while way[-1] != start:
                        way.append(before[way[-1]])
                    way.reverse()
                    if not best or len(way) < len(best):
                        best = way
                    break
                if target not in before:
                    before[target] = node
                    queue.append(target)
    return best
