# %% [markdown]
# # 07 · Regions: growing, split and merge
#
# k-means asks which colors belong together, and forgets where pixels lie. Here a segment is a **region**: one connected
# piece that is even inside. There are two ways to it. From below: begin with a pixel, and let it *grow*. From above:
# begin with the whole picture, *split* what is not even, and *merge* what should not have been split.
#
# **After this chapter you can**
#
# - grow a region from a seed, in waves or the most similar pixel first, and say what the threshold is compared with,
# - split a picture into a quadtree, merge its blocks, and say what is promised at the end,
# - predict where both fail: gaps, slopes, seeds, blocks, texture.
#
# **Time** 60 minutes · **Before this** chapters 01 to 03

# %%
from seglab import datasets, plot
from seglab.labels import overlay
from seglab.methods import RegionGrowing, SplitMerge

coffee = datasets.photo("coffee", max_side=240)
yellow = (1.0, 0.9, 0.0)
grown = RegionGrowing(n_seeds=20, order="best_first", fill=True).segment(coffee)
split = SplitMerge(threshold=0.08, min_block=2, merge=False).segment(coffee)
merged = SplitMerge(threshold=0.08, min_block=2).segment(coffee)
shown = [overlay(result.labels, coffee, alpha=0.3, boundary=yellow) for result in (grown, split, merged)]
plot.show(*shown, size=3.2, titles=["region growing, n_seeds = 20", "split, threshold = 0.08", "split and merge"])

# %% [markdown]
# ## Set-up

# %%
from collections import deque
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import torch
from skimage.segmentation import flood

from seglab import metrics
from seglab.exercises import check
from seglab.labels import adjacency, mean_color
from seglab.methods import KMeans
from seglab.widgets import explore, step_through

# %% [markdown]
# ## The problem
#
# Two red squares and a blue one on a table, 8×8 pixels. How many segments are there?
#
# > **Predict first.** k-means with three clusters finds the three colors. Does it answer the question?

# %%
twins = datasets.tiny("twins")
clusters = KMeans(n_clusters=3).segment(twins.image)
regions = SplitMerge(threshold=0.1).segment(twins.image)
plot.show(twins.image, clusters.labels, regions.labels, size=2.6, annotate=False,
          titles=["8×8 pixels", "k-means, n_clusters = 3", "split and merge"],
          captions=["", f"{clusters.n_segments} segments", f"{regions.n_segments} segments"])
assert torch.equal(regions.labels, twins.instances)

# %% [markdown]
# Two squares of one color are one cluster, but two things. A region knows that, because it is connected.

# %% [markdown]
# ## Use it
#
# Region growing takes seeds: places that you point at, here the saucer and the cup. What no region reaches stays
# unassigned, label −1.

# %%
result = RegionGrowing(seeds=[(75, 160), (85, 105)], threshold=0.15).segment(coffee)
plot.show(coffee, result, size=3.6, titles=["picture", "region growing from two seeds, threshold = 0.15"])

# %% [markdown]
# ## The idea and the objective
#
# A **predicate** $P(R)$ says whether a region $R$ is even. A segmentation by regions is a partition of the picture in
# which
#
# $$P(R_i) \text{ holds for each region}, \qquad P(R_i \cup R_j) \text{ holds for no two neighbors.}$$
#
# The first alone is easy (take each pixel for itself), so is the second (take all). Both together do not decide it:
# many partitions satisfy them, and *which* is found depends on where one begins and who comes first. There is no energy
# that goes down, and no best solution; there is a promise that can be checked.
#
# **Growing** takes a pixel $x$ at the rim of a region with mean $m$ if $\lVert x - m \rVert \le \tau$.
# **Splitting** cuts a block into four if $P$ fails, with $P$ for example: *the standard deviation is at most* $\tau$.
# **Merging** joins neighbors, best first, while $P$ holds for their union.
#
# | symbol | in the code | meaning |
# |---|---|---|
# | $\tau$ | `threshold` | the largest deviation; black to white is 1 |
# | $m$ | `mean` | the mean color of a region, or of its seed (`criterion`) |
# | $P$ | `predicate` | `"std"`, `"range"`, or `"share"`: 80 % of the pixels within $\tau$ of the mean |
# | | `seeds` | where regions begin: (row, column) |
# | | `min_block` | the least side of a block |

