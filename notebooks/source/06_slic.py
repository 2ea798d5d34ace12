# %% [markdown]
# # 06 · SLIC and superpixels
#
# A photograph of a cup has two hundred thousand pixels, and no method that compares all pairs of things can start with
# so many. Cut it into a few hundred small, even, compact pieces first, **superpixels**, each within one object: then it
# can. SLIC makes them by k-means that looks only at what is near.
#
# **After this chapter you can**
#
# - make superpixels of k-means in three changes: add the place, look only nearby, mend what fell apart,
# - say what the number of superpixels and their compactness do, and choose both,
# - compare methods fairly, and use superpixels to make another method cheap.
#
# **Time** 60 minutes · **Before this** chapters 01 and 03

# %%
from seglab import datasets, plot
from seglab.labels import overlay
from seglab.methods import SLIC

coffee = datasets.photo("coffee", max_side=300)
yellow = (1.0, 0.9, 0.0)
shown = [overlay(SLIC(n_segments=n).segment(coffee).labels, coffee, alpha=0, boundary=yellow) for n in (50, 200, 800)]
plot.show(*shown, titles=[f"SLIC, n_segments = {n}" for n in (50, 200, 800)], size=3.2)

# %% [markdown]
# ## Set-up

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
import torch

from seglab import metrics
from seglab.exercises import check
from seglab.image import to_color_space
from seglab.labels import (
    PALETTE,
    absorb_small,
    adjacency,
    connected_components,
    count_labels,
    majority_vote,
    mean_color,
    segment_means,
    segment_sizes,
)
from seglab.methods import Felzenszwalb, KMeans, MeanShift, Thresholding
from seglab.widgets import compare, explore, step_through

# %% [markdown]
# ## The problem
#
# Cut these 8×8 pixels into **four** pieces of about the same size, none of which holds both colors.
#
# > **Predict first.** Will four squares do? Will k-means with four clusters?

# %%
edge = torch.tensor([6, 5, 5, 4, 4, 3, 3, 2])  # where the bright side begins, row by row
rng = torch.Generator().manual_seed(2)
tiny = torch.where(torch.arange(8) < edge[:, None], 0.25, 0.75) + 0.03 * torch.randn(8, 8, generator=rng)
tiny = tiny.clamp(0, 1).expand(3, 8, 8)
blocks = torch.arange(8)[:, None] // 4 * 2 + torch.arange(8) // 4
clusters = KMeans(n_clusters=4).segment(tiny)
wanted = SLIC(n_segments=4).segment(tiny)
plot.show(tiny, blocks, clusters.labels, wanted.labels, cols=4, size=2.4, annotate=False,
          titles=["8×8 pixels", "four squares", "k-means, n_clusters = 4", "SLIC, n_segments = 4"])

# %% [markdown]
# The squares are compact, and two of them hold both colors. k-means keeps the colors apart, and its pieces are crumbs:
# it does not know where a pixel *is*. What is wanted lies between: nearly squares, bent just enough to follow the edge.
#
# **What is it for?** To cut an object into pieces is *over-segmentation*: a fault where segments should be objects
# (chapter 01), a plan where they are material for the next step. A superpixel has a color with little noise, a size, a
# few neighbors; there are hundreds of them instead of hundreds of thousands; and as long as none crosses an object's
# boundary, nothing is lost.

# %% [markdown]
# ## Use it

# %%
result = SLIC(n_segments=200).segment(coffee)
plot.show(result, mean_color(result.labels, coffee), titles=["labels", "mean colors"], size=3.6)

# %% [markdown]
# ## The idea and the objective
#
# *Simple linear iterative clustering* is k-means (chapter 03) with three changes.
#
# **1 · A pixel is a color and a place.** Five numbers: $L$, $a$, $b$, row, column. Colors and pixels have different
# units, so one weight has to say how much a pixel of distance counts. SLIC measures places in units of $S$, the side
# that a superpixel would have as a square, and colors in units of $m$, the **compactness**. Times $m^2$, that is
#
# $$D^2 = d_{lab}^2 + \left(\frac{m}{S}\right)^2 d_{xy}^2, \qquad S = \sqrt{N / K}.$$
#
# **2 · A center looks only nearby.** A superpixel is about $S$ wide. So a center competes only for the pixels of the
# square of $2S \times 2S$ around it. Each pixel is then looked at by about four centers, *however many there are*.
#
# **3 · What is left apart is mended.** A label may still lie in several pieces. At the end, small pieces go to a
# neighbor, so that each superpixel is connected.
#
# | symbol | in the code | shape | meaning |
# |---|---|---|---|
# | $N$ | | | the number of pixels |
# | $K$ | `n_segments` | | the number of superpixels asked for |
# | $S$ | `step` | | the distance of neighboring centers at the start |
# | $m$ | `compactness` | | the color difference that weighs as much as a distance of $S$ |
# | | `five` | (5, H, W) | color and place of each pixel |
# | $C_k$ | `centers` | (K, 5) | mean color and mean place of each superpixel |
# | $D$ | `distance` | | from a pixel to a center |

