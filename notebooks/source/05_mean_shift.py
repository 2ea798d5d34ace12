# %% [markdown]
# # 05 · Mean shift
#
# k-means and mixtures ask how *many* segments there are. Who knows that of a photograph? Mean shift asks how *near* is
# near. Every pixel looks around, walks to where the pixels are densest, and pixels that arrive at the same top belong
# together. How many tops there are is part of the answer.
#
# **After this chapter you can**
#
# - move a point uphill on a density by hand, and say why a mean points uphill,
# - filter and segment a photograph in the joint domain of place and color, and choose both bandwidths,
# - tell whether mean shift has arrived, and foresee where one bandwidth cannot do.
#
# **Time** 75 minutes · **Before this** chapter 03: k-means; chapter 04 helps with one proof

# %%
from seglab import datasets, plot
from seglab.methods import MeanShift

coffee = datasets.photo("coffee", max_side=240)
result = MeanShift(spatial_bandwidth=10, range_bandwidth=15, min_size=100, max_iter=300).segment(coffee)
plot.show(coffee, result.state.picture, result, size=2.8,
          titles=["the photograph", "each pixel at its top", "those that met: segments"])

# %% [markdown]
# ## Set-up

# %%
import time
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.cluster import MeanShift as SklearnMeanShift

from seglab.exercises import check
from seglab.features import distinct_features, pixel_features
from seglab.methods import KMeans
from seglab.methods.mean_shift import MeanShiftState, estimate_bandwidth, fuse, log_density, mean_shift, moves
from seglab.metrics import probabilistic_rand_index, segmentation_covering, variation_of_information
from seglab.panels import Lines, Scatter
from seglab.widgets import compare, explore, step_through

# %% [markdown]
# ## The problem
#
# Three gray areas, and some noise. Your eye counts three at once. Nobody told it to look for three.

# %%
three = datasets.tiny("three")
rng = torch.Generator().manual_seed(10)
noisy = (three.image + 0.06 * torch.randn(three.image.shape, generator=rng)).clamp(0, 1)
gray = noisy[0].double().numpy()
x = gray.ravel()
plot.show(gray, three.instances, titles=["36 gray values", "what the eye says"]);

# %% [markdown]
# A histogram shows heaps of gray values. So: start in each bar, step to the higher neighbor as long as there is one,
# and call those that reach the same top a group.


# %%
def top_of_the_hill(counts, k):
    while True:
        beside = [i for i in (k - 1, k + 1) if 0 <= i < len(counts) and counts[i] > counts[k]]
        if not beside:
            return k
        k = max(beside, key=lambda i: counts[i])


with plot.style():
    figure, axes = plt.subplots(1, 3, figsize=(10, 2.8), sharey=True)
for ax, (first, width) in zip(axes, ((0.0, 0.1), (-0.05, 0.1), (0.0, 0.05)), strict=True):
    counts, edges = np.histogram(x, np.arange(first, 1.11, width))
    tops = {top_of_the_hill(counts, k) for k in np.flatnonzero(counts)}
    colors = ["#D55E00" if k in tops else "#BBBBBB" for k in range(len(counts))]
    ax.bar(edges[:-1], counts, width, align="edge", color=colors)
    ax.set(title=f"bars of {width} from {first}, tops: {len(tops)}", xlabel="gray", xlim=(0, 1.1))

# %% [markdown]
# The number of tops depends on how wide the bars are, and even on where the first one begins. That is no property of
# the picture. We want a hill without stairs, and a way up that needs no bars.

# %% [markdown]
# ## Use it
#
# Two lines, and no number of groups. A pixel looks at those within `spatial_bandwidth` pixels whose gray is within
# `range_bandwidth` of its own.

# %%
found = MeanShift(spatial_bandwidth=3, range_bandwidth=0.2, color_space="gray", min_size=1).segment(noisy)
plot.show_segmentation(found);

# %% [markdown]
# ## The idea
#
# ### A density without stairs
#
# Put a small bump on every value, and add the bumps up. The sum is a **kernel density estimate**:
#
# $$f(y) = \frac1N \sum_{i=1}^{N} k\!\left(\frac{\lVert y - x_i\rVert^2}{h^2}\right).$$
#
# | symbol | in the code | shape | meaning |
# |---|---|---|---|
# | $x_i$ | `points` | (N, D) | the pixels: gray values, colors, or places with colors; they never move |
# | $y$ | `y`, `ends` | (D,), (S, D) | points that climb; each starts at its pixel |
# | $h$ | `bandwidth` | | how far a point sees: the width of the bumps |
# | $h_s$, $h_r$ | `spatial_bandwidth`, `range_bandwidth` | | the same, for places and for colors |
# | $k(s)$ | | | the bump's profile, over the squared distance $s$ in bandwidths |
# | $w_i$ | `w` | (N,) | weights: $w_i = -k'(s_i)$ |
# | $m(y)$ | `shift` | (D,) | the mean-shift vector |
#
# (A constant that makes the area 1 is left out: it moves no top.) The width of the bumps is the one choice:

# %%
grays = np.linspace(-0.2, 1.2, 281)


def density(y, points, h):
    """A bump e^(-s/2) on each of the points, at y; both (…,) and in one dimension."""
    return np.exp(-((np.asarray(y)[..., None] - points) ** 2) / (2 * h**2)).mean(-1)


with plot.style():
    figure, axes = plt.subplots(1, 3, figsize=(10, 2.8))
for ax, h in zip(axes, (0.02, 0.08, 0.25), strict=True):
    f = density(grays, x, h)
    n_tops = ((f[1:-1] > f[:-2]) & (f[1:-1] > f[2:])).sum()
    ax.plot(grays, f, color="black")
    ax.plot(x, np.zeros_like(x), "|", color="#D55E00", markersize=12)
    ax.set(title=f"bandwidth {h}, tops: {n_tops}", xlabel="gray", xticks=[0, 0.5, 1], yticks=[])

# %% [markdown]
# **So the bandwidth takes the place of $K$.** It says how far apart two grays must be to count as different, a question
# about pixels that you can answer by looking; the number of groups follows.

# %% [markdown]
# ### Which way is up? Ask the mean
#
# Differentiate $f$. The chain rule gives each pixel the weight $w_i = -k'(s_i) \ge 0$ and the direction $x_i - y$:
#
# $$\nabla f(y) = \frac{2}{N h^2}\sum_i w_i\,(x_i - y)
# = \frac{2}{N h^2}\Big(\sum_i w_i\Big)
# \underbrace{\left(\frac{\sum_i w_i\,x_i}{\sum_i w_i} - y\right)}_{m(y)} .$$
#
# The bracket is the **mean-shift vector** $m(y)$: from where you are to the weighted mean of what you see. It points
# along the gradient, so *going to the mean is going uphill*. And since
# $m(y) \propto \nabla f(y) \,/ \sum_i w_i$, steps are long where few pixels are and short near a top. Nobody has to
# choose a step length.