# %% [markdown]
# ## Build it
#
# ### Growing
#
# **First rung: a queue**, as a child would do it. Take a pixel from the queue; ask each of its four neighbors whether
# it is like the *seed*; who is, joins and queues up.


# %%
def grow_by_queue(image, seed, threshold):
    """A mask (H, W) from an image (C, H, W): what is connected to the seed and like it."""
    region = torch.zeros(image.shape[1:], dtype=torch.bool)
    region[seed] = True
    queue = deque([seed])
    while queue:
        row, col = queue.popleft()
        for r, c in ((row, col + 1), (row + 1, col), (row, col - 1), (row - 1, col)):
            if 0 <= r < region.shape[0] and 0 <= c < region.shape[1] and not region[r, c]:
                apart = (image[:, r, c] - image[:, *seed]).square().mean().sqrt()
                if apart <= threshold:
                    region[r, c] = True
                    queue.append((r, c))
    return region


# %%
by_queue = grow_by_queue(twins.image, (1, 1), 0.1)
print(by_queue.int())

# %% [markdown]
# **Second rung: waves.** All pixels that touch the region at once. Four shifts of the mask find them; no loop over
# pixels is left. Where all are compared with the one seed, the order makes no difference: the same region.


# %%
def around(region):
    """The free pixels (H, W) that touch a region, by four shifts."""
    touched = torch.zeros_like(region)
    touched[:, 1:] |= region[:, :-1]
    touched[:, :-1] |= region[:, 1:]
    touched[1:] |= region[:-1]
    touched[:-1] |= region[1:]
    return touched & ~region


def grow_in_waves(image, seed, threshold, running=False):
    region = torch.zeros(image.shape[1:], dtype=torch.bool)
    region[seed] = True
    mean = image[:, *seed]
    while True:
        joins = around(region) & ((image - mean[:, None, None]).square().mean(0).sqrt() <= threshold)
        if not joins.any():
            return region
        region = region | joins
        mean = image[:, region].mean(1) if running else mean


assert torch.equal(grow_in_waves(twins.image, (1, 1), 0.1), by_queue)

# %% [markdown]
# **Third rung: the mean of the region**, as it is now, instead of the seed. One pixel is a noisy witness; a hundred are
# not. But now the answer of a pixel depends on *when* it is asked. That is `running=True`, and the package's default.

# %%
small = (datasets.photo("coffee", max_side=60) * 255).round() / 255
seed = (20, 40)
for criterion in ("seed", "mean"):
    by_hand = grow_in_waves(small, seed, 0.15, running=criterion == "mean")
    package = RegionGrowing(seeds=[seed], threshold=0.15, criterion=criterion, color_space="rgb").segment(small)
    assert (by_hand == (package.labels == 0)).float().mean() > 0.995
    counts = int(by_hand.sum()), int((package.labels == 0).sum())
    print(f"compared with the {criterion}: {counts[0]} pixels; the package: {counts[1]}")

# %% [markdown]
# The package looks only at the *frontier*, not at the whole picture in each wave: the work is that of the pixels that
# are asked. (A pixel whose difference is $\tau$ to the last digit may fall on the other side: it keeps whole numbers.)
#
# ### Splitting
#
# **First rung: recursion.** If a block is not even, cut it into four and do the same with each.


# %%
def split_by_recursion(gray, threshold, top, left, bottom, right):
    """Boxes (top, left, bottom, right) in a gray picture (H, W) that are even, or a pixel wide."""
    even = gray[top:bottom, left:right].std(correction=0) <= threshold
    if even or bottom - top < 2 or right - left < 2:
        return [(top, left, bottom, right)]
    middle, center = (top + bottom) // 2, (left + right) // 2
    rows, cols = pairwise((top, middle, bottom)), pairwise((left, center, right))
    return [box for (a, b), (c, d) in product(rows, cols) for box in split_by_recursion(gray, threshold, a, c, b, d)]


