"""Values of tests and intervals, for `crates/report/src/statistics.rs`.

    python tests/reference/statistics_values.py

writes `crates/report/tests/reference/statistics.json` with scipy, statsmodels and numpy, whose versions it holds. Sign flips of few clusters are those of
`scipy.stats.permutation_test`, which goes through all of them; of more, all sums of signs are counted here with whole numbers.
"""

import json
import math
import random
from fractions import Fraction
from pathlib import Path

import numpy
import scipy
import scipy.stats
import statsmodels
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

OUT = Path(__file__).resolve().parents[2] / "crates/report/tests/reference/statistics.json"


def by_scipy(differences):
    found = scipy.stats.permutation_test(
        (numpy.array(differences, dtype=float),),
        lambda sample, axis: numpy.abs(numpy.sum(sample, axis=axis)),
        permutation_type="samples",
        alternative="greater",
        vectorized=True,
        n_resamples=math.inf,
    )
    return float(found.pvalue)


def by_counting(differences):
    """The share of all signs whose sum is at least as far from 0, exact: sums as a dictionary, counts as whole numbers."""
    ways = {0: 1}
    for difference in differences:
        after = {}
        for total, count in ways.items():
            for sign in (-1, 1):
                after[total + sign * difference] = after.get(total + sign * difference, 0) + count
        ways = after
    seen = abs(sum(differences))
    return float(Fraction(sum(count for total, count in ways.items() if abs(total) >= seen), 2 ** len(differences)))


def main():
    chance = random.Random(7)
    few = [[2, -1], [3, 0, -3], [1, 1, 1, 1, 1], [4, -1, 2, 2, -3, 1], [6, 5, 4, 3, 2, 1, -1]]
    few += [[chance.randint(-6, 6) for _ in range(chance.randint(3, 13))] for _ in range(10)]
    many = [[chance.choice([-4, -2, -1, 0, 1, 1, 2, 3]) for _ in range(size)] for size in (20, 71, 71, 200, 500)]
    many += [[1], [3] * 40, [-2] * 9 + [1] * 60]
    counts = [(0, 1), (0, 20), (1, 10), (15, 300), (37, 300), (299, 300), (300, 300), (12345, 50000)]
    pairs = [(0, 0), (1, 0), (3, 3), (5, 0), (2, 11), (15, 13), (40, 10), (600, 500), (0, 100)]
    families = [[0.01, 0.04, 0.03, 0.005, 0.5, 0.02], [0.9, 0.6, 0.04], [chance.random() ** 3 for _ in range(15)]]
    flips = []
    for differences in few:
        flips.append({"differences": differences, "by": "scipy.stats.permutation_test", "p": by_scipy(differences)})
        assert math.isclose(flips[-1]["p"], by_counting(differences), rel_tol=1e-12)
    flips += [{"differences": differences, "by": "all signs", "p": by_counting(differences)} for differences in many]
    tables = []
    for broken, repaired in pairs:
        p = float(mcnemar([[0, broken], [repaired, 0]], exact=True).pvalue) if broken + repaired else 1.0
        assert math.isclose(p, scipy.stats.binomtest(broken, max(1, broken + repaired)).pvalue if broken + repaired else 1.0, rel_tol=1e-9)
        tables.append([broken, repaired, p])
    values = {
        "versions": {"scipy": scipy.__version__, "statsmodels": statsmodels.__version__, "numpy": numpy.__version__},
        "sign_flips": flips,
        "mcnemar": tables,
        "holm": [[p, multipletests(p, method="holm")[1].tolist()] for p in families],
        "wilson": [[n, of, *(float(end) for end in proportion_confint(n, of, alpha=0.05, method="wilson"))] for n, of in counts],
    }
    OUT.parent.mkdir(exist_ok=True)
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in values.items()]
    OUT.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