# %%
N = coffee[0].numel()
print("distances to compute in one step:")
for K in (10, 100, 1_000, 10_000):
    print(f"K = {K:6,}:   k-means, each pixel to each center {N * K:13,}    SLIC, only nearby {4 * N:9,}")

# %% [markdown]
# ## Build it
#
# **The start.** Centers on a grid, each with the color of its pixel. (If one falls on an edge or on a wrong pixel, it
# starts badly; so SLIC moves each to the smoothest of the 3×3 pixels around it.)


# %%
def grid_of_centers(five, n_segments):
    """Centers (K, 5) on a grid of squares, and their distance S."""
    height, width = five.shape[1:]
    step = (height * width / n_segments) ** 0.5
    rows = torch.arange(step / 2, height, step).long()
    cols = torch.arange(step / 2, width, step).long()
    return five[:, rows][:, :, cols].flatten(1).T, step


def color_and_place(image):
    """(5, H, W): L, a, b, row and column of each pixel."""
    rows, cols = (torch.arange(n, dtype=image.dtype) for n in image.shape[1:])
    places = torch.stack(torch.meshgrid(rows, cols, indexing="ij"))
    return torch.cat([to_color_space(image, "lab"), places])


five = color_and_place(tiny)
centers, step = grid_of_centers(five, 4)
print(f"S = {step}; the four centers, as (L, a, b, row, column):")
print(centers.round(decimals=1))

# %% [markdown]
# **First rung: loops**, just as the sentences say.


# %%
def assign_by_loops(five, centers, step, m):
    _, height, width = five.shape
    labels = torch.full((height, width), -1)
    best = torch.full((height, width), torch.inf)
    for k, center in enumerate(centers):
        for row in range(height):
            for col in range(width):
                near = abs(row - center[3]) <= step and abs(col - center[4]) <= step
                color, place = (five[:, row, col] - center).square().split([3, 2])
                distance = color.sum() + (m / step) ** 2 * place.sum()  # D²
                if near and distance < best[row, col]:
                    best[row, col], labels[row, col] = distance, k
    return labels


by_loops = assign_by_loops(five, centers, step, m=10)
print(by_loops)

# %% [markdown]
# **Second rung: one window at a time.** The square around a center is a slice of the picture; all its pixels at once.
# The loop over centers stays, and each pass is short.


# %%
def assign_by_windows(five, centers, step, m):
    labels = torch.full(five.shape[1:], -1)
    best = torch.full(five.shape[1:], torch.inf)
    for k, center in enumerate(centers):
        low, high = (center[3:] - step).ceil().clamp(min=0).long(), (center[3:] + step).floor().long() + 1
        window = slice(low[0], high[0]), slice(low[1], high[1])
        squares = (five[:, *window] - center[:, None, None]).square()
        distance = squares[:3].sum(0) + (m / step) ** 2 * squares[3:].sum(0)  # D²
        closer = distance < best[window]
        best[window] = torch.where(closer, distance, best[window])
        labels[window] = torch.where(closer, k, labels[window])
    return labels


assert torch.equal(assign_by_windows(five, centers, step, m=10), by_loops)

# %% [markdown]
# **Third rung: k-means.** Without windows, with places scaled by $m/S$, this *is* k-means on five numbers. So SLIC
# inherits its theorem: an assignment does not raise the sum of $D^2$, nor does the move of the centers to the means.
# (With windows, almost: a center that walks on may leave a pixel behind that then has to go to a farther one.)

# %%
from seglab.methods.kmeans import assign

m = 10
scale = torch.tensor([1, 1, 1, m / step, m / step])
everywhere = assign(five.flatten(1).T * scale, centers * scale).reshape(8, 8)
assert torch.equal(assign_by_windows(five, centers, step=1e9, m=m * 1e9 / step), everywhere)
print("pixels that would go to a center outside their windows:", int((everywhere != by_loops).sum()))

# %% [markdown]
# **The move** is the mean of five numbers over each label, with no loop at all: `segment_means`. Then assign, move,
# assign, move, …, ten times; after that hardly anything changes.


# %%
def slic_by_hand(image, n_segments, m=10, n_iter=10):
    """A label map (H, W), the centers (K, 5), and how far they moved in each step, in pixels."""
    five = color_and_place(image)
    centers, step = grid_of_centers(five, n_segments)
    moves = []
    for _ in range(n_iter):
        labels = assign_by_windows(five, centers, step, m)
        means = segment_means(labels, five)
        means = torch.cat([means, means.new_full((len(centers) - len(means), 5), torch.nan)])
        moved = torch.where(means.isnan(), centers, means)  # a center without pixels stays
        moves.append((moved - centers)[:, 3:].norm(dim=1).mean().item())
        centers = moved
    return labels, centers, moves