coins = datasets.photo("coins")[:1, 100:228, 100:228]
boxes = split_by_recursion(coins[0].double(), 0.08, 0, 0, 128, 128)
print(f"{len(boxes)} blocks; the first three: {sorted(boxes)[:3]}")

# %% [markdown]
# **Second rung: all blocks of one depth at once.** They make a grid. Their means and mean squares are sums over pairs
# of rows and columns of the grid below: each pixel is looked at once, however deep the tree.


# %%
def halve(values):
    """The means (R/2, C/2) over 2×2 places of (R, C)."""
    return (values[::2, ::2] + values[1::2, ::2] + values[::2, 1::2] + values[1::2, 1::2]) / 4


def count_blocks(gray, threshold):
    """The number of blocks of each depth that are not halved, the whole picture first."""
    means, squares = [gray], [gray.square()]
    while len(means[-1]) > 1:
        means.append(halve(means[-1]))
        squares.append(halve(squares[-1]))
    node, counts = torch.ones(1, 1, dtype=torch.bool), []
    for mean, square in zip(means[::-1], squares[::-1], strict=True):
        uneven = node & ((square - mean.square()).clamp(min=0).sqrt() > threshold)
        counts.append(int(node.sum() - uneven.sum()))
        node = uneven.repeat_interleave(2, 0).repeat_interleave(2, 1)
    return counts


counts = count_blocks(coins[0].double(), 0.08)
quadtree = SplitMerge(threshold=0.08, merge=False, color_space="gray").segment(coins)
assert sum(counts) == len(boxes) == quadtree.n_segments
assert sorted(boxes) == [tuple(box) for box in quadtree.state.tree.boxes.tolist()]
print("blocks by depth:", counts)

# %% [markdown]
# ### Merging
#
# Blocks next to each other may be even together: that the cut lies between them is an accident of halving. So look at
# all pairs of neighbors, join the pair whose union is most even, and begin again.


# %%
def merge_by_loops(gray, labels, threshold):
    labels = labels.clone()
    while True:
        pairs = adjacency(labels).edges.tolist()
        unions = [gray[(labels == a) | (labels == b)].std(correction=0).item() for a, b in pairs]
        if not pairs or min(unions) > threshold:
            return labels
        a, b = pairs[unions.index(min(unions))]
        labels[labels == b] = a
        labels = torch.unique(labels, return_inverse=True)[1]


island = datasets.tiny("outliers").image
tree = SplitMerge(threshold=0.1, merge=False, color_space="gray").segment(island)
by_loops = merge_by_loops(island[0].double(), tree.labels, 0.1)
whole = SplitMerge(threshold=0.1, color_space="gray").segment(island)
assert torch.equal(by_loops, whole.labels)
plot.show(island, tree.labels, whole.labels, size=2.6, annotate=False,
          titles=["8×8 pixels", "blocks", "merged"], captions=["", f"{tree.n_segments}", f"{whole.n_segments}"])

# %% [markdown]
# To measure a union, nobody has to look at its pixels again: number, sum and sum of squares of the two parts are added
# (exercise 07.4). The package keeps the pairs in a queue by how even their unions are; a pair whose turn comes is
# measured again, for both may have grown. It goes on until a whole round joins nothing: then the promise holds.

# %%
limit = 0.08
whole = SplitMerge(threshold=limit, min_block=1).segment(coffee)
labels, lab = whole.labels, whole.state.pyramid.colors.values.double() / 4080


def deviation(mask):
    return (lab[mask] - lab[mask].mean(0)).square().sum(1).mean().sqrt().item()


