# %% [markdown]
# # 03 · k-means
#
# A photograph of a cup has tens of thousands of colors. Describe it with four, as well as four can. That is k-means:
# the oldest answer, and still the first to try.
#
# **After this chapter you can**
#
# - carry out k-means by hand, and say why it must come to an end,
# - choose what a pixel *is* (gray, a color, a color and a place, a small window) and see what follows from it,
# - tell a bad start from a bad model.
#
# **Time** 50 minutes · **Before this** chapter 02: Otsu's threshold

# %%
from seglab import datasets, plot
from seglab.methods import KMeans

coffee = datasets.photo("coffee", max_side=240)
result = KMeans(n_clusters=4).segment(coffee)
repainted = result.state.colors.T[:, result.labels]
plot.show(coffee, repainted, result, size=2.8, titles=["the photograph", "with four colors", "four segments"])

# %% [markdown]
# ## Set-up

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.cluster import KMeans as SklearnKMeans

from seglab.exercises import check
from seglab.features import distinct_features, pixel_features
from seglab.labels import connected_components, count_labels
from seglab.methods import Thresholding
from seglab.methods.kmeans import assign, kmeans_plus_plus, random_points, update
from seglab.metrics import probabilistic_rand_index, segmentation_covering, variation_of_information
from seglab.widgets import compare, explore, step_through

# %% [markdown]
# ## The problem
#
# Twenty-four pixels, three colors. Your eye sees three stripes at once. In color space they are three *piles of
# points*. So: find the piles.

# %%
flag = datasets.tiny("flag")
rng = torch.Generator().manual_seed(0)
noisy = (flag.image + 0.06 * torch.randn(flag.image.shape, generator=rng)).clamp(0, 1)
points = pixel_features(noisy, "rgb")
with plot.style():
    figure, axes = plt.subplots(1, 2, figsize=(8, 3))
axes[0].imshow(noisy.movedim(0, 2))
axes[1].scatter(points[:, 0], points[:, 2], c=points.numpy(), s=80, edgecolor="gray")
axes[0].set(title="24 pixels", xticks=[], yticks=[])
axes[1].set(title="the same, as points", xlabel="red", ylabel="blue");

# %% [markdown]
# ## Use it

# %%
plot.show_segmentation(KMeans(n_clusters=3, color_space="rgb").segment(noisy))

# %% [markdown]
# ## The idea and the objective
#
# Choose $K$ points in color space, the **centers**. Each pixel belongs to the nearest of them. Good centers are close
# to their pixels: k-means makes the **inertia** small,
#
# $$J = \sum_{i=1}^{N} \lVert x_i - c_{k(i)} \rVert^2,
# \qquad k(i) = \operatorname{arg\,min}_k \lVert x_i - c_k \rVert .$$
#
# | symbol | in the code | shape | meaning |
# |---|---|---|---|
# | $x_i$ | `points` | (N, D) | the pixels' features |
# | $c_k$ | `centers` | (K, D) | the centers |
# | $k(i)$ | `nearest` | (N,) | the center nearest to each pixel |
# | $J$ | `inertia` | | what is minimized |
#
# To find the best centers is hard. But each half of the problem is easy. *Given centers*, the best labels: the nearest.
# *Given labels*, the best center: the **mean** of its pixels, since $\sum \lVert x_i - c \rVert^2$ is smallest there.
# Lloyd's iteration does one, then the other, until nothing changes.

# %% [markdown]
# ## Build it
#
# **First rung: loops**, just as the sentences say.

# %%
def nearest_center(x, centers):
    distances = [((x - c) ** 2).sum() for c in centers]
    return int(np.argmin(distances))

def one_step(points, centers):
    labels = [nearest_center(x, centers) for x in points]
    moved = [np.mean([x for x, k in zip(points, labels, strict=True) if k == j], axis=0) for j in range(len(centers))]
    return labels, np.array(moved)

x = points.numpy()
labels, centers = one_step(x, x[[0, 2, 4]])
print(np.array(labels).reshape(4, 6))
print(centers.round(2))

# %% [markdown]
# **Second rung: arrays.** All distances at once, by broadcasting (N, 1, D) against (1, K, D).

# %%
start = points[[0, 2, 4]]
distances = (points[:, None] - start[None]).square().sum(-1)  # (N, K)
nearest = distances.argmin(1)
one_hot = torch.nn.functional.one_hot(nearest).float()
means = one_hot.T @ points / one_hot.sum(0)[:, None]

