"""Float64 oracles: the paper's equations and other definitions as plain loops over NumPy arrays.

Equation numbers are those of Mikulski & Duda (2019), arXiv:1903.12286. Nothing here imports torusae or Keras, so that
no error can be shared with what is tested.
"""

import cmath
import itertools
import math

import numpy as np
import scipy.integrate
import scipy.optimize
import scipy.special
import scipy.stats

TAU = 2 * math.pi
GOLDEN = (math.sqrt(5) - 1) / 2


def kronecker(batch, dim):
    """`(batch, dim)` numbers in [0, 1): a closed form with no two equal in a column and no tiny gap.

    Fractional parts of multiples of the golden ratio, drawn together at the low end by a polynomial, so that no optimum
    is met by accident. Only IEEE products and sums: the same bits on every machine.
    """
    sample, circle = np.arange(1, batch + 1)[:, None], np.arange(dim)[None, :]
    u = (sample * (2 * circle + 1) * GOLDEN) % 1.0
    return u * (0.5 + 0.5 * u)


def round_to_bfloat16(array):
    """The nearest bfloat16 (ties to even) of finite float32 numbers, as float32: the upper half of the bits."""
    bits = np.ascontiguousarray(array, dtype="float32").view("uint32").astype("uint64")
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    return rounded.astype("uint32").view("float32")


def round_to(array, dtype):
    """An array rounded to float16, bfloat16 or float32, as float32."""
    array = np.asarray(array, dtype="float32")
    return round_to_bfloat16(array) if dtype == "bfloat16" else array.astype(dtype).astype("float32")


def wrap(angle, period=TAU):
    """The number of `[-period / 2, period / 2)` that differs from `angle` by whole periods."""
    return angle - period * math.floor(angle / period + 0.5)


def circle_distance(a, b):
    """The length of the shorter arc between two angles."""
    return abs(cmath.phase(cmath.exp(1j * (a - b))))


def stable_order(column):
    """Indices that sort a list; among equal numbers the earlier index comes first."""
    return sorted(range(len(column)), key=lambda s: (column[s], s))


def spring_loss(angles, period=TAU, reduction="sum"):
    """Value and gradient of eq. 2. Among equal angles the order in the batch decides who is whose neighbour."""
    angles = np.asarray(angles, dtype="float64")
    batch, dim = angles.shape
    value, slope = 0.0, np.zeros((batch, dim))
    for i in range(dim):
        phi = [wrap(float(angle), period) for angle in angles[:, i]]
        order = stable_order(phi)
        for s in range(batch):
            here, there = order[s], order[(s + 1) % batch]
            gap = phi[there] - phi[here] + (period if s == batch - 1 else 0.0)
            value += gap**2
            slope[there, i] += 2 * gap
            slope[here, i] -= 2 * gap
    scale = 1.0 if reduction == "sum" else batch / (dim * period**2)
    return value * scale, slope * scale


def normal_quantiles(count, mean=1.0, stddev=0.1):
    """Eq. 3 and 4, with SciPy's inverse error function's twin `norm.ppf`."""
    return np.array([scipy.stats.norm.ppf((s - 0.5) / count, mean, stddev) for s in range(1, count + 1)])


def quantile_loss(values, quantiles, reduction="sum"):
    """Value and gradient of eq. 5."""
    values = np.asarray(values, dtype="float64")
    batch, dim = values.shape
    value, slope = 0.0, np.zeros((batch, dim))
    for i in range(dim):
        for s, which in enumerate(stable_order([float(r) for r in values[:, i]])):
            value += (values[which, i] - quantiles[s]) ** 2
            slope[which, i] += 2 * (values[which, i] - quantiles[s])
    scale = 1.0 if reduction == "sum" else 1.0 / (batch * dim)
    return value * scale, slope * scale


def central_difference(fn, x, step):
    """Gradient of a scalar function of a float64 array, one number at a time."""
    slope = np.zeros_like(x)
    for index in itertools.product(*map(range, x.shape)):
        up, down = x.copy(), x.copy()
        up[index] += step
        down[index] -= step
        slope[index] = (fn(up) - fn(down)) / (2 * step)
    return slope


def kuiper_statistic(column):
    """Kuiper (1960): the sum of the largest excess and the largest lack of the empirical CDF over the uniform one."""
    turns = [(wrap(float(angle)) / TAU + 0.5) for angle in column]
    above, below = 0.0, 0.0
    for u in turns:
        at = sum(v <= u for v in turns) / len(turns)
        before = sum(v < u for v in turns) / len(turns)
        above, below = max(above, at - u), max(below, u - before)
    return above + below