each = [deviation(labels == k) for k in range(whole.n_segments)]
unions = [deviation((labels == a) | (labels == b)) for a, b in adjacency(labels).edges.tolist()]
print(f"{len(each)} segments: the least even has {max(each):.5f}, at most {limit}")
print(f"{len(unions)} pairs of neighbors: the most even union has {min(unions):.5f}, more than {limit}")
assert max(each) <= limit < min(unions)

# %% [markdown]
# With `min_block=2` only the second half is promised: a block too small to be halved is kept, even or not.

# %% [markdown]
# ## Step through it
#
# > **Predict first.** A region grows from the coffee in the cup. What shape has its frontier after a few waves, and
# > where does it stop first?

# %%
step_through(RegionGrowing(seeds=[(65, 105)], threshold=0.15), coffee, max_states=24)

# %% [markdown]
# <details><summary>What shape?</summary>
#
# A diamond: with four neighbors, a wave reaches all pixels that are as many steps along rows and columns away. It stops
# first below, where the rim of the cup is nearest, then above; to the left and right it flows on for forty waves more.
# </details>
#
# > **Predict first.** The quadtree of some coins: where are the smallest blocks? And what does merging join first?

# %%
step_through(SplitMerge(threshold=0.08, min_block=2, color_space="gray"), coins, max_states=24)

# %% [markdown]
# <details><summary>Where?</summary>
#
# Along edges: no block that holds an edge is even, so it is halved until none does, or until it is as small as allowed.
# Merging begins with what is most even together, pieces of the dark ground; at the rims of coins hardly a union is even
# before the last rounds.
# </details>

# %% [markdown]
# ## The parameters
#
# **`threshold`** of a growing region: too low, and parts are missing; too high, and it leaks. Between them there is a
# jump: somewhere in the rim of the saucer a pixel is let in, and the table behind it follows.

# %%
taus = (0.05, 0.1, 0.15, 0.2, 0.25)
grown_at = [RegionGrowing(seeds=[(75, 160)], threshold=tau).segment(coffee) for tau in taus]
plot.show(*grown_at, cols=5, size=2.2, annotate=False, titles=[f"threshold = {tau}" for tau in taus],
          captions=[f"{(r.labels == 0).float().mean():.1%} taken" for r in grown_at])

# %% [markdown]
# **`criterion`**, the seed or the mean; **`connectivity`**, 4 or 8; **`order`**, waves or the most similar first. From
# a seed on the wood, the criterion matters most: the mean has seen many grains, the seed is one of them.

# %%
variants = {"mean": {}, "seed": {"criterion": "seed"}, "8 neighbors": {"connectivity": 8},
            "best first": {"order": "best_first"}}
found = [RegionGrowing(seeds=[(30, 200)], threshold=0.15, **values).segment(coffee) for values in variants.values()]
plot.show(*found, cols=4, size=2.5, annotate=False, titles=list(variants),
          captions=[f"{int((r.labels == 0).sum())} pixels" for r in found])

# %% [markdown]
# **`predicate`** and **`threshold`** of split and merge. The range looks at the two most extreme pixels, so one wrong
# pixel splits a block; the share allows a fifth to be wrong.

# %%
predicates = {"std": 0.08, "range": 0.25, "share": 0.08}
found = [SplitMerge(predicate=name, threshold=tau, min_block=2).segment(coffee) for name, tau in predicates.items()]
plot.show(*(mean_color(r.labels, coffee) for r in found), size=3.2,
          captions=[f"{r.n_segments} segments" for r in found],
          titles=[f"{name}, threshold = {tau}" for name, tau in predicates.items()])

# %% [markdown]
# **`min_block`**: with blocks down to one pixel, segments follow edges. Larger blocks leave stairs; and those that hold
# an edge are neither halved nor, being uneven, joined to a neighbor. At 16 pixels hardly two are even together.