assert nearest.tolist() == labels
assert np.allclose(means, centers, atol=1e-6)

# %% [markdown]
# **Third rung: one matrix product.** Multiply the square out: $\lVert x - c\rVert^2 = \lVert x\rVert^2 - 2\,x \cdot c +
# \lVert c\rVert^2$. The first term is the same for all centers, so the nearest one needs only the other two. No table
# (N, K, D) is ever made.

# %%
cheaper = start.square().sum(1) - 2 * points @ start.T
assert torch.equal(cheaper.argmin(1), nearest)
assert torch.equal(assign(points, start), nearest)
assert torch.allclose(update(points, nearest, start), means, atol=1e-6)

# %% [markdown]
# **Fourth rung: count equal pixels.** Pixels of the same color get the same label, so one of them can stand for all,
# with a weight. That changes nothing but the time.

# %%
whole = datasets.photo("coffee")
colors = distinct_features(whole, "rgb")
n_pixels = whole.shape[1] * whole.shape[2]
print(f"{n_pixels:,} pixels, {len(colors):,} colors: {n_pixels / len(colors):.1f} times less work")
assert torch.equal(colors.values[colors.inverse], pixel_features(whole, "rgb"))

# %% [markdown]
# That is `KMeans` in `seglab`. The same start, the same end as scikit-learn:

# %%
x = pixel_features(coffee, "rgb").double()
start = x[[0, 10_000, 20_000, 30_000]]
theirs = SklearnKMeans(4, init=start.numpy(), n_init=1, tol=0, max_iter=300).fit(x.numpy())
ours = KMeans(n_clusters=4, color_space="rgb", centers=start).segment(coffee)
print(f"inertia: ours {float(ours.state.objective):.4f}, scikit-learn {theirs.inertia_:.4f}")
print(f"equal labels: {(np.asarray(ours).ravel() == theirs.labels_).mean():.2%}")
assert np.isclose(float(ours.state.objective), theirs.inertia_, rtol=1e-4)

# %% [markdown]
# ## Step through it
#
# **Predict first.** Four centers start on four colors of the picture. Which of them will travel farthest: one that
# starts alone, or one of two that start in the same pile?

# %%
step_through(KMeans(n_clusters=4, color_space="rgb", start="random", seed=3), coffee)

# %% [markdown]
# <details><summary>Which one?</summary>
#
# One of the two. They share a pile, so both are pushed to its edge; the one on the side of an unclaimed pile finds new
# pixels there, and is pulled over to it step by step. The lonely one is already near the mean of its pixels.
# </details>
#
# **Why it ends.** Each half-step can only lower the inertia. Watch both halves:

# %%
x, centers = pixel_features(coffee, "rgb"), pixel_features(coffee, "rgb")[[0, 10_000, 20_000, 30_000]]
inertias = []
for _ in range(8):
    nearest = assign(x, centers)
    inertias.append((x - centers[nearest]).square().sum().item())
    centers = update(x, nearest, centers)
    inertias.append((x - centers[nearest]).square().sum().item())
assert all(b <= a for a, b in zip(inertias[:-1], inertias[1:], strict=True))
plot.curves(np.arange(16) / 2, {"inertia": inertias}, x_label="step (labels on the whole, centers on the half)");

# %% [markdown]
# There are finitely many labelings and none comes back, so the iteration ends. It ends in *a* minimum, not in the
# lowest one: that depends on the start.
#
# **k-means++** draws the starting centers one by one, far from those it has: a pixel is taken with a probability
# proportional to its squared distance $D^2$ to the nearest center so far. Twenty starts of each kind:

# %%
small = datasets.photo("coffee", max_side=90)
ends = {kind: [float(KMeans(n_clusters=8, start=kind, seed=seed).segment(small).state.objective)
               for seed in range(20)] for kind in ("random", "k-means++")}
with plot.style():
    figure, ax = plt.subplots(figsize=(6.5, 3))
    ax.hist(list(ends.values()), bins=16, label=list(ends))
    ax.set(xlabel="inertia at the end", ylabel="starts", title="k-means, n_clusters = 8: twenty starts of each kind")
    ax.legend()
for kind, values in ends.items():
    print(f"{kind:10} best {min(values):,.0f}   median {np.median(values):,.0f}   worst {max(values):,.0f}")