def cell_occupancy(angles, cells):
    """The share of empty cells, and Σ p log(p / q) over the cells, p the frequency and q = 1 / number of cells."""
    counts = {}
    for row in angles:
        cell = tuple(math.floor((wrap(float(angle)) / TAU + 0.5) * cells) for angle in row)
        counts[cell] = counts.get(cell, 0) + 1
    num, num_cells = len(angles), cells ** angles.shape[1]
    kl = sum(count / num * math.log(count / num * num_cells) for count in counts.values())
    return 1 - len(counts) / num_cells, kl


def max_moment(angles, order):
    """The largest |mean of e^{ik·φ}| over every k with entries up to `order`, 0 left out."""
    largest = 0.0
    for k in itertools.product(range(-order, order + 1), repeat=angles.shape[1]):
        if any(k):
            total = sum(
                cmath.exp(1j * sum(n * float(angle) for n, angle in zip(k, row, strict=True))) for row in angles
            )
            largest = max(largest, abs(total) / len(angles))
    return largest


def morph_path(start, end, k, num_steps):
    """Eq. 6 for codes given as (radii, angles): points `(num_steps, 2 * dim)`, all x values first."""
    (radii_1, angles_1), (radii_2, angles_2) = start, end
    rows = []
    for step in range(num_steps):
        t = step / (num_steps - 1)
        radii = [(1 - t) * a + t * b for a, b in zip(radii_1, radii_2, strict=True)]
        angles = [(1 - t) * a + t * (b + TAU * n) for a, b, n in zip(angles_1, angles_2, k, strict=True)]
        polar = list(zip(radii, angles, strict=True))
        rows.append([r * math.cos(a) for r, a in polar] + [r * math.sin(a) for r, a in polar])
    return np.array(rows)


def mth_neighbour_springs(angles, order):
    """Σ of squared ways from each angle of a circle to its `order`-th neighbour, walked gap by gap; normalized."""
    batch, dim = angles.shape
    total = 0.0
    for i in range(dim):
        phi = sorted(wrap(float(a)) for a in angles[:, i])
        gaps = [phi[s + 1] - phi[s] for s in range(batch - 1)] + [phi[0] + TAU - phi[-1]]
        total += sum(sum(gaps[(s + m) % batch] for m in range(order)) ** 2 for s in range(batch))
    return total * batch / (dim * order**2 * TAU**2)


def diaphony(angles, interactions):
    """Zinterhof's F² over its largest value: the product kernel over all pairs, every subset of circles by itself."""
    batch, dim = angles.shape

    def bernoulli(a, b):
        d = ((a - b) / TAU) % 1.0
        return 2 * math.pi**2 * (d * d - d + 1 / 6)

    subsets = [c for m in range(1, interactions + 1) for c in itertools.combinations(range(dim), m)]
    total = 0.0
    for s in range(batch):
        for t in range(batch):
            total += sum(math.prod(bernoulli(angles[s, j], angles[t, j]) for j in subset) for subset in subsets)
    return total / batch**2 / sum((math.pi**2 / 3) ** len(subset) for subset in subsets)


def finite_diaphony(angles, order, interactions, decay=2.0):
    """Σ w_k |mean e^{ik·φ}|² / Σ w_k over all k with entries up to `order`, both of k and -k."""
    batch, dim = angles.shape
    total = weights = 0.0
    for k in itertools.product(range(-order, order + 1), repeat=dim):
        if not 0 < sum(n != 0 for n in k) <= interactions:
            continue
        weight = math.prod(max(1, abs(n)) ** -decay for n in k)
        mean = sum(cmath.exp(1j * sum(n * float(a) for n, a in zip(k, row, strict=True))) for row in angles) / batch
        total += weight * abs(mean) ** 2
        weights += weight
    return total / weights


