"""Values of what a release board asks for, for `crates/report/src/statistics/`.

    python tests/reference/assurance_values.py

writes `crates/report/tests/reference/assurance.json` with scipy, statsmodels and numpy, whose versions it holds.

- Exact bounds are those of `scipy.stats.binomtest(..).proportion_ci(method="exact")`, and of scipy's beta quantiles where counts are fractions.
- Tango's interval is found without his quadratic equation: for each drop the most likely table with that drop is searched by `minimize_scalar`, and
  the ends are where the observed drop is so many standard deviations of that table away, by `brentq`.
- Poolings: signs of images by going through all of them, the largest drop by going through the signs of all benchmarks together, Fisher's product by
  `scipy.stats.combine_pvalues`.
- Sizes: `scipy.stats.binom` in a plain loop; the least drop by `brentq`.
- Design effects: the variance of the ratio by `numpy`, and one more image that stands or falls together.
"""

import itertools
import json
import math
import random
from fractions import Fraction
from pathlib import Path

import numpy
import scipy
import scipy.optimize
import scipy.stats
import statsmodels
from statsmodels.stats.proportion import proportion_confint

OUT = Path(__file__).resolve().parents[2] / "crates/report/tests/reference/assurance.json"


def exact(count, of, confidence):
    if count == int(count) and of == int(of):
        low = scipy.stats.binomtest(int(count), int(of), alternative="greater").proportion_ci(confidence, method="exact").low
        high = scipy.stats.binomtest(int(count), int(of), alternative="less").proportion_ci(confidence, method="exact").high
        both = proportion_confint(int(count), int(of), alpha=2 * (1 - confidence), method="beta")
        assert math.isclose(both[0], low, abs_tol=1e-9) and math.isclose(both[1], high, abs_tol=1e-9)
    else:
        low = scipy.stats.beta.ppf(1 - confidence, count, of - count + 1) if count > 0 else 0.0
        high = scipy.stats.beta.ppf(confidence, count + 1, of - count) if count < of else 1.0
    return [count, of, confidence, float(low), float(high)]


def score(broken, repaired, of, drop):
    """Standard deviations of the most likely table with this drop between its drop and the observed one."""
    above = broken - repaired - of * drop
    if above == 0:
        return 0.0
    same = of - broken - repaired

    def unlikely(share):
        """Of a table with the shares share + drop broken and share repaired."""
        cells = [(broken, share + drop), (repaired, share), (same, 1 - 2 * share - drop)]
        if any(p < 0 or (count > 0 and p <= 0) for count, p in cells):
            return math.inf
        return -sum(count * math.log(p) for count, p in cells if count > 0)

    low, high = max(0.0, -drop), (1 - drop) / 2
    found = scipy.optimize.minimize_scalar(unlikely, bounds=(low, high), method="bounded", options={"xatol": 1e-14, "maxiter": 2000})
    # a bounded search does not try its ends
    share = min([low, high, float(found.x)], key=unlikely)
    variance = 2 * share + drop - drop * drop
    return above / math.sqrt(of * variance) if variance > 0 else math.copysign(math.inf, above)


def tango(broken, repaired, same, confidence):
    of = broken + repaired + same
    z = scipy.stats.norm.ppf(confidence)
    drop = (broken - repaired) / of
    away = lambda to: lambda at: max(-1e6, min(1e6, score(broken, repaired, of, at))) - to
    near = 1e-9
    high = scipy.optimize.brentq(away(-z), drop + near, 1 - near, xtol=1e-13) if drop < 1 - near else 1.0
    low = scipy.optimize.brentq(away(z), -1 + near, drop - near, xtol=1e-13) if drop > -1 + near else -1.0
    margins = [[m, float(scipy.stats.norm.cdf(score(broken, repaired, of, m)))] for m in (0.01, 0.02, 0.05)]
    return {"broken": broken, "repaired": repaired, "of": of, "confidence": confidence, "low": low, "high": high, "p_inferior": margins}


def as_high(differences, least):
    """The exact chance that a sum with all signs drawn is at least `least`."""
    ways = {0: 1}
    for difference in differences:
        after = {}
        for total, count in ways.items():
            for sign in (-1, 1):
                after[total + sign * difference] = after.get(total + sign * difference, 0) + count
        ways = after
    return float(Fraction(sum(count for total, count in ways.items() if total >= least), 2 ** len(differences)))