# %% [markdown]
# The colors of a photograph form one large cloud, where most starts end about equally well. Piles that lie apart are
# another matter: see the first failure below.

# %% [markdown]
# ## The parameters
#
# **`n_clusters`.** More centers always lower the inertia; with one for each color it is zero. So the inertia cannot
# choose $K$. People look for the *elbow*, after which little is gained. Where is it here?

# %%
plot.sweep(KMeans, coffee, "n_clusters", [2, 3, 5, 9], size=2.4)

# %%
ks = [1, 2, 3, 4, 5, 6, 8, 10, 14, 20]
per_pixel = [float(KMeans(n_clusters=k).segment(small).state.objective) / small[0].numel() for k in ks]
plot.curves(ks, {"inertia": per_pixel}, x_label="n_clusters", y_label="inertia per pixel");

# %% [markdown]
# **`color_space`.** The distance decides everything, and each space has its own. In CIELAB, equal distances are meant
# to look equally different. In HSV the hue is an angle: 0 and 1 are the same red, but k-means takes them for opposites.

# %%
plot.sweep(KMeans(n_clusters=4), coffee, "color_space", ["gray", "rgb", "hsv", "lab", "luv"], size=2.1)

# %% [markdown]
# With gray values and two clusters, k-means is an old acquaintance:

# %%
coins = datasets.photo("coins")
otsu = Thresholding().segment(coins)
two_means = KMeans(n_clusters=2, color_space="gray").segment(coins)
cut = two_means.state.centers.mean().item()
print(f"Otsu's threshold {otsu.state.thresholds.item():.3f}; half-way between the two centers {cut:.3f}")
print(f"pixels that differ: {min((otsu == two_means).mean(), (otsu != two_means).mean()):.2%}")

# %% [markdown]
# To make the variance within classes small is what both want; Otsu looks at all thresholds, Lloyd walks to one.
#
# **`spatial_weight`** appends the place to the color: pixels that are far apart become different. Segments turn
# compact; with many of them, this is the road to superpixels (chapter 06).

# %%
plot.sweep(KMeans(n_clusters=12), coffee, "spatial_weight", [0.0, 0.3, 0.8, 2.0], size=2.4)

# %% [markdown]
# **`window`** describes a pixel by all gray values or colors in a small square around it: the simplest way to see
# *texture*. Checks and an even gray, of the same mean:
#
# **Predict first.** Three clusters, windows of 3×3 pixels. How will the checks be labeled?

# %%
weave = datasets.tiny("weave")
one, three = (KMeans(n_clusters=3, window=w, color_space="gray").segment(weave.image) for w in (1, 3))
plot.show(weave.image[0], weave.instances, one.labels, three.labels, cols=2,
          titles=["two textures", "truth", "k-means, window = 1", "k-means, window = 3"])

# %% [markdown]
# A window tells the checks from the even gray. But it also tells a white pixel *among black ones* from a black one
# *among white ones*: it remembers where the pattern stands, which texture should forget. Networks (chapter 16) learn
# features that do.

# %%
explore(KMeans(n_clusters=4), {"coffee": coffee, "flower": datasets.photo("flower", max_side=240)})

# %% [markdown]
# ## A real photograph
#
# Two photographs with outlines drawn by hand, several descriptions of a pixel, one table.
#
# **Predict first.** The flower is orange on dark green. Which $K$ will score best there? And on the coffee, with
# its six things?

# %%
choices = [KMeans(n_clusters=k) for k in (2, 4, 8)]
choices += [KMeans(n_clusters=4, spatial_weight=0.5), KMeans(n_clusters=4, window=5)]
for name in ("flower", "coffee"):
    picture, truth = datasets.photo(name, max_side=240), datasets.photo_truth(name, max_side=240).labels
    print(f"{name:52}   SC   PRI    VI")
    for method in choices:
        labels = method.segment(picture).labels
        scores = [measure(truth, labels) for measure in
                  (segmentation_covering, probabilistic_rand_index, variation_of_information)]
        print(f"  {method.code():50} {scores[0]:.2f}  {scores[1]:.2f}  {scores[2]:.2f}")

# %% [markdown]
# Higher is better for SC and PRI, lower for VI. The flower needs no more than two clusters. On the coffee, more
# clusters cut the wood of the table into stripes before they find the spoon.