labels, centers, moves = slic_by_hand(coffee, 200)
plot.curves(range(1, 11), {"mean move": moves}, title="The centers come to rest", x_label="step", y_label="pixels");

# %% [markdown]
# **Mend what fell apart.** A pixel goes to whichever center is nearest in color *and* place, and nothing asks whether
# it is joined to the rest. Count the pieces, and give each small one to a neighbor.

# %%
pieces = connected_components(labels)
small = segment_sizes(pieces) < 300 * 200 / 200 / 4  # a quarter of the size that superpixels were to have
print(f"{count_labels(labels)} labels in {count_labels(pieces)} pieces, {int(small.sum())} of them small")
joined = absorb_small(labels, coffee, min_size=75)
print(f"afterwards: {count_labels(joined)} superpixels, each connected")
orphans = torch.where(small[pieces], pieces, -1)
shown = [overlay(x, coffee, alpha=0, boundary=yellow) for x in (labels, joined)]
plot.show(shown[0], orphans, shown[1], titles=["as assigned", "small pieces", "absorbed"], size=3.2)

# %% [markdown]
# ### The same by the package
#
# `seglab` has these kernels, compiled for a CPU and in torch for any other device. Its `assign` gives the same labels
# as our windows, and its `update` the same means.

# %%
from seglab.methods.slic import assign as assign_near
from seglab.methods.slic import update

lab = to_color_space(coffee, "lab")
centers, step = grid_of_centers(color_and_place(coffee), 200)
ours = assign_by_windows(color_and_place(coffee), centers, step, m=10)
theirs = assign_near(lab, centers, step, 10.0)
print(f"{(ours == theirs).double().mean():.3%} of the pixels have the same label")
assert (ours == theirs).double().mean() > 0.999
means = torch.stack([color_and_place(coffee)[:, theirs == k].mean(1) for k in range(3)])
assert torch.allclose(update(lab, theirs, centers)[:3], means, atol=1e-3)

# %% [markdown]
# (Where two centers are equally near, the last bit of a sum decides, and two codes may round it differently.)
#
# Three things it does better. It lays its grid so that there are exactly $K$ cells, moves each seed to a smooth place,
# and never makes more than $K$ superpixels. And it is fast enough to drag a slider:

# %%
begin = time.perf_counter()
slic_by_hand(coffee, 200)
by_hand = time.perf_counter() - begin
quick = SLIC(n_segments=200).segment(coffee).seconds
print(f"by hand {by_hand:.2f} s, by the package {quick:.3f} s: {by_hand / quick:.0f} times faster")

# %% [markdown]
# ## Step through it
#
# The player shows the centers on their way.
#
# > **Predict first.** A center starts near the rim of the cup, half of its square on the red outside, half on the white
# > inside. Where does it go: onto the rim, or away from it?

# %%
step_through(SLIC(n_segments=60), datasets.photo("coffee", max_side=240))

# %% [markdown]
# <details><summary>Where does it go?</summary>
#
# Away from it. The center has one color, red or white, after the first step mostly that of the larger half. Pixels of
# the other color are far off in $D$ and go to the neighbor. What is left lies on one side of the rim, and so does its
# mean. (Most do so, not all: neighbors compete, and pull it along.)
# </details>

# %% [markdown]
# ## The parameters
#
# **`n_segments`**, $K$, sets the size: a superpixel is about $S = \sqrt{N/K}$ wide, and what is thinner than that is at
# risk. There are never more than asked for, and seldom many fewer: some are absorbed.

# %%
for n in (50, 100, 200, 400, 800, 1600):
    found = SLIC(n_segments=n).segment(coffee)
    print(f"asked for {n:5}: {found.n_segments:5} superpixels, about {(N / found.n_segments) ** 0.5:4.1f} pixels wide")

# %% [markdown]
# **`compactness`**, $m$: the color difference (in units of CIELAB) that weighs as much as a way of $S$ pixels.
#
# > **Predict first.** What happens for very small and very large $m$?

# %%
truth = datasets.photo_truth("coffee", max_side=300).labels
shown, captions, ms = [], [], (1, 5, 20, 100)
for m in ms:
    found = SLIC(n_segments=150, compactness=m).segment(coffee)
    shown.append(overlay(found.labels, coffee, alpha=0, boundary=yellow))
    leaked = metrics.undersegmentation_error(truth, found.labels)
    captions.append(f"compactness {metrics.compactness(found.labels):.2f}\nleaked {leaked:.3f}")
plot.show(*shown, titles=[f"SLIC, compactness = {m}" for m in ms], captions=captions, cols=4, size=2.5)

# %% [markdown]
# Small: places hardly count, superpixels follow every grain and grow fringes. Large: colors hardly count, and what is
# left is the grid. Between lies a wide range in which the result is about equally good.
#
# **`adaptive=True`** (SLICO, "SLIC zero") spares us the choice. No $m$ is right for a picture that is smooth here and
# rough there. So each superpixel gets an $m_k$ of its own: the largest color difference that was found in it so far.
# Where the picture is rough, $m_k$ is large, and the superpixels are compact all the same.