# %%
found = [SplitMerge(threshold=0.08, min_block=least).segment(coffee) for least in (1, 4, 16)]
plot.show(*(overlay(r.labels, coffee, alpha=0, boundary=yellow) for r in found), size=3.2,
          titles=[f"min_block = {r.method.min_block}" for r in found],
          captions=[f"{len(r.state.tree.boxes)} blocks, {r.n_segments} segments" for r in found])

# %% [markdown]
# All of it at your fingertips, with seeds that are found, the most even places first. How many must be found until one
# lies on the wood, and why so many?

# %%
explore(RegionGrowing(n_seeds=5, threshold=0.15), {"coffee": coffee})

# %% [markdown]
# ## A real photograph
#
# Against the outlines that a person drew, by the covering of chapter 01.

# %%
truth = datasets.photo_truth("coffee", max_side=240).labels
candidates = {
    "region growing": RegionGrowing(n_seeds=20, order="best_first", fill=True),
    "split": SplitMerge(threshold=0.16, min_block=2, merge=False),
    "split and merge": SplitMerge(threshold=0.16, min_block=2),
    "k-means": KMeans(n_clusters=5),
}
found = {name: method.segment(coffee) for name, method in candidates.items()}
covering = {name: metrics.segmentation_covering(truth, r.labels) for name, r in found.items()}
plot.show(*found.values(), cols=4, size=2.5, annotate=False, titles=list(found),
          captions=[f"covering {covering[name]:.2f}, {r.n_segments} segments" for name, r in found.items()])

# %%
for tau in (0.08, 0.12, 0.16, 0.2, 0.25):
    labels = SplitMerge(threshold=tau, min_block=2).segment(coffee).labels
    print(f"split and merge, threshold {tau}: covering {metrics.segmentation_covering(truth, labels):.2f}")

# %% [markdown]
# Merging is what makes segments of blocks. But 0.16 was chosen by looking at the truth, and its neighbors are worse:
# one picture, tuned, says what a method can do, not what it does. Chapter 01 says how to choose on other pictures.
#
# **Agreement with scikit-image.** Its `flood` with a tolerance is region growing from one seed, compared with the seed.

# %%
gray = (datasets.photo("coins")[0] * 255).round()
for tolerance in (20, 40, 60):
    theirs = flood(gray.numpy().astype(int), (60, 60), tolerance=tolerance, connectivity=1)
    ours = RegionGrowing(seeds=[(60, 60)], criterion="seed", threshold=tolerance / 255, color_space="gray")
    ours = (ours.segment(gray[None] / 255).labels == 0).numpy()
    assert (ours == theirs).all()
    print(f"tolerance {tolerance}: the same {theirs.sum()} pixels")

# %% [markdown]
# ## Where it breaks
#
# **1 · It leaks.** One open pixel in a wall is enough. And on a slope hardly anything changes from pixel to pixel: the
# mean walks along, at half the pace, so the region gets to $2\tau$ from where the slope begins.

# %%
gap = torch.full((1, 24, 48), 0.8)
gap[:, :, 23:25] = 0.2
closed = gap.clone()
gap[:, 11, 23:25] = 0.8
slope = torch.linspace(0.2, 0.8, 48).expand(1, 24, 48).contiguous()
tests = [(closed, "mean"), (gap, "mean"), (slope, "seed"), (slope, "mean")]
outcomes = [RegionGrowing(seeds=[(12, 4)], threshold=0.25, criterion=criterion, color_space="gray").segment(x)
            for x, criterion in tests]
plot.show(*(x for x, _ in tests), *(r.labels for r in outcomes), cols=4, size=2.3, annotate=False, overlay=False,
          titles=["a wall", "a wall with a gap", "a slope: seed", "a slope: mean", *[""] * 4],
          captions=[""] * 4 + [f"{(r.labels == 0).float().mean():.0%} taken" for r in outcomes])

# %% [markdown]
# *Cause:* a decision looks at one pixel, and one way in is enough. *Cures:* compare with the seed, which halves the way
# on a slope; close gaps first, or ask for more than one neighbor inside; a contour that is stiff (chapter 09).
#
# **2 · The seed decides.** Four seeds in what a person calls one thing, the table; then all four as one region:

# %%
starts = [(20, 60), (10, 230), (150, 225), (90, 10)]
marks = torch.full(coffee.shape[1:], -1)
marks[tuple(zip(*starts, strict=True))] = 0  # a label map: four pixels, one region
tables = [RegionGrowing(seeds=seeds, threshold=0.12).segment(coffee) for seeds in (*([s] for s in starts), marks)]
table = truth == truth[starts[0]]
shares = [(r.labels == 0)[table].float().mean() for r in tables]
plot.show(*tables, cols=5, size=2.2, annotate=False, titles=[*(f"seed {s}" for s in starts), "all four"],
          captions=[f"{share:.0%} of the table" for share in shares])

# %% [markdown]
# *Cause:* the table is not of one color, and a region takes what is like the place where it began. Four places as one
# region do no better: their common mean is like none of them. *Cures:* a region for each seed, joined afterwards; a
# higher threshold, until it leaks.
#
# **3 · Who comes first.** With running means the order of joining changes the means, and so the result. Two seeds on
# the saucer, right and left:

# %%
pair = [(75, 160), (60, 50)]
orders, found = ("waves", "best_first"), {}
for criterion in ("mean", "seed"):
    method = RegionGrowing(seeds=pair, threshold=0.25, criterion=criterion)
    found[criterion] = [replace(method, order=order).segment(coffee) for order in orders]
    apart = (found[criterion][0].labels != found[criterion][1].labels).float().mean()
    print(f"compared with the {criterion}: {apart:.1%} of the pixels differ")
plot.show(*found["mean"], *found["seed"], cols=4, size=2.5, annotate=False,
          titles=[f"{criterion}, {order}" for criterion, order in product(found, orders)])

# %% [markdown]
# *Cause:* both regions leak into the table, and in waves the right one gets there while best first the left one does;
# no objective says which result is better. *Cure:* compare with something that stays. Then only what both want depends
# on the order: here nothing.
#
# **4 · Blocks.** The same picture, cut off by a few pixels at the upper left: other halves, other blocks.

# %%
moved = coffee[:, 6:, 10:]
for merge, least in ((False, 4), (True, 4), (True, 1)):
    method = SplitMerge(threshold=0.1, min_block=least, merge=merge)
    a, b = method.segment(coffee).labels[6:, 10:], method.segment(moved).labels
    same = metrics.segmentation_covering(a, b)
    print(f"merge={merge!s:5}, min_block={least}: the two cover each other by {same:.2f}")
plot.show(*(SplitMerge(threshold=0.1, min_block=4).segment(x) for x in (coffee, moved)), size=3.4, annotate=False,
          titles=["the picture", "without its first rows and columns"])

# %% [markdown]
# *Cause:* cuts lie at halves, whatever is there. Merging mends some of it, not the stairs. *Cures:* `min_block=1`,
# which mends more; superpixels (chapter 06) instead of squares.
#
# **5 · Noise and texture.** No block of a texture is even until it is a few pixels small.

# %%
g = torch.Generator().manual_seed(0)
clean = datasets.tiny("island").image.repeat_interleave(8, 1).repeat_interleave(8, 2)
for sigma in (0.0, 0.05, 0.1, 0.2):
    noisy = (clean + sigma * torch.randn(clean.shape, generator=g)).clamp(0, 1)
    numbers = [SplitMerge(threshold=tau, color_space="gray").segment(noisy).n_segments for tau in (0.06, 0.12, 0.24)]
    print(f"noise {sigma:4}: segments at thresholds 0.06, 0.12, 0.24: {numbers}")

# %% [markdown]
# *Cause:* the predicate knows one threshold, and the noise does not ask. *Cure:* a threshold above the noise while it
# is below the contrast; statistics of windows instead of pixels where the texture is what one looks for.