# %%
truths = {name: datasets.photo_truth(name, max_side=240).labels for name in ("coffee", "flower")}
pictures = {name: datasets.photo(name, max_side=240) for name in truths}
compare([KMeans(n_clusters=2), KMeans(n_clusters=4), KMeans(n_clusters=4, spatial_weight=0.5)], pictures, truths)

# %% [markdown]
# ## Where it breaks
#
# **1 · A bad start.** Two centers share a pile, one has to serve two. No step can get out: every way out begins
# uphill.

# %%
truth_at = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
cloud = truth_at.repeat_interleave(60, 0) + 0.1 * torch.randn(240, 2, generator=torch.Generator().manual_seed(0))
starts = {"good start": cloud[[0, 60, 120, 180]], "bad start": cloud[[0, 1, 2, 180]]}
with plot.style():
    figure, axes = plt.subplots(1, 2, figsize=(7, 3.2))
for ax, (name, centers) in zip(axes, starts.items(), strict=True):
    for _ in range(50):
        centers = update(cloud, assign(cloud, centers), centers)
    ax.scatter(*cloud.T, c=assign(cloud, centers), cmap="tab10", s=8)
    ax.scatter(*centers.T, marker="X", s=120, color="black")
    ax.set(title=f"{name}: inertia {(cloud - centers[assign(cloud, centers)]).square().sum():.1f}")

# %%
ends = {"random": [], "k-means++": []}
for seed in range(200):
    rng, ones = torch.Generator().manual_seed(seed), torch.ones(len(cloud))
    drawn = {"random": random_points(cloud, ones, 4, rng), "k-means++": kmeans_plus_plus(cloud, ones, 4, rng)}
    for kind, centers in drawn.items():
        before = torch.zeros_like(centers)
        while not torch.equal(before, centers):  # it ends: the labels repeat at last
            before, centers = centers, update(cloud, assign(cloud, centers), centers)
        ends[kind].append((cloud - centers[assign(cloud, centers)]).square().sum().item())
for kind, values in ends.items():
    print(f"{kind:10} {np.mean(np.array(values) > 2 * min(values)):.0%} of 200 starts end badly")

# %% [markdown]
# *Cure:* k-means++, or several starts.
#
# **2 · Piles that are not round, or not of one size.** Cells of k-means meet half-way between centers, with straight
# borders. A long pile is cut, a large one loses its rim to a small neighbor. The next chapter's method can stretch.

# %%
g = torch.Generator().manual_seed(1)
long = torch.randn(400, 2, generator=g) * torch.tensor([1.5, 0.12])
both = torch.cat([long, long.roll(200, 0) + torch.tensor([0.0, 1.0])])
large = torch.cat([torch.randn(700, 2, generator=g), 0.15 * torch.randn(60, 2, generator=g) + torch.tensor([2.6, 0.0])])
with plot.style():
    figure, axes = plt.subplots(1, 2, figsize=(8, 3))
axes[0].set_title("two long piles")
axes[1].set_title("a large and a small one")
for ax, cloud, ends in ((axes[0], both, [0, 450]), (axes[1], large, [0, 720])):
    centers = cloud[ends]
    for _ in range(100):
        centers = update(cloud, assign(cloud, centers), centers)
    ax.scatter(*cloud.T, c=assign(cloud, centers), cmap="tab10", s=6)
    ax.scatter(*centers.T, marker="X", s=120, color="black")
    ax.set(xlim=(-5, 5), ylim=(-3.5, 3.5), aspect="equal")

# %% [markdown]
# **3 · Light.** One wall under fading light has no pile at all, only a long smear. k-means chops it into bands.

# %%
bare = datasets.shapes(height=120, width=160, n_shapes=2, texture="flat", noise=0.02, illumination=0.0, seed=4)
lit = datasets.shapes(height=120, width=160, n_shapes=2, texture="flat", noise=0.02, illumination=0.9, seed=4)
found = [KMeans(n_clusters=3).segment(scene.image) for scene in (bare, lit)]
plot.show(bare.image, found[0].labels, lit.image, found[1].labels, cols=4, size=2.4,
          titles=["even light", "three clusters", "fading light", "three clusters"])

# %% [markdown]
# **4 · Nobody told it that pixels have neighbors.** Shuffle all pixels of the picture: k-means gives each the same
# label as before. That is why its segments fall to pieces.

