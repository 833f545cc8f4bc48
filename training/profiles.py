"""Figures of what methods do across a fault: error against distance, and one profile through the largest jump."""

import numpy as np

EDGES = np.concatenate([np.arange(0, 10, 1), np.arange(10, 42, 4)]).astype(float)
REACH = 40


class ByDistance:
    """Mean absolute error in bins of the distance to the trace, pixels."""

    def __init__(self):
        self.sums, self.counts = np.zeros(len(EDGES) - 1), np.zeros(len(EDGES) - 1)

    def add(self, found, truth, distance, use):
        ok = use & np.isfinite(found[:2]).all(0) & (distance < EDGES[-1])
        which = np.digitize(distance[ok], EDGES) - 1
        error = np.abs(found[:2] - truth).mean(0)[ok]
        self.sums += np.bincount(which, error, len(self.sums))
        self.counts += np.bincount(which, minlength=len(self.sums))

    def mean(self):
        return self.sums / np.where(self.counts > 50, self.counts, np.nan)


def nearest(planes, points):
    x, y = np.round(points).astype(int)
    h, w = planes.shape[-2:]
    inside = (x >= 0) & (x < w) & (y >= 0) & (y < h)
    return np.where(inside, planes[..., np.clip(y, 0, h - 1), np.clip(x, 0, w - 1)], np.nan)


class Profile:
    """The line across the trace where the truth jumps most, among all samples that are offered."""

    def __init__(self):
        self.jump = 0.0

    def offer(self, sample, found, use):
        """`found`: method -> displacement [2+, H, W]; kept when this sample's largest jump is the largest so far."""
        _, _, truth, distance, *_ = sample
        rows, columns = np.nonzero(use & (distance < 1.0))
        if not len(rows):
            return
        # The distance falls towards the trace from both sides; its slope beyond the ridge is the trace's normal.
        gy, gx = np.gradient(distance)
        best = None
        for y, x in list(zip(rows, columns))[:: max(len(rows) // 400, 1)]:
            n = np.array([gx[max(y - 3, 0) : y + 4, x].mean(), gy[y, max(x - 3, 0) : x + 4].mean()])
            for angle in np.linspace(0, np.pi, 12, endpoint=False) if np.hypot(*n) < 0.3 else [np.arctan2(n[1], n[0])]:
                u = np.array([np.cos(angle), np.sin(angle)])
                ends = np.array([[x, y], [x, y]]).T + np.outer(u, [-8.0, 8.0])
                away = nearest(distance, ends)
                line = np.array([[x, y]]).T + np.outer(u, np.arange(-REACH // 2, REACH // 2 + 1))
                if not ((away > 6).all() and (nearest(use.astype(float), line) == 1).all()):
                    continue
                d = nearest(truth, ends)
                jump = np.hypot(*(d[:, 1] - d[:, 0]))
                if np.isfinite(jump) and (best is None or jump > best[0]):
                    best = (jump, np.array([x, y], float), u, (d[:, 1] - d[:, 0]) / max(jump, 1e-9))
        if best is None or best[0] <= self.jump:
            return
        self.jump, centre, u, along = best
        self.at = np.arange(-REACH, REACH + 1.0)
        points = centre[:, None] + u[:, None] * self.at
        line = lambda d: along @ nearest(np.where(use, d[:2], np.nan), points)
        self.truth = line(truth)
        self.lines = {m: line(v.astype(np.float64)) for m, v in found.items()}


def draw(path, sets):
    """`sets`: name -> (method -> ByDistance, Profile)."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(sets), 2, figsize=(10, 3.2 * len(sets)), layout="constrained", squeeze=False)
    for (left, right), (name, (curves, profile)) in zip(axes, sets.items()):
        style = lambda m: dict(lw=2.2, color="black") if m.startswith("flk") else dict(lw=1.1)
        for method, curve in curves.items():
            if method != "zero":
                left.plot(0.5 * (EDGES[1:] + EDGES[:-1]), curve.mean(), label=method, **style(method))
        left.set(title=f"{name}: mean absolute error", xlabel="distance to the trace, px", ylabel="px", yscale="log")
        left.legend(fontsize=7)
        if profile.jump:
            right.plot(profile.at, profile.truth, color="tab:red", lw=3, alpha=0.4, label="truth")
            for method, line in profile.lines.items():
                right.plot(profile.at, line, **style(method))
            right.legend(fontsize=7)
        right.set(title=f"profile where the jump is largest, {profile.jump:.1f} px", xlabel="across the trace, px",
                  ylabel="displacement along the jump, px")
    figure.savefig(path, dpi=110)