# %% [markdown]
# ## Summary
#
# - A region is connected and satisfies a predicate; no two neighbors do together. That can be checked, and does not
#   determine the answer.
# - Growing: from a seed, pixel by pixel at the frontier. Compare with the seed (no drift, any order) or with the mean
#   (less noise, depends on the order).
# - Split and merge: halve what is not even; join what is even together, best first. Sums of the blocks are added up, so
#   each pixel is looked at once.
# - They leak through gaps and slopes, depend on seeds and order, show blocks, and crumble in noise.

# %% [markdown]
# ## Exercises
#
# **07.1 By hand.** A row of gray values 0, 10, 20, 30, 90; the seed is the first pixel, $\tau = 15$, compared with the
# mean of the region before each wave. Which pixels belong to it in the end?


# %% tags=["exercise"]
def region_by_hand():
    """A list of five times 0 or 1."""
    ### BEGIN SOLUTION
    # means: 0 (10 joins), 5 (20 is 15 away, joins), 10 (30 is 20 away)
    return [1, 1, 1, 0, 0]
    ### END SOLUTION


# %% tags=["wrong"]
def region_by_hand():
    return [1, 1, 1, 1, 0]


# %% tags=["wrong"]
def region_by_hand():
    return [1, 1, 0, 0, 0]


# %% tags=["check"]
with check("07.1 by hand"):
    assert len(region_by_hand()) == 5, "one number for each pixel"
    assert region_by_hand()[2] == 1, "once 10 has joined the mean is 5, and 20 is no more than 15 away from it"
    assert region_by_hand() == [1, 1, 1, 0, 0], "the mean of 0, 10 and 20 is 10; 30 is 20 away from it"

# %% [markdown]
# **07.2 Corners too.** The free pixels that touch a region with *eight* neighbors.


# %% tags=["exercise"]
def around_eight(region):
    """A mask (H, W) of the pixels outside a mask (H, W) that share a side or a corner with it."""
    ### BEGIN SOLUTION
    padded = np.pad(np.asarray(region), 1)
    height, width = region.shape
    touched = [padded[r : r + height, c : c + width] for r in range(3) for c in range(3)]
    return np.any(touched, axis=0) & ~np.asarray(region)
    ### END SOLUTION


# %% tags=["wrong"]
def around_eight(region):
    return around(torch.as_tensor(region)).numpy()


# %% tags=["wrong"]
def around_eight(region):
    region = np.asarray(region)
    shifts = [np.roll(region, (r, c), (0, 1)) for r in (-1, 0, 1) for c in (-1, 0, 1)]
    return np.any(shifts, axis=0) & ~region


# %% tags=["check"]
with check("07.2 corners too"):
    dot = np.zeros((5, 5), bool)
    dot[2, 2] = True
    assert np.asarray(around_eight(dot)).sum() == 8, "a pixel in the middle has eight neighbors"
    dot = np.zeros((5, 5), bool)
    dot[0, 0] = True
    assert np.asarray(around_eight(dot)).sum() == 3, "one in a corner has three: the picture ends at its borders"
    assert not np.asarray(around_eight(dot))[0, 0], "the region itself is not free"

# %% [markdown]
# **07.3 How many blocks?** A picture of $2^n \times 2^n$ pixels is black, but for one white pixel. How many blocks has
# its quadtree, for the smallest threshold?


# %% tags=["exercise"]
def number_of_blocks(n):
    """As a formula of n."""
    ### BEGIN SOLUTION
    return 3 * n + 1
    ### END SOLUTION


# %% tags=["wrong"]
def number_of_blocks(n):
    return 4 * n


# %% tags=["wrong"]
def number_of_blocks(n):
    return 4**n


# %% tags=["check"]
with check("07.3 how many blocks"):
    for n in (1, 2, 5):
        black = torch.zeros(1, 2**n, 2**n)
        black[0, 0, -1] = 1
        blocks = SplitMerge(threshold=0, merge=False).segment(black).n_segments
        assert number_of_blocks(n) == blocks, f"for n = {n} there are {blocks}: each depth leaves three even blocks"