# %%
order = torch.randperm(coffee[0].numel(), generator=torch.Generator().manual_seed(0))
shuffled = coffee.flatten(1)[:, order].reshape(coffee.shape)
again = KMeans(n_clusters=4, centers=result.state.centers).segment(shuffled)
assert torch.equal(result.labels.flatten()[order], again.labels.flatten())
pieces = count_labels(connected_components(result.labels))
plot.show(coffee, result.labels, shuffled, again.labels, cols=4, size=2.3,
          titles=["picture", f"4 clusters, {pieces} pieces", "shuffled", "the same labels"])

# %% [markdown]
# ## Summary
#
# - k-means puts $K$ centers into color space so that pixels are close to their centers: it minimizes the inertia.
# - *Assign* and *update* in turn; neither raises the inertia, so it ends, in a minimum that depends on the start.
# - One matrix product a step, over the distinct colors with their counts: exact, and several times less work.
# - What a pixel *is* matters more than anything else: the color space, the place, the window.
# - It breaks on bad starts, on piles that are long or of unequal size, under fading light, and it knows no neighbors.

# %% [markdown]
# ## Exercises
#
# **03.1 By hand.** Gray values 0, 1, 5, 6, 7; centers start at 0 and 1. Carry out k-means on paper until nothing
# changes. Return the two centers and the inertia at the end.

# %% tags=["exercise"]
def by_hand():
    """(first center, second center, inertia)"""
    ### BEGIN SOLUTION
    # {0}, {1, 5, 6, 7}: centers 0, 4.75.  Then {0, 1}, {5, 6, 7}: centers 0.5, 6.  Nothing changes any more.
    return 0.5, 6.0, 2 * 0.5**2 + 2 * 1.0
    ### END SOLUTION

# %% tags=["wrong"]
def by_hand():
    return 0.0, 4.75, 20.75

# %% tags=["wrong"]
def by_hand():
    return 0.5, 6.0, 0.5 + 0.5 + 1 + 1

# %% tags=["check"]
with check("03.1 by hand"):
    first, second, J = by_hand()
    assert (first, second) != (0.0, 4.75), "that is the end of the first step; go on"
    assert np.allclose([first, second], [0.5, 6.0]), "the centers are the means of {0, 1} and {5, 6, 7}"
    assert np.isclose(J, 2.5), "the inertia is the sum of *squared* distances"

# %% [markdown]
# **03.2 The update step, with weights.** Points (U, D) occur `counts` (U,) times. Return the weighted mean of each of
# the K clusters. (`np.add.at`, or a one-hot matrix.)

# %% tags=["exercise"]
def weighted_means(points, counts, nearest, n_clusters):
    """(K, D): the mean of each cluster's points, each taken as often as it occurs."""
    ### BEGIN SOLUTION
    weights = np.eye(n_clusters)[nearest] * counts[:, None]  # (U, K)
    return weights.T @ points / weights.sum(0)[:, None]
    ### END SOLUTION

# %% tags=["wrong"]
def weighted_means(points, counts, nearest, n_clusters):
    return np.array([points[nearest == k].mean(0) for k in range(n_clusters)])

# %% tags=["wrong"]
def weighted_means(points, counts, nearest, n_clusters):
    weights = np.eye(n_clusters)[nearest] * counts[:, None]
    return weights.T @ points / counts.sum()

# %% tags=["check"]
with check("03.2 weighted means"):
    p, n, k = np.array([[0.0], [1.0], [10.0]]), np.array([3, 1, 2]), np.array([0, 0, 1])
    assert np.allclose(weighted_means(p, n, k, 2), [[0.25], [10.0]]), "three zeros and a one have the mean 1/4"
    many = distinct_features(small, "rgb")
    nearest = assign(many.values, many.values[:5])
    expected = update(many.values, nearest, many.values[:5], many.counts)
    mine = weighted_means(many.values.numpy(), many.counts.numpy(), nearest.numpy(), 5)
    assert np.allclose(mine, expected, atol=1e-4), "it differs from seglab's on a photograph"

# %% [markdown]
# **03.3 The first center beyond the first.** Given points and one center, return the probability with which plain
# k-means++ draws each point as the second center.

# %% tags=["exercise"]
def second_center_probabilities(points, center):
    """(N,) for points (N, D) and a center (D,)."""
    ### BEGIN SOLUTION
    squared = ((points - center) ** 2).sum(1)
    return squared / squared.sum()
    ### END SOLUTION