# %%
shown, captions = [], []
methods = {"compactness = 5": SLIC(n_segments=150, compactness=5), "adaptive": SLIC(n_segments=150, adaptive=True)}
flower = datasets.photo("flower", max_side=300)
for method in methods.values():
    found = method.segment(flower)
    shown.append(overlay(found.labels, flower, alpha=0, boundary=yellow))
    captions.append(f"compactness {metrics.compactness(found.labels):.2f}")
plot.show(*shown, titles=[f"SLIC, {name}" for name in methods], captions=captions, size=3.6)

# %% [markdown]
# **`mask`** keeps the superpixels inside a region: all of $K$ where they are needed. Here, the flower alone.

# %%
inside = datasets.photo_truth("flower", max_side=300).labels == 1
found = SLIC(n_segments=100, mask=inside).segment(flower)
plot.show(flower, inside, found, titles=["picture", "mask", "SLIC in the mask, n_segments = 100"], size=3.2)

# %% [markdown]
# All of it at your fingertips. Try to get the spoon, and nothing else, with as few superpixels as you can.

# %%
explore(SLIC(), {"coffee": datasets.photo("coffee", max_side=240), "flower": datasets.photo("flower", max_side=240)})

# %% [markdown]
# ## A real photograph
#
# The measures of chapter 01 are in `seglab.metrics`, and `superpixel_scores` gives them all at once. Against the
# outlines that a person drew:

# %%
photo, outlines = datasets.photo("coffee"), datasets.photo_truth("coffee").labels
found = SLIC(n_segments=400).segment(photo)
print(metrics.superpixel_scores(found, outlines, photo))

# %% [markdown]
# Most measures get better with more superpixels, whatever the method: so a method is a *curve* over their number, and
# methods are compared at the same number. Four others have parameters that set it indirectly: the plain grid, SLICO,
# Felzenszwalb's method (chapter 08) by its scale, mean shift (chapter 05) by its bandwidths.


# %%
def squares(image, n):
    """A plain grid of about n squares."""
    side = (image[0].numel() / n) ** 0.5
    rows, cols = ((torch.arange(length) / side).long() for length in image.shape[1:])
    return rows[:, None] * (cols.max() + 1) + cols


numbers = (25, 50, 100, 200, 400, 800)
scales = ((1600, 200), (800, 100), (400, 60), (200, 30), (100, 15), (40, 8))
bandwidths = ((12, 16, 250), (10, 12, 120), (8, 9, 50), (7, 6.5, 25), (5, 5, 14), (4, 4, 10))
families = {
    "grid": [lambda image, n=n: squares(image, n) for n in numbers],
    "SLIC": [SLIC(n_segments=n).segment for n in numbers],
    "SLICO": [SLIC(n_segments=n, adaptive=True).segment for n in numbers],
    "Felzenszwalb": [Felzenszwalb(scale=s, min_size=size).segment for s, size in scales],
    "mean shift": [MeanShift(spatial_bandwidth=s, range_bandwidth=r, min_size=n).segment for s, r, n in bandwidths],
}

# %%
scores = {
    name: [metrics.superpixel_scores(segment(coffee), truth, coffee, tolerance=2) for segment in family]
    for name, family in families.items()
}
wanted = ("boundary_recall", "undersegmentation_error", "explained_variation", "compactness")
with plot.style():
    figure, axes = plt.subplots(1, 4, figsize=(13, 3.4), layout="constrained")
for ax, name in zip(axes, wanted, strict=True):
    for (family, row), color, marker in zip(scores.items(), PALETTE, "sov^D", strict=False):
        ax.plot([s.n_segments for s in row], [getattr(s, name) for s in row], color=color, marker=marker, label=family)
    ax.set(xscale="log", title=name.replace("_", " "), xlabel="superpixels")
axes[1].legend();

# %% [markdown]
# Read them from left to right. **Recall, leaks, variation**: those whose pieces may have any shape, mean shift and SLIC
# with little compactness, follow the picture best; SLICO, which keeps its pieces compact, less; the grid shows what is
# had for nothing. **Compactness**: the other way around. Nobody wins all four; what comes next decides. A graph of
# neighbors or a pooling layer wants pieces of one size; a mask that is to be exact wants recall.

# %% [markdown]
# ### Beside scikit-image
#
# Its `slic` is the usual choice. It starts from another grid, moves no seeds, looks twice as far around each center and
# mends by other rules: so the superpixels are not the same. Are they as good? At *its* number of superpixels:

# %%
from skimage.segmentation import slic