# %% [markdown]
# ### A kernel and its shadow
#
# The weights are not the bumps; they are the bumps' slope. Cheng calls the kernel whose hill is climbed the **shadow**
# of the kernel that weighs.
#
# | weights $w$ in the mean (`kernel`) | bumps $k$ of the density that is climbed |
# |---|---|
# | flat: 1 for $s \le 1$, else 0 | Epanechnikov: $1 - s$ for $s \le 1$, else 0 |
# | Gaussian: $e^{-s/2}$ | Gaussian: $e^{-s/2}$ — its own shadow, since $-k' = \tfrac12 k$ |
#
# For the Gaussian, therefore, $m(y) = h^2\,\nabla f / f = h^2\,\nabla \log f(y)$: gradient ascent on the *logarithm* of
# the density.

# %%
s = np.linspace(-3, 3, 601)
with plot.style():
    figure, axes = plt.subplots(1, 2, figsize=(8, 2.8), sharey=True)
flat, epanechnikov, bell = (abs(s) <= 1).astype(float), np.clip(1 - s**2, 0, None), np.exp(-(s**2) / 2)
for ax, name, weight, shadow in ((axes[0], "flat", flat, epanechnikov), (axes[1], "gaussian", bell, bell)):
    ax.fill_between(s, shadow, color="#56B4E9", alpha=0.5, label="its shadow: bumps of the hill")
    ax.plot(s, weight, color="black", label="kernel: weights in the mean")
    ax.set(title=name, xlabel="distance in bandwidths", ylim=(0, 1.65), yticks=[0, 1])
    ax.legend(loc="upper center")

# %% [markdown]
# Check the claim with numbers: the slope of the Epanechnikov hill, taken by a small difference, against the mean of
# what the flat kernel sees.

# %%
h, y, step = 0.15, 0.62, 1e-6
low, high = (np.clip(1 - (at - x) ** 2 / h**2, 0, None).mean() for at in (y - step, y + step))
slope = (high - low) / (2 * step)
seen = abs(x - y) <= h
shift = x[seen].mean() - y
print(f"slope by differences {slope:.6f}, from the mean {2 / (len(x) * h**2) * seen.sum() * shift:.6f}")
assert np.isclose(slope, 2 / (len(x) * h**2) * seen.sum() * shift, atol=1e-6)

# %% [markdown]
# ### Why it never goes down: a bound that touches
#
# The direction is right; but a step may be too long. Not this one. The profile $e^{-s/2}$ is convex, so it lies above
# each of its tangents: $k(s') \ge k(s) + k'(s)\,(s' - s)$. Add that up over all pixels:
#
# $$f(y') \;\ge\; f(y) + \frac1{N h^2}\sum_i w_i\big(\lVert y - x_i\rVert^2 - \lVert y' - x_i\rVert^2\big).$$
#
# The right side is a parabola in $y'$. It touches the density at $y' = y$, is nowhere above it, and its top is
# where a weighted sum of squared distances is smallest: at the weighted **mean**. So each move jumps to the top of a
# parabola that the density carries on its back, and the density there is at least as high.
#
# You have met this in chapter 04: EM's lower bound that touches. (With the Gaussian kernel mean shift *is* an EM.)
# All it needs is a convex profile that falls; the flat kernel's shadow, Epanechnikov, is one too.

# %%
h, y = 0.16, 0.68
f = density(grays, x, h)
with plot.style():
    figure, ax = plt.subplots(figsize=(7, 3.2))
ax.plot(grays, f, color="black", label="density")
for k, color in enumerate(("#D55E00", "#0072B2", "#009E73")):
    w = np.exp(-((y - x) ** 2) / (2 * h**2))
    under = density(y, x, h) + (w * ((y - x) ** 2 - (grays[:, None] - x) ** 2)).mean(-1) / (2 * h**2)
    ax.plot(grays, under, "--", color=color, label=f"bound that touches at {y:.2f}")
    ax.plot(y, density(y, x, h), "o", color=color)
    assert (under <= f + 1e-12).all()
    y = (w * x).sum() / w.sum()
ax.set(ylim=(0, 1.15 * f.max()), xlabel="gray", yticks=[], title=f"Gaussian, bandwidth {h}: from bound to bound")
ax.legend(loc="upper left");

# %% [markdown]
# ## Build it
#
# **First rung: one point, a loop.** In one dimension, with the flat kernel: the mean of all that is near.


# %%
def one_move(y, points, h):
    near = [x for x in points if abs(x - y) <= h]
    return sum(near) / len(near)


def climb(y, points, h):
    way = [y]
    while True:
        way.append(one_move(way[-1], points, h))
        if abs(way[-1] - way[-2]) <= 1e-3 * h:
            return way


for start in (x[0], x[3], x[20]):
    print(" → ".join(f"{y:.3f}" for y in climb(start, x, 0.2)))

# %% [markdown]
# **Second rung: all points at once, in any number of dimensions.** A table (S, N) says who sees whom; one matrix
# product takes all the means.


# %%
def climb_all(points, h, max_iter=300):
    ends = points.copy()  # the pixels stay, their copies walk
    for _ in range(max_iter):
        near = (np.linalg.norm(ends[:, None] - points[None], axis=2) <= h).astype(float)  # (S, N)
        moved = near @ points / near.sum(1, keepdims=True)
        if np.linalg.norm(moved - ends, axis=1).max() <= 1e-3 * h:
            return moved
        ends = moved
    return ends


column = x[:, None]
ends = climb_all(column, 0.2)
assert np.allclose(ends[:, 0], [climb(y, x, 0.2)[-1] for y in x])
assert np.allclose(ends, mean_shift(column, 0.2).ends)
print("where they ended:", np.unique(ends.round(3)))

# %% [markdown]
# **Third rung: tops that are too near one another are one.** Ends need not coincide exactly. Take the end with most
# pixels around it; drop all others within a bandwidth of it; take the next.


# %%
def distinct_tops(ends, points, h):
    crowd = (np.linalg.norm(ends[:, None] - points[None], axis=2) <= h).sum(1)
    tops = []
    for k in np.argsort(-crowd, kind="stable"):
        if all(np.linalg.norm(ends[k] - top) > h for top in tops):
            tops.append(ends[k])
    return np.array(tops)