# %% [markdown]
# **07.4 A union without its pixels.** Of two regions you know the numbers of pixels, sums and sums of squares. What is
# the standard deviation of their union?


# %% tags=["exercise"]
def union_std(n_a, sum_a, squares_a, n_b, sum_b, squares_b):
    """The standard deviation (divided by n) of all values together."""
    ### BEGIN SOLUTION
    n, mean = n_a + n_b, (sum_a + sum_b) / (n_a + n_b)
    return max((squares_a + squares_b) / n - mean**2, 0) ** 0.5
    ### END SOLUTION


# %% tags=["wrong"]
def union_std(n_a, sum_a, squares_a, n_b, sum_b, squares_b):
    a, b = squares_a / n_a - (sum_a / n_a) ** 2, squares_b / n_b - (sum_b / n_b) ** 2
    return ((n_a * a + n_b * b) / (n_a + n_b)) ** 0.5


# %% tags=["wrong"]
def union_std(n_a, sum_a, squares_a, n_b, sum_b, squares_b):
    mean = (sum_a / n_a + sum_b / n_b) / 2
    return abs((squares_a + squares_b) / (n_a + n_b) - mean**2) ** 0.5


# %% tags=["check"]
with check("07.4 a union without its pixels"):
    assert np.isclose(union_std(1, 0, 0, 1, 2, 4), 1), "0 and 2: the mean is 1, so each is 1 away"
    a, b = np.random.default_rng(0).random(30), 2 + np.random.default_rng(1).random(70)
    answer = union_std(30, a.sum(), (a**2).sum(), 70, b.sum(), (b**2).sum())
    assert np.isclose(answer, np.concatenate([a, b]).std()), "weigh by size, and mind the distance of the two means"

# %% [markdown]
# **07.5 Is it right?** Check the promise of split and merge for any label map: each region's standard deviation is at
# most $\tau$, that of no union of two neighbors is. (`adjacency(labels).edges` are the pairs of neighbors.)


# %% tags=["exercise"]
def keeps_promise(gray, labels, threshold):
    """True or False, for a gray picture (H, W) and labels (H, W), both tensors."""
    ### BEGIN SOLUTION
    def even(mask):
        return bool(gray[mask].std(correction=0) <= threshold)

    each = all(even(labels == k) for k in labels.unique())
    return each and not any(even((labels == a) | (labels == b)) for a, b in adjacency(labels).edges.tolist())
    ### END SOLUTION


# %% tags=["wrong"]
def keeps_promise(gray, labels, threshold):
    return all(bool(gray[labels == k].std(correction=0) <= threshold) for k in labels.unique())


# %% tags=["wrong"]
def keeps_promise(gray, labels, threshold):
    pairs = adjacency(labels).edges.tolist()
    return all(bool(gray[(labels == a) | (labels == b)].std(correction=0) > threshold) for a, b in pairs)


# %% tags=["check"] points=2
with check("07.5 is it right"):
    picture = datasets.tiny("outliers").image[0].double()
    right = SplitMerge(threshold=0.1, color_space="gray").segment(picture[None].float()).labels
    assert keeps_promise(picture, right, 0.1), "this one is right"
    assert not keeps_promise(picture, torch.arange(64).reshape(8, 8), 0.1), "single pixels: neighbors could be joined"
    assert not keeps_promise(picture, torch.zeros(8, 8, dtype=torch.long), 0.1), "all in one: it is not even"

# %% [markdown]
# ## References
#
# - R. Adams, L. Bischof (1994). *Seeded region growing.* IEEE Transactions on Pattern Analysis and Machine Intelligence
#   16(6). [doi:10.1109/34.295913](https://doi.org/10.1109/34.295913)
# - S. L. Horowitz, T. Pavlidis (1976). *Picture segmentation by a tree traversal algorithm.* Journal of the ACM 23(2).
#   [doi:10.1145/321941.321956](https://doi.org/10.1145/321941.321956)
