"""More to read off every patch, worked out from the world's labels: one step of what a question needs, each.

How many objects are like this one; which letter of its word a glyph is; which way a node's arrow leaves. The tower learns to
tell them long before answers alone would teach it to.
"""

import numpy as np

from model import GRID

COUNTS = ("same color", "same shape", "same size", "objects")
LETTERS = 5
WAYS = ("left", "right", "up", "down")

PLANES = [
    *({"name": f"how many: {name}", "classes": [str(n) for n in range(7)]} for name in COUNTS),
    {"name": "letter", "classes": [str(n) for n in range(LETTERS + 1)]},
    {"name": "way", "classes": ["no node", "no arrow", *WAYS]},
]


class Readouts:
    def __init__(self, planes: list[dict]):
        self.index = {plane["name"]: i for i, plane in enumerate(planes)}
        what = next(plane["classes"] for plane in planes if plane["name"] == "what")
        self.shapes = range(1, what.index("plate"))
        self.glyphs = [i for i, name in enumerate(what) if name.startswith("glyph")]
        self.node = what.index("node")
        self.arrows = [what.index(f"arrow {way}") for way in WAYS]

    def of(self, planes: np.ndarray) -> np.ndarray:
        """[PLANES, patches] from the world's [planes, patches]."""
        grid = planes.reshape(len(planes), GRID, GRID)
        derived = np.concatenate([self.counts(grid), self.letters(grid), self.ways(grid)])
        return derived.reshape(len(PLANES), GRID * GRID)

    def counts(self, grid: np.ndarray) -> np.ndarray:
        """Objects like the one in the patch, itself included: every object has a square of 3x3 patches for itself."""
        counts = np.zeros((len(COUNTS), GRID, GRID), np.uint8)
        what, color, size = (grid[self.index[name]] for name in ("what", "color", "size"))
        objects = np.isin(what, self.shapes)
        middles = [(y, x) for y in range(1, GRID, 3) for x in range(1, GRID, 3) if objects[y, x]]
        for y, x in middles:
            alike = [sum(plane[y, x] == plane[p] for p in middles) for plane in (color, what, size)]
            square = np.s_[:, y - 1 : y + 2, x - 1 : x + 2]
            counts[square] = np.array([*alike, len(middles)], np.uint8)[:, None, None]
        return counts * objects

    def letters(self, grid: np.ndarray) -> np.ndarray:
        """First, second, .. letter of the word: letters are two patches wide; of two signs one is in the top third."""
        glyphs = np.isin(grid[self.index["what"]], self.glyphs)
        letters = np.zeros((1, GRID, GRID), np.uint8)
        for rows in (np.s_[: GRID // 3], np.s_[GRID // 3 :]):
            columns = np.flatnonzero(glyphs[rows].any(0))
            if len(columns):
                place = (np.arange(GRID) - columns[0]) // 2 + 1
                letters[0, rows] = np.where(glyphs[rows], place, 0)
        return letters

    def ways(self, grid: np.ndarray) -> np.ndarray:
        """Which way a node's arrow leaves it: nodes are in the middle of 4x4 patches, arrows on the borders between."""
        what = grid[self.index["what"]]
        ways = np.zeros((1, GRID, GRID), np.uint8)
        for top in range(0, GRID, 4):
            for left in range(0, GRID, 4):
                rows, columns = slice(top + 1, top + 3), slice(left + 1, left + 3)
                beside = (
                    what[rows, max(left - 1, 0) : left + 1],
                    what[rows, left + 3 : left + 5],
                    what[max(top - 1, 0) : top + 1, columns],
                    what[top + 3 : top + 5, columns],
                )
                leaving = [2 + i for i, (near, arrow) in enumerate(zip(beside, self.arrows)) if (near == arrow).any()]
                ways[0, top : top + 4, left : left + 4] = leaving[0] if leaving else 1
        return ways * (what == self.node)