flag = datasets.tiny("flag").image
flag = (flag + 0.06 * torch.randn(flag.shape, generator=rng)).clamp(0, 1)
for name, points, h in (("36 grays", column, 0.2), ("24 colors", pixel_features(flag, "rgb").double().numpy(), 0.3)):
    tops = distinct_tops(climb_all(points, h), points, h)
    ours, theirs = mean_shift(points, h), SklearnMeanShift(bandwidth=h).fit(points)
    assert np.allclose(np.sort(tops, 0), np.sort(ours.modes, 0))
    assert np.allclose(ours.modes, theirs.cluster_centers_) and (ours.labels.numpy() == theirs.labels_).all()
    print(f"{name}: {len(tops)} tops by the loop; the same by seglab and by scikit-learn")

# %% [markdown]
# ### The joint domain
#
# Gray values alone forget where the pixels are (chapter 03, failure 4). Comaniciu and Meer give each pixel both: its
# **place** and its **color**, $x_i = (\text{row}, \text{column}, \text{color})$. Places and grays have no common unit,
# so each part has its own bandwidth, and a kernel of its own; the weights are multiplied:
#
# $$w_i = g\!\left(\frac{\lVert \text{place}_i - \text{place}_y\rVert^2}{h_s^2}\right)\cdot
# g\!\left(\frac{\lVert \text{color}_i - \text{color}_y\rVert^2}{h_r^2}\right),$$
#
# where $g$ is the flat or the Gaussian weight of the table above.
#
# **Fourth rung: one pixel in the joint domain.** With flat kernels: near in the picture *and* near in gray.


# %%
def joint_move(y, gray, h_s, h_r):
    row, col, level = y
    total, n = np.zeros(3), 0
    for r in range(gray.shape[0]):
        for c in range(gray.shape[1]):
            if (r - row) ** 2 + (c - col) ** 2 <= h_s**2 and abs(gray[r, c] - level) <= h_r:
                total += (r, c, gray[r, c])
                n += 1
    return total / n


method = MeanShift(spatial_bandwidth=3, range_bandwidth=0.2, color_space="gray", min_size=1)
joint = method.joint(noisy)
by_loop = np.array([joint_move(y, gray, 3, 0.2) for y in joint.start().double().numpy()])
assert np.allclose(by_loop, moves(joint, joint.start()), atol=joint.place_unit)
print(f"the pixel in the corner, gray {gray[0, 0]:.3f}, moves to row, column, gray", by_loop[0].round(3))

# %% [markdown]
# `seglab` rounds positions to a small part of the bandwidth. Then every sum is exact, and a GPU climbs to the same tops
# as a CPU, bit for bit; that is why the comparison allows a little.
#
# **Fifth rung: all pixels at once**, until nothing moves.


# %%
def joint_climb(gray, h_s, h_r):
    rows, cols = np.indices(gray.shape).reshape(2, -1)
    points = np.stack([rows, cols, gray.ravel()], axis=1)
    y = points.copy()
    while True:
        squared = (y[:, None] - points[None]) ** 2  # (N, N, 3)
        w = (squared[..., :2].sum(2) <= h_s**2) & (squared[..., 2] <= h_r**2)
        moved = w @ points / w.sum(1, keepdims=True)
        if abs(moved - y).max() < 1e-6:
            return moved
        y = moved


tops = joint_climb(gray, 3, 0.2)
assert np.allclose(tops, found.state.modes, atol=joint.place_unit)
plot.show(gray, tops[:, 2].reshape(gray.shape), titles=["before", "each pixel in the gray of its top"]);

# %% [markdown]
# ### Filter, then segment
#
# What you see on the right is **mean-shift filtering**: the noise is gone, and the edges are as sharp as before: a
# pixel across an edge is too far away in color to be seen. (The dark corner has two tops, a little apart. Its bright
# pixel is seen by some of its neighbors and not by others, and each is content with the mean of what it sees. That is
# a *plateau*: failure 3.)
#
# These are no segments yet. **Segmentation** takes three more steps (`fuse`):
#
# 1. neighbors whose tops have nearly the same color (less than 1 apart, where black to white is 100) form a region,
# 2. adjacent regions whose mean tops are less than $h_r/2$ apart are joined, again and again,
# 3. a region of fewer than `min_size` pixels is absorbed by the neighbor with the nearest top.

# %%
state = result.state
stages = [fuse(state.filtered, 1.0, h_r, min_size) for h_r, min_size in ((0.0, 0), (15.0, 0), (15.0, 100))]
assert torch.equal(stages[-1], result.labels)
names = ["1 · like neighbors", "2 · near tops joined", "3 · small ones absorbed"]
plot.show(state.picture, *stages, cols=4, size=2.4,
          titles=["filtered", *names], captions=["", *(f"{int(labels.max()) + 1} segments" for labels in stages)]);

# %% [markdown]
# ## Step through it
#
# ### Climbing a density
#
# The 36 gray values again, with a spatial bandwidth so large that places do not matter, and the Gaussian kernel. A
# state says itself what there is to show; here we give it another panel, the hill that it climbs.