print("asked for    superpixels      recall             leaked            variation explained")
for n in (100, 400, 1600):
    other = slic(coffee.movedim(0, -1).numpy(), n, compactness=10, start_label=0)
    pair = [SLIC(n_segments=int(other.max()) + 1).segment(coffee), other]
    ours, its = (metrics.superpixel_scores(labels, truth, coffee, tolerance=1) for labels in pair)
    print(f"{n:9}  {ours.n_segments:5} and {its.n_segments:5}   {ours.boundary_recall:.3f} and {its.boundary_recall:.3f}"
          f"   {ours.undersegmentation_error:.4f} and {its.undersegmentation_error:.4f}"
          f"   {ours.explained_variation:.3f} and {its.explained_variation:.3f}")

# %% [markdown]
# Set side by side, zoomed together, with their scores:

# %%
truths = {name: datasets.photo_truth(name, max_side=240).labels for name in ("coffee", "flower")}
pictures = {name: datasets.photo(name, max_side=240) for name in truths}
compare([SLIC(n_segments=150), SLIC(n_segments=150, adaptive=True), Felzenszwalb(scale=200, min_size=30)],
        pictures, truths)

# %% [markdown]
# ## Using superpixels
#
# ### A vote
#
# A method that looks at single pixels speckles. Let each superpixel vote, and give all of it the label that most of its
# pixels have. Otsu's threshold on the red of a noisy picture, before and after:

# %%
noisy = (flower + 0.25 * torch.randn(flower.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
speckled = Thresholding().segment(noisy[:1]).labels
superpixels_of_flower = SLIC(n_segments=400, compactness=30).segment(noisy).labels
voted = majority_vote(speckled, superpixels_of_flower)


def iou(mask, truth):
    return float((mask & truth).sum() / (mask | truth).sum())


captions = [f"IoU {iou(labels == 1, inside):.3f}, {count_labels(connected_components(labels))} pieces"
            for labels in (speckled, voted)]
plot.show(noisy, speckled, voted, overlay=False, size=3.2, captions=["", *captions],
          titles=["picture", "threshold", "the vote of each superpixel"])

# %% [markdown]
# Kanezaki's network (chapter 16) learns from such votes.
#
# ### A graph
#
# Superpixels and who touches whom: the *region adjacency graph*. It is small, and it knows the picture.

# %%
few = SLIC(n_segments=120).segment(coffee).labels
graph = adjacency(few)
places = segment_means(few, color_and_place(coffee)[3:])  # (K, 2): row, column
paint = mean_color(few, coffee)
ax = plot.show(paint, titles=f"{len(places)} superpixels, {len(graph.edges)} edges", size=5)[0]
for i, j in graph.edges:
    ax.plot(places[[i, j], 1], places[[i, j], 0], color="white", linewidth=0.8)
_ = ax.plot(places[:, 1], places[:, 0], "o", color="black", markersize=3)
print(f"neighbors of a superpixel: {2 * len(graph.edges) / len(places):.1f} on average")
print(f"a table of all pairs: {len(places) ** 2:,} superpixels, {N**2:,} pixels")

# %% [markdown]
# Chapter 08 cuts such graphs, and merges along their edges.
#
# ### The next method becomes cheap
#
# A segmentation of the superpixels is one of the pixels: give each pixel its superpixel's label. Here k-means on mean
# colors instead of pixels, from twenty random starts, of which the best is kept.


# %%
def best_of(n_starts, image):
    """The labels of the best of several k-means, and the seconds that all took."""
    begin = time.perf_counter()
    runs = [KMeans(n_clusters=6, start="random", seed=seed).segment(image) for seed in range(n_starts)]
    best = min(runs, key=lambda run: float(run.state.objective))
    return best.labels, time.perf_counter() - begin


begin = time.perf_counter()
superpixels = SLIC(n_segments=600).segment(photo).labels
prepared = time.perf_counter() - begin
means = segment_means(superpixels, photo).T[:, None]  # (3, 1, K): a picture of one row, a pixel for each superpixel
of_superpixels, short = best_of(20, means)
of_pixels, long = best_of(20, photo)
print(f"on pixels {long:.2f} s; on superpixels {short:.2f} s, and {prepared:.2f} s to make them")
print(f"{long / (short + prepared):.0f} times faster")

# %%
merged = of_superpixels[0][superpixels]
captions = [f"{count_labels(connected_components(labels))} pieces" for labels in (of_pixels, merged)]
plot.show(photo, of_pixels, merged, captions=["", *captions], size=3.2,
          titles=["picture", "k-means on pixels", "k-means on superpixels"])

# %% [markdown]
# Faster, and less crumbly. What it costs is known, too: an object thinner than a superpixel is gone before the second
# method begins. `metrics.achievable_segmentation_accuracy` says how much, before any second method is chosen.

# %% [markdown]
# ## Where it breaks
#
# **1 · Thinner than a superpixel.** A faint line, three pixels wide, on an even ground. "Kept" is the share of it that lies
# in superpixels which belong to it.

# %%
rows, cols = torch.meshgrid(torch.arange(160), torch.arange(240), indexing="ij")
line = (rows - 0.5 * cols - 15).abs() < 1.7
rng = torch.Generator().manual_seed(0)
wire = (torch.where(line, 0.5, 0.6) + 0.03 * torch.randn(160, 240, generator=rng)).clamp(0, 1).expand(3, -1, -1)
shown, captions, numbers = [], [], (60, 240, 1000, 4000)
for n in numbers:
    labels = SLIC(n_segments=n).segment(wire).labels
    shown.append(overlay(labels, wire, alpha=0, boundary=yellow))
    captions.append(f"kept {majority_vote(line.long(), labels)[line].double().mean():.0%}")
titles = ["picture", *(f"n_segments = {n}" for n in numbers)]
plot.show(wire, *shown, titles=titles, captions=["", *captions], cols=5, size=2)

# %% [markdown]
# *Cause.* Superpixels are meant to be about $S$ wide. Across a line, two of them would have to stand within three
# pixels; along it, one would have to be long, which its $d_{xy}$ forbids. *Cure:* more superpixels, until $S$ comes
# near the width of the thinnest thing that matters; or a method that has no idea of size, as Felzenszwalb's.
#
# **2 · The compactness is in the wrong place.** Too large, and it is a grid that ignores the picture. Too small, and
# labels fall apart: so many pieces would have to be mended that the mending, not the clustering, decides.

# %%
ms, grid = (1, 2, 5, 10, 20, 50, 100, 200), squares(coffee, 200)
loose = [SLIC(n_segments=200, compactness=m, connected=False).segment(coffee).labels for m in ms]
pieces = [count_labels(connected_components(labels)) / count_labels(labels) for labels in loose]
like_grid = [metrics.variation_of_information(grid, labels) for labels in loose]
with plot.style():
    _, axes = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
plot.curves(ms, {"pieces": pieces}, title="pieces of one label, unmended", x_label="compactness", ax=axes[0])
plot.curves(ms, {"bits": like_grid}, title="how far from a plain grid, bits", x_label="compactness", ax=axes[1])
for ax in axes:
    ax.set_xscale("log")

# %% [markdown]
# *Cause.* $m$ compares two units that have nothing to do with one another, and the right exchange depends on the
# picture's contrast and noise, and on $S$. *Cure:* look; or SLICO.
#
# **3 · Texture.** Checks on the left, stripes on the right. To the eye these are two regions; to a color they are black
# and white, everywhere.

# %%
left = cols < 120 + 20 * torch.sin(rows / 20)
cloth = torch.where(left, (rows // 3 + cols // 3) % 2, (rows // 3) % 2) * 0.6 + 0.2
cloth = cloth.expand(3, -1, -1)
methods = {"as it is": SLIC(n_segments=100), "adaptive": SLIC(n_segments=100, adaptive=True),
           "compactness = 200": SLIC(n_segments=100, compactness=200), "sigma = 3": SLIC(n_segments=100, sigma=3)}
found = [method.segment(cloth).labels for method in methods.values()]
captions = [f"the largest: {segment_sizes(labels).max() / labels.numel():.0%}" for labels in found]
shown = [overlay(labels, cloth, alpha=0, boundary=yellow) for labels in found]
plot.show(cloth, *shown, titles=["picture", *methods], captions=["", *captions], cols=5, size=2)

# %% [markdown]
# *Cause.* A square of checks has no mean color that any of its pixels has. Pixels choose between a white and a dark
# center nearby, and each label is a scatter of checks that the mending has to join, one to the next: in the end one
# superpixel has all the checks. *Cure:* pay so much for distance that color hardly counts, smooth first (`sigma`), or
# give SLIC features that are even within a texture (chapters 16 and 18 learn some).
#
# **4 · Where nothing is.** Light that fades, without and with a little noise.

# %%
fading = torch.linspace(0.1, 0.9, 240).expand(160, -1)
sky = torch.stack([0.5 * fading, 0.7 * fading, fading])
grainy = (sky + 0.03 * torch.randn(sky.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
shown = [overlay(SLIC(n_segments=60).segment(x).labels, x, alpha=0, boundary=yellow) for x in (sky, grainy)]
plot.show(sky, *shown, titles=["picture", "its superpixels", "with noise"], size=3.2)

# %% [markdown]
# *Cause.* SLIC was asked for sixty superpixels, and makes them. Where the picture has no boundary, the boundary comes
# from $d_{xy}$ alone (squares), or from noise. *Cure:* none is needed, only caution: most boundaries of an
# over-segmentation are *not* in the picture. Whoever looks for edges has to merge first.

# %% [markdown]
# ## Summary
#
# - **Superpixels** over-segment on purpose: few, even, compact pieces within objects, as material for the next method.
# - SLIC is **k-means** on color and place, $D^2 = d_{lab}^2 + (m/S)^2 d_{xy}^2$, each center looking only at the
#   $2S \times 2S$ pixels around it: the cost does not depend on $K$. Small pieces are mended at the end.
# - $K$ sets the size, which must not exceed the thinnest thing that matters; $m$ trades obedience to the picture for
#   compactness; SLICO sets it for each superpixel.
# - Compare at the **same number**, by several measures: recall, leaks and variation, *and* compactness. A plain grid
#   is part of every comparison.
# - Use: vote, mean color, graph of neighbors, any method on hundreds of things instead of hundreds of thousands. What
#   leaks here cannot be had back later.
#
# Next: chapter 07, segments that grow, split and merge.

# %% [markdown]
# ## Exercises
#
# **06.1 By hand.** One row of gray values, $L$ only; $S = 4$. A pixel with $L = 50$ lies 1 pixel from a center with
# $L = 44$, and 3 pixels from another one with $L = 48$. Return $D^2$ to each for $m = 4$, and the $m$ at which both are
# equally near.

# %% tags=["exercise"]
def by_hand():
    """(D² to the first, D² to the second, both for m = 4; the m of the tie)"""
    ### BEGIN SOLUTION
    # (4/4)² · 1 + 6² = 37;  (4/4)² · 9 + 2² = 13.  Tie: 36 + m²/16 = 4 + 9 m²/16, so m² = 64.
    return 37.0, 13.0, 8.0
    ### END SOLUTION

# %% tags=["wrong"]
def by_hand():
    return 6 + 1, 2 + 3, 8.0

# %% tags=["wrong"]
def by_hand():
    return 37.0, 13.0, 64.0

# %% tags=["check"]
with check("06.1 by hand"):
    first, second, tie = by_hand()
    assert (first, second) == (37, 13), "color difference squared, and (m/S)² times distance squared"
    assert first > second, "for m = 4 color wins, and the pixel goes to the farther center"
    assert abs(tie - 8) < 1e-9, "set 36 + (m/4)² · 1 equal to 4 + (m/4)² · 9, and take the root at the end"

# %% [markdown]
# **06.2 The cost.** How many distances does one SLIC step compute in a picture of `height` × `width` pixels? Count, for
# each center (rows and columns are whole numbers), the pixels at most `step` away in each direction and inside the
# picture.

# %% tags=["exercise"]
def count_distances(places, step, height, width):
    """The number of pairs of a center and a pixel in its window; places (K, 2) as (row, column)."""
    ### BEGIN SOLUTION
    low = (places - step).clamp(min=0)
    high = torch.minimum(places + step, torch.tensor([height - 1, width - 1]))
    return int((high - low + 1).prod(1).sum())
    ### END SOLUTION

# %% tags=["wrong"]
def count_distances(places, step, height, width):
    return len(places) * (2 * step + 1) ** 2

# %% tags=["wrong"]
def count_distances(places, step, height, width):
    return len(places) * height * width

# %% tags=["check"]
with check("06.2 the cost"):
    assert count_distances(torch.tensor([[50, 50]]), 10, 100, 100) == 21 * 21, "from 40 to 60 are 21 rows"
    assert count_distances(torch.tensor([[0, 0]]), 10, 100, 100) == 11 * 11, "a window ends where the picture ends"
    assert count_distances(torch.tensor([[0, 0], [5, 5]]), 9, 6, 6) == 72, "so small a picture is all in each window"

# %% [markdown]
# **06.3 The vote, without a loop.** Give each superpixel the label that most of its pixels have, the smallest among
# equals. One `torch.bincount` of `superpixels * n_labels + labels` makes the table; do not call `majority_vote`.

# %% tags=["exercise"]
def vote(labels, superpixels):
    """(H, W): for each pixel, the label that won in its superpixel."""
    ### BEGIN SOLUTION
    n_labels, n = int(labels.max()) + 1, int(superpixels.max()) + 1
    table = torch.bincount((superpixels * n_labels + labels).flatten(), minlength=n * n_labels).reshape(n, n_labels)
    return table.argmax(1)[superpixels]
    ### END SOLUTION

# %% tags=["wrong"]
def vote(labels, superpixels):
    n_labels, n = int(labels.max()) + 1, int(superpixels.max()) + 1
    table = torch.bincount((superpixels * n_labels + labels).flatten(), minlength=n * n_labels).reshape(n, n_labels)
    return table.argmax(0)[labels]

# %% tags=["wrong"]
def vote(labels, superpixels):
    return segment_means(superpixels, labels[None].float())[:, 0].round().long()[superpixels]

# %% tags=["check"]
with check("06.3 the vote"):
    a = torch.tensor([[0, 2, 2, 1], [0, 0, 2, 1]])
    b = torch.tensor([[0, 0, 1, 1], [0, 0, 1, 1]])
    assert vote(a, b).tolist() == [[0, 0, 1, 1], [0, 0, 1, 1]], "three zeros beat a two; a tie goes to the smaller"
    assert torch.equal(vote(speckled, superpixels_of_flower), voted), "it differs from seglab's on the flower"

# %% [markdown]
# **06.4 SLICO.** A superpixel's own $m_k$ is the largest $d_{lab}$ that was found in it in the last step. Return the
# distance that then decides, $d_{lab}^2 / m_k^2 + d_{xy}^2 / S^2$, from each center to each pixel.

# %% tags=["exercise"]
def adaptive_distance(color2, place2, labels, step):
    """(K, N) from the squared distances in color and place (K, N) and the last labels (N,); each label occurs."""
    ### BEGIN SOLUTION
    own = color2.gather(0, labels[None])[0]  # (N,), to the own center
    largest = torch.zeros(len(color2)).scatter_reduce(0, labels, own, "amax")  # m_k²
    return color2 / largest[:, None] + place2 / step**2
    ### END SOLUTION

# %% tags=["wrong"]
def adaptive_distance(color2, place2, labels, step):
    return color2 / color2.amax(1, keepdim=True) + place2 / step**2

# %% tags=["wrong"]
def adaptive_distance(color2, place2, labels, step):
    own = color2.gather(0, labels[None])[0]
    largest = torch.zeros(len(color2)).scatter_reduce(0, labels, own, "amax")
    return color2 / largest[:, None] ** 2 + place2 / step**2

# %% tags=["check"]
with check("06.4 SLICO"):
    color2 = torch.tensor([[1.0, 4.0, 100.0], [100.0, 64.0, 25.0]])
    place2 = torch.tensor([[0.0, 1.0, 4.0], [4.0, 1.0, 0.0]])
    mine = adaptive_distance(color2, place2, torch.tensor([0, 0, 1]), step=2.0)
    assert mine.shape == (2, 3), "a distance from each center to each pixel"
    expected = torch.tensor([[0.25, 1.25, 26.0], [5.0, 2.81, 1.0]])
    assert torch.allclose(mine, expected), "m_k² is 4 for the first center: the largest of its own pixels'"

# %% [markdown]
# **06.5 A fair comparison.** Two methods were measured at different numbers of superpixels. Read off each curve at the
# same number $n$: straight lines between the points, over the *logarithm* of the number (`np.interp`).

# %% tags=["exercise"]
def at_number(n, numbers, values):
    """The value at n superpixels; numbers rise."""
    ### BEGIN SOLUTION
    return float(np.interp(np.log(n), np.log(numbers), values))
    ### END SOLUTION

# %% tags=["wrong"]
def at_number(n, numbers, values):
    return float(np.interp(n, numbers, values))

# %% tags=["wrong"]
def at_number(n, numbers, values):
    return float(values[int(np.argmin(np.abs(np.array(numbers) - n)))])

# %% tags=["check"]
with check("06.5 a fair comparison"):
    assert abs(at_number(100, [10, 1000], [0.2, 0.8]) - 0.5) < 1e-9, "100 is half-way from 10 to 1000, by its logarithm"
    assert at_number(50, [10, 50, 90], [0.1, 0.7, 0.8]) == 0.7, "at a measured number, the measured value"

# %% [markdown]
# Use it on `scores`: which method has the highest recall at 200 superpixels, and which at 50?
#
# **06.6 Choose.** A net of wires, two pixels wide, in pictures of 640 × 480, is to be kept. At least how many
# superpixels does it take if $S$ may be at most three times the width? Return the number, rounded up.

# %% tags=["exercise"]
def how_many():
    """The smallest n_segments."""
    ### BEGIN SOLUTION
    return int(np.ceil(640 * 480 / 6**2))  # S = √(N/K) ≤ 6, so K ≥ N / 36
    ### END SOLUTION

# %% tags=["wrong"]
def how_many():
    return int(np.ceil(640 * 480 / 6))

# %% tags=["wrong"]
def how_many():
    return int(np.ceil((640 * 480) ** 0.5 / 6))

# %% tags=["check"]
with check("06.6 choose"):
    K = how_many()
    assert (640 * 480 / K) ** 0.5 <= 6, "S = √(N/K) is more than 6 pixels"
    assert (640 * 480 / (K - 1)) ** 0.5 > 6, "fewer would do"

# %% [markdown]
# ## References
#
# - R. Achanta, A. Shaji, K. Smith, A. Lucchi, P. Fua, S. Süsstrunk (2012). *SLIC superpixels compared to
#   state-of-the-art superpixel methods.* IEEE TPAMI 34(11).
#   [doi:10.1109/TPAMI.2012.120](https://doi.org/10.1109/TPAMI.2012.120)
# - D. Stutz, A. Hermans, B. Leibe (2018). *Superpixels: an evaluation of the state-of-the-art.* Computer Vision and
#   Image Understanding 166. [doi:10.1016/j.cviu.2017.03.007](https://doi.org/10.1016/j.cviu.2017.03.007) (the measures)
# - X. Ren, J. Malik (2003). *Learning a classification model for segmentation.* ICCV.
#   [doi:10.1109/ICCV.2003.1238308](https://doi.org/10.1109/ICCV.2003.1238308) (superpixels get their name)
# - P. Neubert, P. Protzel (2012). *Superpixel benchmark and comparison.* Forum Bildverarbeitung.