# %% tags=["wrong"]
def second_center_probabilities(points, center):
    distance = np.sqrt(((points - center) ** 2).sum(1))
    return distance / distance.sum()

# %% tags=["wrong"]
def second_center_probabilities(points, center):
    squared = ((points - center) ** 2).sum(1)
    return (squared == squared.max()).astype(float)

# %% tags=["check"]
with check("03.3 k-means++"):
    p = second_center_probabilities(np.array([[0.0], [1.0], [3.0]]), np.array([0.0]))
    assert np.isclose(p.sum(), 1), "probabilities sum to one"
    assert np.allclose(p, [0, 0.1, 0.9]), "proportional to the *squared* distance: 0, 1 and 9"

# %% [markdown]
# **03.4 Mend the hue.** In HSV, red lies at both ends of the hue. Turn each pixel's hue $h$ and saturation $s$ into two
# numbers whose distance is small for similar colors: a point on a disk.

# %% tags=["exercise"]
def hue_on_a_disk(h, s):
    """(N, 2) for hues and saturations (N,), both in [0, 1]."""
    ### BEGIN SOLUTION
    return np.stack([s * np.cos(2 * np.pi * h), s * np.sin(2 * np.pi * h)], axis=1)
    ### END SOLUTION

# %% tags=["wrong"]
def hue_on_a_disk(h, s):
    return np.stack([h, s], axis=1)

# %% tags=["wrong"]
def hue_on_a_disk(h, s):
    return np.stack([s * np.cos(h), s * np.sin(h)], axis=1)

# %% tags=["check"]
with check("03.4 hue on a disk"):
    disk = hue_on_a_disk(np.array([0.01, 0.99, 0.5, 0.25, 0.75]), np.array([1, 1, 1, 0.0, 0.0]))
    assert disk.shape == (5, 2), "two numbers a pixel"
    apart = np.linalg.norm(disk[0] - disk[1]), np.linalg.norm(disk[0] - disk[2])
    assert apart[0] < 0.2 < apart[1], "hues 0.01 and 0.99 are neighbors, 0.01 and 0.5 are opposites"
    assert np.allclose(disk[3], disk[4]), "without saturation there is no hue: all grays in one place"

# %% [markdown]
# **03.5 The best of several.** Return the segmentation with the lowest inertia among ten random starts.

# %% tags=["exercise"]
def best_of_ten(image, n_clusters):
    """A Segmentation; use KMeans(..., start="random", seed=...)."""
    ### BEGIN SOLUTION
    results = [KMeans(n_clusters=n_clusters, start="random", seed=seed).segment(image) for seed in range(10)]
    return min(results, key=lambda r: float(r.state.objective))
    ### END SOLUTION

# %% tags=["wrong"]
def best_of_ten(image, n_clusters):
    results = [KMeans(n_clusters=n_clusters, start="random", seed=seed, max_iter=1).segment(image) for seed in range(10)]
    return min(results, key=lambda r: float(r.state.objective))

# %% tags=["wrong"]
def best_of_ten(image, n_clusters):
    results = [KMeans(n_clusters=n_clusters, start="random", seed=seed).segment(image) for seed in range(10)]
    return max(results, key=lambda r: float(r.state.objective))

# %% tags=["check"]
with check("03.5 the best of several"):
    tiny_coffee = datasets.photo("coffee", max_side=60)
    mine = float(best_of_ten(tiny_coffee, 6).state.objective)
    each = [float(KMeans(n_clusters=6, start="random", seed=s).segment(tiny_coffee).state.objective) for s in range(10)]
    assert mine <= min(each) * 1.0001, f"yours has the inertia {mine:,.0f}; one of the ten has {min(each):,.0f}"

# %% [markdown]
# ## References
#
# - S. Lloyd (1982, written 1957). *Least squares quantization in PCM.* IEEE Transactions on Information Theory 28(2).
#   [doi:10.1109/TIT.1982.1056489](https://doi.org/10.1109/TIT.1982.1056489)
# - J. MacQueen (1967). *Some methods for classification and analysis of multivariate observations.* 5th Berkeley
#   Symposium, where the name k-means comes from.
# - D. Arthur, S. Vassilvitskii (2007). *k-means++: the advantages of careful seeding.* SODA.