# %%
class OnTheHill(MeanShiftState):
    """The same state; it shows the watched points on the density of grays."""

    def panels(self, image):
        def on_the_hill(grays):
            points = torch.stack([torch.full_like(grays, 2.5), torch.full_like(grays, 2.5), grays], dim=1)
            return torch.stack([grays, log_density(self.joint, points).exp() / len(self.modes)], dim=1)

        line, ways = torch.linspace(-0.1, 1.1, 600), torch.stack([way.colors[:, 0] for way in self.ways])  # (P, T)
        paths = [on_the_hill(way) for way in ways] if self.n_iter else []
        hill = Scatter(title="points on the density of grays", points=on_the_hill(line), paths=paths,
                       centers=on_the_hill(ways[:, -1]), axis_labels=("gray", "density"))
        watched = torch.stack([self.watched // image.shape[2], self.watched % image.shape[2]], dim=1)
        return [hill, Lines(title="", lines=(), points=watched)]


class GrayClimb(MeanShift):
    def init(self, image):
        return OnTheHill(**vars(super().init(image)))


# %% [markdown]
# **Predict first.** Six pixels are watched, the dots in the picture. One starts at the bottom of a valley: where on its
# way will its moves be longest? And on which hill will points take longest to arrive, the narrow one of the dark grays
# or the wide one of the bright ones?

# %%
climber = GrayClimb(kernel="gaussian", spatial_bandwidth=1000, range_bandwidth=0.08, color_space="gray", min_size=1,
                    tol=0.001, watch=[(1, 1), (2, 2), (0, 3), (2, 5), (3, 2), (4, 0)])
step_through(climber, noisy, show="edges", max_states=60)

# %% [markdown]
# <details><summary>The moves</summary>
#
# From the valley the first moves are short: the neighbors on both sides pull almost equally hard, the mean is close by,
# the gradient almost zero. The longest moves are on the slope, the last ones are short again.
#
# The wide hill takes longest. Near the top of a group with standard deviation $\sigma$, each move of the Gaussian
# leaves the share $\sigma^2/(\sigma^2+h^2)$ of the way: almost nothing where the group is narrow beside the bandwidth,
# almost all of it where the group is wide.
# </details>

# %%
for row, col in ((1, 1), (2, 2), (3, 2)):
    print(" → ".join(f"{value:.3f}" for value in climber.path(noisy, row, col).colors[:, 0].tolist()))

# %% [markdown]
# ### Climbing in a photograph
#
# In the joint domain a pixel walks in the picture *and* in color. The player shows both: the ways of some pixels over
# the picture, their ways in color space, and the filtered picture as it forms.
#
# **Predict first.** A pixel on the saucer near its rim: will it walk towards the rim, or away from it? One in the
# middle of an even area? Which of them will meet?
#
# <details><summary>Where they walk</summary>
#
# Away from the rim. What lies beyond it differs too much to be seen, so all that the pixel sees lies on its own side,
# and the mean with it. In the middle of an even area there is as much on each side: it stays. Those meet that see the
# same area: ways run together like brooks, and all pixels whose ways end in one place are a segment.
# </details>

# %%
cup = datasets.photo("coffee", max_side=150)
walker = MeanShift(kernel="gaussian", spatial_bandwidth=6, range_bandwidth=12, min_size=30, max_iter=300)
step_through(walker, cup, max_states=30)

# %% [markdown]
# ### Pick a pixel
#
# Change `row` and `col`, and run the cell again. The circles are what the pixel sees at first, in the picture and in
# color (there it is a ball, seen from one side). A pixel counts if it is inside both. Try the spoon, the rim of the
# cup, the wood.

# %%
row, col = 81, 76

walker = MeanShift(spatial_bandwidth=10, range_bandwidth=15, max_iter=300)
way, colors = walker.path(coffee, row, col), pixel_features(coffee, "luv")[:, [1, 0]]
with plot.style():
    figure, axes = plt.subplots(1, 3, figsize=(10, 3))
lines = Lines(title=f"the way of pixel ({row}, {col})", lines=[way.places], points=way.places[-1:])
plot.draw(lines, axes[0], image=coffee)
axes[0].add_patch(plt.Circle((col, row), walker.spatial_bandwidth, fill=False, color="white", linewidth=1.5))
axes[0].set(xlim=(max(col - 45, 0), min(col + 45, 239)), ylim=(min(row + 35, 159), max(row - 35, 0)))
cloud = Scatter(title="its way in color", points=colors, colors=coffee.flatten(1).T, axis_labels=("u", "L"))
plot.draw(cloud, axes[1])
axes[1].plot(way.colors[:, 1], way.colors[:, 0], "o-", color="#0072B2", markersize=4)
axes[1].add_patch(plt.Circle(way.colors[0, [1, 0]], walker.range_bandwidth, fill=False, linewidth=1.5))
axes[1].set(xlim=(way.colors[0, 1] - 40, way.colors[0, 1] + 40), ylim=(way.colors[0, 0] - 30, way.colors[0, 0] + 30))
to_go = (way.colors - way.colors[-1]).norm(dim=1) / 15, (way.places - way.places[-1]).norm(dim=1) / 10
plot.curves(range(len(way.places)), {"in color": to_go[0], "in the picture": to_go[1]}, ax=axes[2],
            x_label="moves", y_label="bandwidths still to go", title=f"{len(way.places) - 1} moves");

# %% [markdown]
# ## Has it arrived?
#
# Many programs stop after a few moves, by default, to save time; five is common. Where are the pixels then?
# We go on until the last one has stopped, and only then look back: how far was each still from its end?

# %%
method = MeanShift(spatial_bandwidth=10, range_bandwidth=15, min_size=1, max_iter=300)
states = list(method.steps(coffee))
scale = torch.tensor([10.0, 10.0, 15.0, 15.0, 15.0])
to_go = torch.stack([((s.modes - states[-1].modes) / scale).norm(dim=1) for s in states])  # (T, N), in bandwidths
print(f"{states[-1].status} after {states[-1].n_iter} moves\n")
print("moves   pixels farther than 1/10 bandwidth from their end   the farthest")
for i in (0, 1, 5, 10, 20, 50, 100):
    print(f"{i:5} {(to_go[i] > 0.1).float().mean():51.1%} {to_go[i].max():14.1f}")

# %%
some = list(range(0, len(states), 3))
with plot.style():
    figure, axes = plt.subplots(1, 2, figsize=(9, 3))
far = {"mean": to_go[some].mean(1), "the farthest 1%": to_go[some].quantile(0.99, dim=1)}
plot.curves(some, far, ax=axes[0], x_label="moves", y_label="bandwidths still to go", marks={"five moves": 5})
counts = [int(states[i].labels.max()) + 1 for i in some]
plot.curves(some, {"segments, min_size = 1": counts}, ax=axes[1], x_label="moves", marks={"five moves": 5});

# %% [markdown]
# After five moves many pixels still have a good way to go, and the slowest have hardly set out. The filtered picture
# already *looks* smooth, which is why the mistake survives. But segments are made of where pixels *met*, and these have
# not met yet.

# %%
early, late = states[5], states[-1]
zoom = (slice(None), slice(20, 90), slice(60, 160))
plot.show(coffee[zoom], early.picture[zoom], late.picture[zoom], cols=3, size=3,
          titles=["a detail", "after 5 moves", f"after {late.n_iter}, all arrived"]);

# %% [markdown]
# `MeanShift` stops a point after a move of at most `tol` bandwidths, and says in `status` whether all have stopped.
# A short move is not a short way: a point that crawls along a ridge moves little, and far in the end. That is why `tol`
# is small.

# %% [markdown]
# ## The parameters
#
# **`range_bandwidth`**, $h_r$: how different two colors must be to count as different. The one that matters most. In
# CIELUV, the default, black to white is 100.
#
# **Predict first.** With a small $h_r$, which will fall into most pieces: the cup, the saucer or the wood?

# %%
base = MeanShift(spatial_bandwidth=10, range_bandwidth=15, min_size=50, max_iter=300)
plot.sweep(base, coffee, "range_bandwidth", [5.0, 10.0, 15.0, 25.0], size=2.4);

# %% [markdown]
# **`spatial_bandwidth`**, $h_s$, in pixels: how far a pixel sees. Small windows find many local tops; large ones reach
# over small things, and cost time.

# %%
plot.sweep(base, coffee, "spatial_bandwidth", [3.0, 10.0, 30.0], size=3.2);

# %% [markdown]
# **`min_size`**, $M$: the last step only. It changes no top.

# %%
plot.sweep(base, coffee, "min_size", [1, 20, 100, 500], size=2.4);

# %% [markdown]
# **`kernel`.** A Gaussian sees three bandwidths far, but what is far counts little. Its hill is smooth: fewer tops, and
# more steps to climb. With *half* the bandwidths it looks about as widely as the flat one.

# %%
kernels = [walker, replace(walker, kernel="gaussian"),
           replace(walker, kernel="gaussian", spatial_bandwidth=5, range_bandwidth=7.5)]
outcomes = [method.segment(cup) for method in kernels]
titles = [f"{m.kernel}\n$h_s$ = {m.spatial_bandwidth:g}, $h_r$ = {m.range_bandwidth:g}" for m in kernels]
plot.show(*outcomes, titles=titles, size=3.1)
for outcome in outcomes:
    print(f"{outcome.method.kernel:9} {outcome.n_segments:3} segments, {outcome.state.n_iter} moves, {outcome.status}")

# %% [markdown]
# One honest footnote. The proof above is for *one* kernel of one distance. The Gaussian of place times the Gaussian of
# color is one Gaussian of both, so it holds. The product of two *flat* kernels is not the slope of any density; it
# works as well in practice, but promises nothing. That is why `objective` is there for the Gaussian only:

# %%
patch = datasets.photo("coffee", max_side=60)
climbing = list(MeanShift(kernel="gaussian", spatial_bandwidth=4, range_bandwidth=8).steps(patch))
heights = [float(state.objective) for state in climbing]
assert all(b >= a - 1e-6 for a, b in zip(heights[:-1], heights[1:], strict=True))
plot.curves(range(len(heights)), {"mean log density": heights}, x_label="moves", title="mean log density: never falls");

# %% [markdown]
# Move them all. The lines are the ways of some pixels, from where they start to the dot where they end. With the
# Gaussian, which sees far, they are long and run together; with the flat kernel they are short.

# %%
explore(base, {"coffee": coffee, "flower": datasets.photo("flower", max_side=240)})

# %% [markdown]
# ## Choosing the bandwidth
#
# No $K$, but a bandwidth: have we gained anything? Plot the number of tops over the bandwidth. A number that belongs to
# the data, and not to the bandwidth, shows as a long level stretch: many bandwidths agree on it.

# %%
bandwidths = np.linspace(0.02, 0.6, 59)
n_tops = {kernel: [len(mean_shift(column, h, kernel, tol=1e-4, max_iter=3000).modes) for h in bandwidths]
          for kernel in ("flat", "gaussian")}
guesses = {f"estimate, quantile {q}": estimate_bandwidth(column, q) for q in (0.1, 0.2, 0.3)}
plot.curves(bandwidths, n_tops, marks=guesses, x_label="bandwidth", y_label="tops", title="36 gray values");

# %% [markdown]
# Three has a level stretch, but so has two: seen from farther away, two of the three grays are one. Both are right
# answers, to different questions.
#
# `estimate_bandwidth` makes a guess, the same as scikit-learn's: the mean distance of a point to its $qN$-th nearest,
# where the share $q$ is the `quantile`. It knows nothing of your question, however:
#
# **Predict first.** Ten groups of gray values, equally large and well apart. The usual quantile is 0.3. How many groups
# will be found with it? Which quantiles can work?

# %%
rng = np.random.default_rng(0)
ten = rng.normal(np.repeat(np.arange(10) / 10, 30), 0.015)[:, None]
print("quantile  bandwidth  tops")
for q in (0.01, 0.03, 0.05, 0.08, 0.1, 0.15, 0.3, 0.5):
    h = estimate_bandwidth(ten, q)
    print(f"{q:8.2f} {h:10.3f} {len(mean_shift(ten, h).modes):5}")

# %% [markdown]
# <details><summary>Why</summary>
#
# With too small a share the bandwidth is the spacing between neighbors: tops everywhere. With a share larger than a
# group, that neighbor lies in the next group, and the bandwidth bridges the gap. The right quantile depends on how
# large the groups are, which is what you wanted to find out.
# </details>
#
# And on a photograph, whose colors form one long cloud, the curve falls without a rest until two tops are left, light
# and dark. Nothing in it says "the six things on the table":

# %%
counted = distinct_features(datasets.photo("coffee", max_side=48), "luv")
hs = np.geomspace(4, 60, 12)
n_tops = [len(mean_shift(counted.values, float(h), weights=counted.counts).modes) for h in hs]
guess = {"estimate, quantile 0.3": estimate_bandwidth(counted.values, 0.3)}
ax = plot.curves(hs, {"tops": n_tops}, marks=guess, x_label="bandwidth in CIELUV", title="tops of the coffee's colors")
ax.set(yscale="log", yticks=[1, 3, 10, 30, 100], yticklabels=[1, 3, 10, 30, 100]);

# %% [markdown]
# So choose a bandwidth as you would choose a sieve: by the differences that should count. The place in the joint domain
# helps, since a pixel compares itself with its surroundings only.

# %% [markdown]
# ## A real photograph
#
# Two photographs with outlines drawn by hand. k-means is told a number of clusters; mean shift is told none.

# %%
choices = [KMeans(n_clusters=2), KMeans(n_clusters=4), MeanShift()]
choices += [MeanShift(spatial_bandwidth=10, range_bandwidth=15, min_size=100),
            MeanShift(spatial_bandwidth=12, range_bandwidth=20, min_size=200)]
for name in ("flower", "coffee"):
    picture, truth = datasets.photo(name, max_side=240), datasets.photo_truth(name, max_side=240).labels
    print(f"{name:72} segments   SC   PRI    VI")
    for method in choices:
        outcome = method.segment(picture)
        scores = [measure(truth, outcome.labels) for measure in
                  (segmentation_covering, probabilistic_rand_index, variation_of_information)]
        print(f"  {method.code():70} {outcome.n_segments:8}  {scores[0]:.2f}  {scores[1]:.2f}  {scores[2]:.2f}")

# %% [markdown]
# Higher is better for SC and PRI, lower for VI. With its defaults, mean shift makes far more segments than there are
# things: an **over-segmentation**, good as a first stage for a method that merges (chapters 06 to 08). With larger
# bandwidths it finds the flower without being told that there are two things. On the coffee, where k-means cuts the
# wood into specks, its segments hang together.

# %%
truths = {name: datasets.photo_truth(name, max_side=240).labels for name in ("flower", "coffee")}
pictures = {name: datasets.photo(name, max_side=240) for name in truths}
compare([KMeans(n_clusters=4), MeanShift(), choices[-1]], pictures, truths)

# %% [markdown]
# **Beside scikit-learn.** Its `MeanShift` takes points in any space. Divide places and colors by their bandwidths, and
# the joint domain is such a space. (A pixel then sees a *ball* of place and color together, not the product of two
# disks, so this is the plain form, `seglab.methods.mean_shift.mean_shift`.)

# %%
little = datasets.photo("coffee", max_side=36)
method = MeanShift(spatial_bandwidth=5, range_bandwidth=12, min_size=1)
five = method.joint(little).start().double() / torch.tensor([5, 5, 12, 12, 12])
begin = time.perf_counter()
theirs = SklearnMeanShift(bandwidth=1.0).fit(five.numpy())
between = time.perf_counter()
ours = mean_shift(five, 1.0)
end = time.perf_counter()
assert np.allclose(ours.modes, theirs.cluster_centers_)
print(f"{len(five)} pixels: {len(ours.modes)} tops; equal labels: {(ours.labels.numpy() == theirs.labels_).mean():.2%}")
print(f"scikit-learn {between - begin:.2f} s, seglab's plain form {end - between:.2f} s")
begin = time.perf_counter()
method.segment(little)
print(f"the joint domain on the picture's grid {time.perf_counter() - begin:.3f} s")

# %% [markdown]
# On the grid a pixel finds its neighbors without searching. That is what makes whole photographs possible.

# %% [markdown]
# ## Where it breaks
#
# **1 · One bandwidth for two scales.** On the left a faint disk on smooth paper, on the right a strong one on rough
# paper. To see the left one $h_r$ must be small; to overlook the roughness on the right it must be large.

# %%
rows, cols = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
disk = ((rows - 32) ** 2 + (cols - 32) ** 2 < 18**2).float()
g = torch.Generator().manual_seed(0)
halves = [level + contrast * disk + noise * torch.randn(64, 64, generator=g)
          for level, contrast, noise in ((0.5, 0.06, 0.01), (0.3, 0.4, 0.1))]
scene = torch.cat(halves, dim=1)[None].clamp(0, 1)
fine, coarse = (MeanShift(range_bandwidth=h_r).segment(scene) for h_r in (3.0, 16.0))
plot.show(scene, fine, coarse, size=3.3, titles=["faint and rough", "range_bandwidth = 3", "range_bandwidth = 16"]);

# %%
h_rs = [2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 40]
scores = {"faint disk": [], "rough disk": []}
for h_r in h_rs:
    labels = MeanShift(range_bandwidth=h_r).segment(scene).labels
    for name, half in zip(scores, (slice(0, 64), slice(64, 128)), strict=True):
        scores[name].append(segmentation_covering(disk.long(), labels[:, half]))
plot.curves(h_rs, scores, x_label="range_bandwidth", y_label="SC", title="no bandwidth does for both");

# %% [markdown]
# *Cure:* a bandwidth for each pixel, from its surroundings; or a method whose threshold adapts to what a segment is
# like inside (chapter 08).
#
# **2 · Slopes.** Light that fades has no top. In the middle of an even slope a pixel sees as much brighter as darker:
# the mean is where it stands, and nothing moves.

# %%
ramps = [(torch.arange(n) * rise).expand(1, high, -1).contiguous()
         for n, high, rise in ((96, 38, 0.005), (96, 38, 0.01), (25, 10, 0.04))]
ended = [MeanShift().segment(ramp) for ramp in ramps]
for ramp, outcome in zip(ramps, ended, strict=True):
    grays_of = [ramp[0][outcome.labels == k] for k in range(outcome.n_segments)]
    widest = max((values.max() - values.min()).item() for values in grays_of)
    print(f"rise {ramp[0, 0, 1]:.3f} a pixel, segments: {outcome.n_segments}, grays in one of them: {widest:.2f} apart")
plot.show(ramps[0], ended[0].labels, ramps[-1], ended[-1].labels, cols=4, size=2.4,
          titles=["a gentle slope", "its segment", "a steep slope", "its segments"]);

# %% [markdown]
# A gentle slope: each pixel's top is within 1 of its neighbor's, step 1 of `fuse` links them all, and dark ends up
# with bright in one segment, by a *chain*. A steep slope: bands, whose borders mean nothing. For a sky the chain is
# welcome; where an object fades into what is behind it, it is a leak:

# %%
rocket = datasets.photo("rocket", max_side=240)
outcome = MeanShift(min_size=50).segment(rocket)
plot.show(rocket, outcome.state.picture, outcome, size=3.2,
          titles=["a sky at dusk", "filtered: still a slope", "the sky in one, by a chain"]);

# %% [markdown]
# **3 · Plateaus of the flat kernel.** Points spread evenly have no top: what a point sees is centered on the point. The
# flat kernel stops at once, all over the plateau, wherever what it sees is in balance. A Gaussian notices the ends from
# farther away, and creeps towards the middle.

# %%
even = np.linspace(0, 1, 101)[:, None]
with plot.style():
    figure, axes = plt.subplots(1, 2, figsize=(9, 2.8), sharey=True)
for ax, kernel in zip(axes, ("flat", "gaussian"), strict=True):
    plateau = mean_shift(even, 0.2, kernel, max_iter=20_000, tol=1e-6)
    ax.plot(even, plateau.ends, ".", color="#0072B2", label="a point")
    ax.hlines(plateau.modes, 0, 1, color="#D55E00", label="tops that are kept")
    ax.set(title=f"{kernel}, tops: {len(plateau.modes)}, moves: {plateau.n_iter}", xlabel="start", ylabel="end")
    ax.legend(loc="lower right")

# %% [markdown]
# Left, almost every point in the middle is a top of its own. That just a few are kept says nothing of the data: tops
# nearer than a bandwidth are taken for one, so those that are kept stand a bandwidth apart.
#
# **4 · Time.** Each move looks at a whole window, whose pixels grow with the square of the bandwidth. The Gaussian
# looks three times as far, takes an exponential of each pixel, and needs more moves.

# %%
print("               pixels in the window   seconds for one move of all points")
for kernel, reach, widths in (("flat", 1, (8, 16, 32, 64)), ("gaussian", 3, (4, 8, 16))):
    for h_s in widths:
        method = MeanShift(spatial_bandwidth=h_s, range_bandwidth=15, kernel=kernel)
        state, begin = method.init(coffee), time.perf_counter()
        for _ in range(2):
            state = method.step(coffee, state)
        seconds = (time.perf_counter() - begin) / 2
        print(f"{kernel:9} h_s {h_s:2} {np.pi * (reach * h_s) ** 2:19.0f} {seconds:36.3f}")

# %% [markdown]
# (That the time grows more slowly than the window is the compiled loop's merit: it compares many pixels at once.)
#
# *Cures:* compiled loops, remembering moves that were made before (the flat kernel's `segment` does both), a GPU,
# stopping points that have arrived. Or fewer points: climb from superpixels (chapter 06) instead of from pixels.

# %% [markdown]
# ## Summary
#
# - Mean shift moves each point to the mean of what it sees. That is uphill on a kernel density estimate, whose bumps
#   are the shadow of the kernel; with a convex profile no step goes down.
# - No $K$. A bandwidth says which differences count; the number of tops follows.
# - In the joint domain each pixel has a place and a color, each with its bandwidth. *Filtering* gives it the color of
#   its top; *segmentation* fuses what has met, and absorbs what is small.
# - Let it arrive. Five moves smooth a picture; they do not find its tops.
# - It breaks where one bandwidth must serve two scales, on slopes, on plateaus, and it costs time with large windows.

# %% [markdown]
# ## Exercises
#
# **05.1 By hand.** The values 0, 2, 3 and 4; flat kernel, bandwidth 2.5. A point starts at 0. Write down its whole way:
# where it starts, and where it is after each move, until it stays.


# %% tags=["exercise"]
def way_by_hand():
    """A list of numbers, 0 first; the last is where it stays (once)."""
    ### BEGIN SOLUTION
    # sees {0, 2}; from 1 {0, 2, 3}; from 5/3 all four (4 is 7/3 away); from 9/4 all four again
    return [0, 1, 5 / 3, 9 / 4]
    ### END SOLUTION


# %% tags=["wrong"]
def way_by_hand():
    return [0, 1, 5 / 3]


# %% tags=["wrong"]
def way_by_hand():
    return [0, 2.5, 3]


# %% tags=["check"]
with check("05.1 by hand"):
    steps_by_hand = way_by_hand()
    assert steps_by_hand[0] == 0, "it starts at 0"
    assert np.isclose(steps_by_hand[1], 1), "from 0 it sees 0 (itself counts) and 2"
    assert np.isclose(steps_by_hand[2], 5 / 3), "from 1 it sees 0, 2 and 3"
    assert len(steps_by_hand) > 3, "from 5/3 the value 4 is 7/3 away, and 7/3 < 2.5: it goes on"
    assert np.allclose(steps_by_hand, [0, 1, 5 / 3, 9 / 4]), "the mean of all four is 9/4, and there it stays"

# %% [markdown]
# **05.2 The Gaussian's mean-shift vector**, where points may occur several times.


# %% tags=["exercise"]
def gaussian_shift(y, points, counts, h):
    """m(y), (D,), at y (D,) for points (N, D) that occur counts (N,) times; weights e^(-d²/2h²)."""
    ### BEGIN SOLUTION
    w = counts * np.exp(-((points - y) ** 2).sum(1) / (2 * h**2))
    return w @ points / w.sum() - y
    ### END SOLUTION


# %% tags=["wrong"]
def gaussian_shift(y, points, counts, h):
    w = counts * np.exp(-((points - y) ** 2).sum(1) / (2 * h**2))
    return w @ points / w.sum()


# %% tags=["wrong"]
def gaussian_shift(y, points, counts, h):
    w = np.exp(-((points - y) ** 2).sum(1) / (2 * h**2))
    return w @ points / w.sum() - y


# %% tags=["wrong"]
def gaussian_shift(y, points, counts, h):
    w = counts * np.exp(-np.linalg.norm(points - y, axis=1) / h)
    return w @ points / w.sum() - y


# %% tags=["check"]
with check("05.2 the Gaussian's mean-shift vector"):
    pair = np.array([[0.0], [1.0]])
    near_one = np.exp(-0.5) / (1 + np.exp(-0.5))
    assert np.isclose(gaussian_shift(np.zeros(1), pair, np.array([1, 1]), 1.0)[0], near_one), "weights 1 and e^(-1/2)"
    assert gaussian_shift(np.array([0.5]), pair, np.array([1, 3]), 1.0)[0] > 0.2, "three on the right pull harder"
    random = np.random.default_rng(0)
    cloud, times = random.normal(size=(50, 3)), random.integers(1, 4, 50)
    at, both = np.array([0.3, -0.2, 0.1]), np.array([1e-5, -1e-5])
    beside = at + both[:, None, None] * np.eye(3)  # (2, 3, 3): a little along each axis, forth and back
    bumps = np.exp(-((cloud - beside[:, :, None]) ** 2).sum(-1) / (2 * 0.8**2))
    slope = np.diff(np.log(bumps @ times)[::-1], axis=0)[0] / 2e-5
    assert np.allclose(gaussian_shift(at, cloud, times, 0.8), 0.8**2 * slope, atol=1e-6), "it should be h² ∇ log f"

# %% [markdown]
# **05.3 The shadow.** Somebody weighs with the Epanechnikov kernel itself: $w = 1 - s$ for $s \le 1$, else 0. Which
# density does that climb? Give the profile $k(s)$ of its bumps, with $k = 0$ for $s \ge 1$.


# %% tags=["exercise"]
def shadow_of_epanechnikov(s):
    """k(s) for an array s ≥ 0 with -k'(s) = 1 - s up to s = 1; continuous, and 0 beyond."""
    ### BEGIN SOLUTION
    return np.where(s < 1, (1 - s) ** 2 / 2, 0.0)
    ### END SOLUTION


# %% tags=["wrong"]
def shadow_of_epanechnikov(s):
    return np.where(s < 1, 1 - s, 0.0)


# %% tags=["wrong"]
def shadow_of_epanechnikov(s):
    return np.where(s < 1, s - s**2 / 2, 0.0)


# %% tags=["check"]
with check("05.3 the shadow"):
    at = np.linspace(0.01, 1.5, 60)
    rise = -(shadow_of_epanechnikov(at + 1e-6) - shadow_of_epanechnikov(at - 1e-6)) / 2e-6
    assert np.isclose(shadow_of_epanechnikov(np.array([1.0, 1.4])), 0).all(), "it is 0 from s = 1 on"
    assert abs(shadow_of_epanechnikov(np.array([1 - 1e-9]))[0]) < 1e-6, "it has a jump at s = 1: choose the constant"
    assert np.allclose(rise, np.clip(1 - at, 0, None), atol=1e-4), "its slope is not -(1 - s): integrate once"

# %% [markdown]
# **05.4 What a point sees.** In the joint domain, for a point anywhere (not only on a pixel).


# %% tags=["exercise"]
def seen_by(place, color, image, h_s, h_r):
    """(H, W) bool: what a point at place (row, column) with a color (C,) sees in an image (C, H, W); flat kernels."""
    ### BEGIN SOLUTION
    rows, cols = np.indices(image.shape[1:])
    near = (rows - place[0]) ** 2 + (cols - place[1]) ** 2 <= h_s**2
    return near & (((image - np.reshape(color, (-1, 1, 1))) ** 2).sum(0) <= h_r**2)
    ### END SOLUTION


# %% tags=["wrong"]
def seen_by(place, color, image, h_s, h_r):
    rows, cols = np.indices(image.shape[1:])
    near = (rows - place[0]) ** 2 + (cols - place[1]) ** 2 <= h_s**2
    return near & (abs(image - np.reshape(color, (-1, 1, 1))) <= h_r).all(0)


# %% tags=["wrong"]
def seen_by(place, color, image, h_s, h_r):
    rows, cols = np.indices(image.shape[1:])
    near = (rows - place[0]) ** 2 / h_s**2 + (cols - place[1]) ** 2 / h_s**2
    return near + ((image - np.reshape(color, (-1, 1, 1))) ** 2).sum(0) / h_r**2 <= 1


# %% tags=["check"]
with check("05.4 what a point sees"):
    colorful = MeanShift(spatial_bandwidth=6, range_bandwidth=14).joint(datasets.photo("coffee", max_side=40))
    planes = colorful.colors.double().numpy() * colorful.color_unit
    pixels_seen = seen_by((9.0, 12.0), planes[:, 9, 12], planes, 6, 14)
    assert pixels_seen.shape == planes.shape[1:] and pixels_seen.dtype == bool, "a bool for each pixel"
    assert pixels_seen[9, 12], "a pixel sees itself"
    exact = np.array([[[0.0, 0.0, 0.0, 5.0]], [[0.0, 3.0, 3.0, 0.0]], [[0.0, 3.0, 4.0, 0.0]]])
    answer = seen_by((0, 0), [0, 0, 0], exact, 3, 4.5).tolist()
    assert answer == [[True, True, False, False]], "color distances are Euclidean: (0, 3, 4) is 5 away from (0, 0, 0)"
    assert seen_by((0, 0), [0, 0, 0], exact, 3, 5).all(), "place and color each have a limit of their own, rim included"
    mean_row = np.nonzero(pixels_seen)[0].mean()
    theirs_row = moves(colorful, colorful.start()[9 * planes.shape[2] + 12][None])[0, 0].item()
    assert abs(mean_row - theirs_row) < 0.02, f"its mean row is {mean_row:.2f}; seglab moves to {theirs_row:.2f}"

# %% [markdown]
# **05.5 $K$ after all.** Choose a bandwidth by stability: among the given ones (ascending), find the longest run with
# the same number of tops, leaving out a single top for everything. Return that number. (`mean_shift(points, h).modes`)


# %% tags=["exercise"]
def stable_number(points, bandwidths):
    """The number of tops (above 1) that most bandwidths in a row agree on."""
    ### BEGIN SOLUTION
    best, longest, run, before = None, 0, 0, None
    for h in bandwidths:
        number = len(mean_shift(points, h).modes)
        run = run + 1 if number == before else 1
        before = number
        if number > 1 and run > longest:
            best, longest = number, run
    return best
    ### END SOLUTION


# %% tags=["wrong"]
def stable_number(points, bandwidths):
    return len(mean_shift(points, bandwidths[len(bandwidths) // 2]).modes)


# %% tags=["wrong"]
def stable_number(points, bandwidths):
    numbers = [len(mean_shift(points, h).modes) for h in bandwidths]
    return max(set(numbers), key=numbers.count)


# %% tags=["check"]
with check("05.5 K after all"):
    for n_groups in (2, 3, 5):
        groups = np.random.default_rng(n_groups).normal(np.repeat(np.arange(n_groups), 20), 0.08)[:, None]
        answer = stable_number(groups, np.geomspace(0.02, 5 * n_groups, 40))
        assert answer == n_groups, f"{n_groups} groups, well apart; yours says {answer}"

# %% [markdown]
# **05.6 Has it arrived?** From all states of a run, find the first move after which at least 99% of the pixels are
# within a tenth of a bandwidth of their end. (`state.modes` is (N, 2 + D): row, column, color.)


# %% tags=["exercise"]
def arrived_after(states, h_s, h_r):
    """The n_iter of the first such state; distances count both place / h_s and color / h_r."""
    ### BEGIN SOLUTION
    last = states[-1].modes
    for state in states:
        away = state.modes - last
        squared = (away[:, :2] / h_s).square().sum(1) + (away[:, 2:] / h_r).square().sum(1)
        if (squared <= 0.1**2).double().mean() >= 0.99:
            return state.n_iter
    ### END SOLUTION


# %% tags=["wrong"]
def arrived_after(states, h_s, h_r):
    for before, state in zip(states[:-1], states[1:], strict=True):
        away = state.modes - before.modes
        squared = (away[:, :2] / h_s).square().sum(1) + (away[:, 2:] / h_r).square().sum(1)
        if (squared <= 0.1**2).double().mean() >= 0.99:
            return state.n_iter


# %% tags=["wrong"]
def arrived_after(states, h_s, h_r):
    for state in states:
        if ((state.modes - states[-1].modes).norm(dim=1) <= 0.1).double().mean() >= 0.99:
            return state.n_iter


# %% tags=["check"] points=2
with check("05.6 has it arrived"):
    method = MeanShift(spatial_bandwidth=8, range_bandwidth=12, max_iter=300)
    whole_run = list(method.steps(datasets.photo("coffee", max_side=80)))
    end_modes, answer = whole_run[-1].modes, arrived_after(whole_run, 8, 12)
    assert answer is not None, "the last state is at its own end, so there is always an answer"
    unit = torch.tensor([8.0, 8.0, 12.0, 12.0, 12.0])
    share = [(((s.modes - end_modes) / unit).norm(dim=1) <= 0.1).double().mean().item() for s in whole_run]
    assert share[answer] >= 0.99, f"after {answer} moves only {share[answer]:.1%} are there; short move, long way"
    assert answer == 0 or share[answer - 1] < 0.99, f"{share[answer - 1]:.1%} were there one move earlier"

# %% [markdown]
# ## References
#
# - K. Fukunaga, L. D. Hostetler (1975). *The estimation of the gradient of a density function, with applications in
#   pattern recognition.* IEEE Transactions on Information Theory 21(1).
#   [doi:10.1109/TIT.1975.1055330](https://doi.org/10.1109/TIT.1975.1055330)
# - Y. Cheng (1995). *Mean shift, mode seeking, and clustering.* IEEE Transactions on Pattern Analysis and Machine
#   Intelligence 17(8), for the shadow. [doi:10.1109/34.400568](https://doi.org/10.1109/34.400568)
# - D. Comaniciu, P. Meer (2002). *Mean shift: a robust approach toward feature space analysis.* IEEE Transactions on
#   Pattern Analysis and Machine Intelligence 24(5), for the joint domain.
#   [doi:10.1109/34.1000236](https://doi.org/10.1109/34.1000236)
# - M. Á. Carreira-Perpiñán (2007). *Gaussian mean-shift is an EM algorithm.* IEEE Transactions on Pattern Analysis and
#   Machine Intelligence 29(5). [doi:10.1109/TPAMI.2007.1057](https://doi.org/10.1109/TPAMI.2007.1057)