def circular_wasserstein(angles, grid=400):
    """12 W2² of each circle to uniform, the mean: the best assignment of copies of the points to a grid of the circle.

    Within a grid's cell the uniform mass lies 1 / (12 grid²) further from its point.
    """
    batch, dim = angles.shape
    costs = []
    for i in range(dim):
        points = np.repeat(angles[:, i] / TAU, grid // batch)
        cells = (np.arange(len(points)) + 0.5) / len(points)
        arcs = (points[:, None] - cells[None, :] + 0.5) % 1.0 - 0.5
        rows, columns = scipy.optimize.linear_sum_assignment(arcs**2)
        costs.append(12 * ((arcs[rows, columns] ** 2).mean() + 1 / (12 * len(points) ** 2)))
    return float(np.mean(costs))


def circular_wasserstein_closed(angles):
    """12 W2² of each circle to uniform, the mean: Bonet et al. (2023), proposition 1, term by term."""
    batch, dim = angles.shape
    total = 0.0
    for i in range(dim):
        u = sorted((float(a) / TAU) % 1.0 for a in angles[:, i])
        squares, mean = sum(x * x for x in u) / batch, sum(u) / batch
        ranks = sum((batch + 1 - 2 * (s + 1)) * x for s, x in enumerate(u)) / batch**2
        total += 12 * (squares - mean**2 + ranks + 1 / 12)
    return total / dim


def product_moment(angles):
    """The mean over pairs of circles of 2 Σ (mean fg - mean f mean g)², f and g cosine and sine."""
    dim = angles.shape[1]
    total = 0.0
    for i, j in itertools.combinations(range(dim), 2):
        for f, g in itertools.product((math.cos, math.sin), repeat=2):
            a, b = [f(x) for x in angles[:, i]], [g(x) for x in angles[:, j]]
            product = sum(x * y for x, y in zip(a, b, strict=True)) / len(a)
            total += 2 * (product - sum(a) / len(a) * sum(b) / len(b)) ** 2
    return total / (dim * (dim - 1) / 2)


IMQ_SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def maximum_mean_discrepancy(x):
    """Tolstikhin et al. (2018), algorithm 2, with the prior's terms as integrals.

    C / (C + d²) = ∫ C exp(-(C + d²) t) dt, and the mean of exp(-t |a - b|²) over a normal a - b is closed. SciPy
    integrates over u = log t.
    """
    num, dim = x.shape
    widths = [2.0 * dim * scale for scale in IMQ_SCALES]

    def integral(variance, squared_distance):
        def integrand(u):
            t = math.exp(u)
            spread = 1 + 2 * variance * t
            mean = spread ** (-dim / 2) * math.exp(-t * squared_distance / spread)
            return mean * t * sum(c * math.exp(-c * t) for c in widths)

        pieces = [-40.0, -8.0, -4.0, -2.0, 0.0, 3.0, 8.0]
        return sum(
            scipy.integrate.quad(integrand, a, b, epsabs=1e-14, epsrel=1e-13, limit=200)[0]
            for a, b in itertools.pairwise(pieces)
        )

    within = 0.0
    for s in range(num):
        for u in range(num):
            if s != u:
                within += sum(c / (c + ((x[s] - x[u]) ** 2).sum()) for c in widths)
    cross = sum(integral(1.0, (row**2).sum()) for row in x)
    return within / max(1, num * (num - 1)) + integral(2.0, 0.0) - 2 * cross / num


def cramer_wold(x):
    """Knop et al. (2020): φ is Kummer's function of SciPy below dim 20, from there the paper's approximation."""
    num, dim = x.shape
    gamma = (4 / (3 * num)) ** 0.4

    def phi(s):
        return (1 + 4 * s / (2 * dim - 3)) ** -0.5 if dim >= 20 else scipy.special.hyp1f1(0.5, dim / 2, -s)

    within = sum(phi(((a - b) ** 2).sum() / (4 * gamma)) for a in x for b in x) / (num**2 * math.sqrt(gamma))
    cross = sum(phi((a**2).sum() / (2 + 4 * gamma)) for a in x) / num
    return (within + 1 / math.sqrt(1 + gamma) - 2 * math.sqrt(2) * cross / math.sqrt(1 + 2 * gamma)) / (
        2 * math.sqrt(math.pi)
    )


def sliced_wasserstein(x, directions):
    """Kolouri et al. (2018): sorted projections beside SciPy's quantiles of the normal distribution."""
    quantiles = scipy.stats.norm.ppf((np.arange(len(x)) + 0.5) / len(x))
    total = 0.0
    for direction in directions:
        unit = direction / math.sqrt(sum(direction**2))
        total += sum((a - b) ** 2 for a, b in zip(sorted(x @ unit), quantiles, strict=True))
    return total / (len(directions) * len(x))


def gaussian_distance(x):
    """Duda (2018): squared radii and half the squared distances of pairs beside SciPy's chi-square quantiles."""
    num, dim = x.shape

    def off(found):
        quantiles = scipy.stats.chi2(dim).ppf((np.arange(len(found)) + 0.5) / len(found))
        return ((np.sort(found) - quantiles) ** 2).mean()

    pairs = [((x[s] - x[u]) ** 2).sum() / 2 for s in range(num) for u in range(s)]
    return (off((x**2).sum(axis=1)) + off(np.array(pairs))) / (dim * (dim + 2))


def kl_divergence(posterior):
    """Kingma & Welling (2013), appendix B: of N(mean, exp(log variance)) from N(0, 1), over the batch."""
    num, size = posterior.shape
    total = 0.0
    for row in posterior:
        for mean, log_variance in zip(row[: size // 2], row[size // 2 :], strict=True):
            total += 0.5 * (mean**2 + math.exp(log_variance) - log_variance - 1)
    return total / num