def largest_drop(benchmarks):
    """All signs of all benchmarks together."""
    standard = lambda differences: sum(differences) / math.sqrt(sum(d * d for d in differences))
    seen = max(standard(differences) for differences in benchmarks)
    signs = [itertools.product((-1, 1), repeat=len(differences)) for differences in benchmarks]
    drawn = [[standard([s * d for s, d in zip(chosen, differences)]) for chosen in of] for of, differences in zip(signs, benchmarks)]
    all_of_them = list(itertools.product(*drawn))
    return sum(max(one) >= seen - 1e-9 for one in all_of_them) / len(all_of_them)


def pooled(benchmarks):
    every = [d for differences in benchmarks for d in differences]
    each = [as_high(differences, sum(differences)) for differences in benchmarks]
    values = [as_high(every, sum(every)), largest_drop(benchmarks), float(scipy.stats.combine_pvalues(each, method="fisher").pvalue)]
    return {"benchmarks": benchmarks, "pooled": values[0], "largest_drop": values[1], "fisher": values[2]}


def to_show_at_most(rate, limit, confidence, power):
    """Broken questions allowed, one more at a time, and the fewest questions for each by trying them all."""
    of = 1
    for broken in itertools.count():
        while scipy.stats.binom.cdf(broken, of, limit) > 1 - confidence:
            of += 1
        if scipy.stats.binom.cdf(broken, of, rate) >= power:
            return [rate, limit, confidence, power, of, broken]


def least_drop(questions, flips, confidence, power):
    a, b = scipy.stats.norm.ppf(confidence), scipy.stats.norm.ppf(power)
    excess = lambda d: d * math.sqrt(questions) - a * math.sqrt(flips) - b * math.sqrt(max(flips - d * d, 0))
    return [questions, flips, confidence, power, float(scipy.optimize.brentq(excess, 0, flips, xtol=1e-14))]


def design_effect(images):
    """How much wider a ratio is by image than by question."""
    counts, sizes = numpy.array(images, dtype=float).T
    share = counts.sum() / sizes.sum()
    by_image = len(images) * numpy.var(counts - share * sizes, ddof=1) / sizes.sum() ** 2
    seen = float(by_image / (share * (1 - share) / sizes.sum()))
    moved, together = int((counts > 0).sum()), float((sizes**2).sum() / sizes.sum())
    return {"images": images, "effect": max(1.0, float(numpy.average([seen, together], weights=[moved, 1])))}


def main():
    chance = random.Random(11)
    counts = [(0, 1), (0, 20), (0, 300), (1, 300), (3, 300), (17, 300), (150, 300), (299, 300), (300, 300), (4, 10_000), (2.5, 80.25), (0.4, 61.5)]
    counts += [(chance.randint(0, n // 8), n) for n in (25, 71, 100, 240, 512, 1000, 2500, 9000)]
    tables = [(0, 0, 20), (0, 0, 300), (1, 0, 299), (0, 3, 297), (5, 5, 290), (9, 2, 289), (40, 10, 250), (15, 13, 272), (120, 3, 10), (2, 90, 8)]
    tables += [(chance.randint(0, n // 10), chance.randint(0, n // 12), 0) for n in (30, 50, 71, 99, 150, 201, 300, 444, 600, 900, 1500, 3000)]
    tables = [(b, c, same or (b + c) * 9 + chance.randint(5, 50)) for b, c, same in tables]
    sets = [[[chance.choice([-2, -1, 1, 1, 1, 2]) for _ in range(chance.randint(2, 5))] for _ in range(chance.randint(2, 3))] for _ in range(12)]
    sizes = [(0.0, 0.01), (0.0, 0.05), (0.001, 0.01), (0.002, 0.01), (0.01, 0.03), (0.02, 0.05), (0.05, 0.08)]
    images = [[[min(size, chance.choice([0, 0, 0, 1, 2, 4])), size] for size in (chance.randint(1, 6) for _ in range(n))] for n in (12, 40, 71, 150)]
    values = {
        "versions": {"scipy": scipy.__version__, "statsmodels": statsmodels.__version__, "numpy": numpy.__version__},
        "exact": [exact(count, of, confidence) for count, of in counts for confidence in (0.9, 0.95, 0.99)],
        "tango": [tango(*table, confidence) for table in tables for confidence in (0.95, 0.975)],
        "pooled": [pooled(benchmarks) for benchmarks in sets],
        "to_show_at_most": [to_show_at_most(rate, limit, 0.95, 0.8) for rate, limit in sizes] + [to_show_at_most(0.01, 0.04, 0.9, 0.9)],
        "least_drop": [least_drop(n, flips, 0.95, 0.8) for n, flips in ((100, 0.3), (300, 0.05), (300, 0.1), (1000, 0.02), (5000, 0.15))],
        "design_effect": [design_effect(of) for of in images],
    }
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in values.items()]
    OUT.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print({name: len(value) for name, value in values.items()})


if __name__ == "__main__":
    main()
