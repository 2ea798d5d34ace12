# %% [markdown]
# # 02 · Thresholding
#
# One number splits a picture in two. This chapter is about choosing that number, and about the pictures for which no
# such number exists.
#
# **After this chapter you can**
#
# - compute Otsu's threshold by hand and say what it makes as large as possible,
# - choose between one threshold, several, a local one and hysteresis,
# - look at a histogram and foresee that thresholding will fail.
#
# **Time** 45 minutes · **Before this** chapter 01: label maps

# %%
from seglab import datasets, plot
from seglab.methods import Thresholding

coins = datasets.photo("coins")
page = datasets.photo("page")
found = [Thresholding().segment(coins), Thresholding(rule="local", polarity="dark", offset=0.05).segment(page)]
titles = ["coins", "one threshold", "a page", "one for each pixel"]
plot.show(coins, found[0], page, found[1], cols=4, size=2.4, titles=titles)

# %% [markdown]
# ## Set-up

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from skimage.filters import threshold_multiotsu, threshold_otsu

from seglab.exercises import check
from seglab.labels import connected_components
from seglab.methods.thresholding import gray_histogram, local_threshold, multi_otsu, otsu_curve
from seglab.metrics import segmentation_covering
from seglab.widgets import compare, explore, step_through

# %% [markdown]
# ## The problem
#
# Sixteen gray values, from 0 (black) to 1 (white). Your eye sees two halves at once. Where would you draw the line?

# %%
step = datasets.tiny("step")
plot.show(step.image[0], step.instances, titles=["gray values", "what the eye says"])

# %% [markdown]
# Any threshold from 0.2 up to (but not including) 0.7 gives the same answer. The label of a pixel is
#
# $$f(x) = \begin{cases} 1 & \text{if } I(x) > t \\ 0 & \text{otherwise.} \end{cases}$$
#
# A pixel that *equals* the threshold is background here, as in scikit-image. Some books write $\ge$: for whole gray
# levels that only moves $t$ by one.

# %%
for t in (0.1, 0.2, 0.6, 0.7):
    print(f"t = {t}: {(step.image[0] > torch.tensor(t)).sum().item()} bright pixels of 16")

# %% [markdown]
# ## Use it
#
# Otsu's rule finds the number for us.

# %%
result = Thresholding(rule="otsu").segment(coins)
plot.show(coins, result.labels, result, size=2.6, titles=["picture", "label map", "labels over the picture"])

# %% [markdown]
# ## The idea and the objective
#
# Forget where the pixels are; keep only how many there are of each gray value. That is the **histogram**. A threshold
# cuts it in two classes. A good cut leaves each class narrow and the two far apart.

# %%
counts, centers = gray_histogram(coins[0])
start = next(Thresholding().steps(coins))
plot.draw(start.panels(coins)[0]);

# %% [markdown]
# Let $\omega_0$ and $\omega_1$ be the shares of the pixels in the two classes, and $\mu_0$, $\mu_1$ their mean gray
# values. Otsu takes the threshold with the largest **between-class variance**
#
# $$\sigma_B^2(t) = \omega_0\,\omega_1\,(\mu_1 - \mu_0)^2 .$$
#
# The total variance never changes and is the sum $\sigma_B^2 + \sigma_W^2$, so the same threshold makes the variance
# *within* the classes, $\sigma_W^2$, as small as possible.
#
# | symbol | in the code | meaning |
# |---|---|---|
# | $h_i$, $g_i$ | `counts`, `centers` | pixels in bin $i$, and its gray value |
# | $\omega_0(t)$ | `omega` | share of pixels up to $t$ |
# | $\omega_0\mu_0(t)$ | `moment` | their part of the mean |
# | $\sigma_B^2(t)$ | `variance` | what is maximized |

# %% [markdown]
# ## Build it
#
# **First rung: a loop over candidates**, just as the formula says.

# %%
def otsu_loop(gray):
    best, best_variance = None, -1.0
    for t in np.unique(gray)[:-1]:
        dark, bright = gray[gray <= t], gray[gray > t]
        omega = dark.size / gray.size
        variance = omega * (1 - omega) * (bright.mean() - dark.mean()) ** 2
        if variance > best_variance:
            best, best_variance = t, variance
    return best, best_variance

gray = step.image[0].double().numpy()
t, variance = otsu_loop(gray)
print(f"t = {t:.2f}, between-class variance {variance:.4f}")
assert ((gray > t).astype(int) == step.instances.numpy()).all()

# %% [markdown]
# **Second rung: no loop over pixels.** Every candidate needs the pixels once more. But two running sums over the
# histogram hold all that the formula asks for: $\omega_0$ and $\omega_0\mu_0$.

# %%
def otsu_sums(counts, centers):
    share = counts / counts.sum()
    omega = share.cumsum(0)[:-1]
    moment = (share * centers).cumsum(0)
    return (moment[-1] * omega - moment[:-1]) ** 2 / (omega * (1 - omega))

variance = otsu_sums(counts, centers)
t, expected = otsu_loop(coins[0].double().numpy())
assert np.isclose(variance.max().item(), expected)
assert np.isclose(centers[variance.argmax()].item(), t)
print(f"loop and sums agree: t = {t:.4f}, or {round(t * 255)} of 255")

# %% [markdown]
# **Third rung: the same, for any histogram and on any device**, is `otsu_curve` in `seglab`.

# %%
assert torch.allclose(otsu_curve(counts, centers), variance)
assert np.isclose(result.state.thresholds.item(), t)

# %% [markdown]
# ## Step through it
#
# The player tries one candidate after another, from dark to bright, and keeps the best so far.
#
# **Predict first.** The histogram of the coins has one tall hill (the backdrop) and a long slope (the coins). Will the
# best threshold lie at the foot of the hill, in the middle of the gray scale, or at half the pixels?

# %%
step_through(Thresholding(), datasets.photo("coins", max_side=240), max_states=100)

# %% [markdown]
# <details><summary>Where does it lie?</summary>
#
# At the foot of the hill, on its bright side. The curve is broad there: many thresholds nearby are almost as good. That
# is typical, and a warning: the exact number rarely matters, the shape of the histogram does.
# </details>

# %% [markdown]
# ## The parameters
#
# `rule` is the parameter that matters. **More than two classes**: multi-Otsu cuts the histogram in several places.

# %%
plot.sweep(Thresholding(rule="multi-otsu"), datasets.photo("camera", max_side=256), "n_classes", [2, 3, 4, 5], size=2.3)

# %% [markdown]
# Trying all sets of thresholds would take $\binom{255}{K-1}$ trials. But the best way to split what lies right of the
# first threshold does not depend on what lies left of it. So `multi_otsu` adds one class at a time and remembers the
# best rest for each starting point: *dynamic programming*, $K - 1$ rounds of a $256 \times 256$ table.

# %%
camera = datasets.photo("camera")
ours = multi_otsu(*gray_histogram(camera[0]), n_classes=4)
theirs = threshold_multiotsu(np.round(camera[0].numpy() * 255).astype(np.uint8), classes=4)
print("ours, of 255:", (ours * 255).round().int().tolist(), " scikit-image:", theirs.tolist())

# %% [markdown]
# **A threshold for each pixel.** The page is lit from one side: its shadow is darker than ink in the light. The local
# rule compares a pixel with the mean around it, less an `offset`. `radius` says how far *around* reaches.

# %%
local = Thresholding(rule="local", polarity="dark", offset=0.05)
plot.sweep(local, page, "radius", [2, 4, 12, 50], size=2.4)

# %% [markdown]
# A window no larger than a stroke of the pen is all ink: nothing in it is darker than its mean. A very large one is a
# single threshold again. Somewhat larger than a letter is right. What the rule compares with is a picture, too:

# %%
surface = local_threshold(page[0], radius=12, offset=0.05)
titles = ["the page", "Otsu's threshold", "a threshold for each pixel", "darker than that"]
single = Thresholding(polarity="dark").segment(page)
plot.show(page, single, surface, local.segment(page), titles=titles, cols=2, overlay=False)

# %% [markdown]
# **Two thresholds, one question of neighbors.** Hysteresis keeps what is above `high`, and what is above `low` *and
# connected* to it. Weak pixels need a strong friend.

# %%
edges = torch.hypot(*torch.gradient(datasets.photo("coins")[0]))[None] * 4
edges = edges.clamp(max=1)
rules = [Thresholding(rule="fixed", threshold=t) for t in (0.2, 0.6)]
rules.append(Thresholding(rule="hysteresis", low=0.2, high=0.6))
plot.show(edges, *(rule.segment(edges) for rule in rules), overlay=False, cols=4, size=2.4,
          titles=["strength of edges", "above 0.2: too much", "above 0.6: too little", "hysteresis, 0.2 and 0.6"])

# %% [markdown]
# All of it at your fingertips. Try the page with each rule; try to get the letters without the shadow.

# %%
explore(Thresholding(rule="local", polarity="dark", offset=0.05), {"page": page, "coins": coins})

# %% [markdown]
# ## A real photograph
#
# We outlined the 24 coins by hand. The *covering* says how well our segments overlap those (1 is perfect).
#
# **Predict first.** Should the coins be compared as one foreground, or as 24 things? What is the difference for a
# method that labels a pixel 0 or 1?

# %%
truth = datasets.photo_truth("coins").labels
mask = result.labels == 1
print(f"foreground against background: SC = {segmentation_covering((truth > 0).long(), result.labels):.3f}")
print(f"24 coins and a background:     SC = {segmentation_covering(truth, result.labels):.3f}")
pieces = connected_components(result.labels)
print(f"each piece its own segment:    SC = {segmentation_covering(truth, pieces):.3f}")

# %% [markdown]
# Two labels cannot tell coins apart, so against 24 coins the score drops. Splitting the foreground into *connected
# pieces* repairs most of it. What is left is visible: bright backdrop at the top, worn coins at the bottom.

# %%
wrong = torch.where(mask == (truth > 0), 0, torch.where(mask, 1, 2))
plot.show(mask, wrong, titles=["Otsu", "wrong: too much, too little"], image=coins, overlay=True)
print(f"{(wrong > 0).double().mean():.1%} of the pixels are wrong")

# %% [markdown]
# **Agreement with a library.** The same number as scikit-image's, on every bundled gray photograph:

# %%
for name in datasets.photos(color=False):
    array = np.round(datasets.photo(name)[0].numpy() * 255).astype(np.uint8)
    ours = Thresholding().segment(array).state.thresholds.item() * 255
    print(f"{name:12} ours {ours:5.0f}   scikit-image {threshold_otsu(array):5}")
    assert round(ours) == threshold_otsu(array)

# %% [markdown]
# Rules side by side, scored against the outlines (zoom in to see what each gets wrong):

# %%
rules = [Thresholding(), Thresholding(rule="local", radius=50), Thresholding(rule="hysteresis", low=0.42, high=0.6)]
compare(rules, {"coins": coins}, {"coins": (truth > 0).long()})

# %% [markdown]
# ## Where it breaks
#
# **1 · Light that fades.** The bars are darker than the paper *around* them, but the bright bar is lighter than the
# dark paper. No single number can separate what overlaps in the histogram.

# %%
shade = datasets.tiny("shade")
by_otsu = Thresholding(polarity="dark").segment(shade.image)
by_local = Thresholding(rule="local", statistic="mean", radius=2, polarity="dark").segment(shade.image)
plot.show(shade.image[0], shade.semantic, by_otsu.labels, by_local.labels, cols=2,
          titles=["fading light", "truth", "one threshold", "a local one"])

# %% [markdown]
# **2 · Noise.** Two gray values 0.2 apart, with more and more noise. The classes' hills run into each other; from then
# on a threshold must be wrong about the pixels in between, wherever it stands.

# %%
flat = datasets.two_tone(height=96, width=96, noise=0.0, seed=0)
with plot.style():
    figure, axes = plt.subplots(2, 3, figsize=(7.5, 4.4))
rng = torch.Generator().manual_seed(0)
for (top, bottom), noise in zip(axes.T, (0.03, 0.1, 0.3), strict=True):
    noisy = (flat.image[:1] + noise * torch.randn(flat.image[:1].shape, generator=rng)).clamp(0, 1)
    labels = Thresholding().segment(noisy).labels
    share = max((labels == flat.instances).double().mean(), (labels != flat.instances).double().mean())
    top.imshow(labels, cmap="gray")
    top.set(title=f"noise {noise}: {share:.0%} right", xticks=[], yticks=[])
    bottom.hist(noisy.flatten().numpy(), bins=60, range=(0, 1), color="#0072B2")

# %% [markdown]
# **3 · A small object.** Otsu's rule prefers classes of similar size, since $\omega_0\omega_1$ is largest at one half.
# The fewer pixels the bright disk has, the more the threshold slides into the noisy background.

# %%
def disk(radius, size=96, seed=0):
    rows, cols = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    inside = (rows - size / 2) ** 2 + (cols - size / 2) ** 2 <= radius**2
    noise = 0.1 * torch.randn(size, size, generator=torch.Generator().manual_seed(seed))
    return torch.where(inside, 0.75, 0.35).add(noise).clamp(0, 1)[None]

disks = [Thresholding().segment(disk(radius)) for radius in (32, 12, 5, 2)]
captions = [f"threshold {r.state.thresholds.item():.2f}" for r in disks]
plot.show(*disks, overlay=False, cols=4, size=2.2, captions=captions, titles=[f"radius {r} px" for r in (32, 12, 5, 2)])

# %% [markdown]
# **4 · Color thrown away.** Two colors that differ plainly can have the same gray value. What a threshold never sees it
# cannot separate; the next chapter uses all three channels.

# %%
red, green = torch.tensor([0.85, 0.2, 0.2]), torch.tensor([0.15, 0.41, 0.1])
both = torch.where(torch.arange(64)[None, :, None] < 32, red, green).expand(64, 64, 3).movedim(2, 0)
both = (both + 0.02 * torch.randn(both.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
gray = both.new_tensor([0.2125, 0.7154, 0.0721]) @ both.flatten(1)
plot.show(both, gray.reshape(64, 64), Thresholding().segment(both).labels,
          size=2.4, titles=["in color", "its gray values", "Otsu"])

# %% [markdown]
# ## Summary
#
# - A threshold looks at gray values alone; Otsu's takes the one with the largest between-class variance, found from two
#   running sums over the histogram.
# - Several classes: dynamic programming. Uneven light: a threshold for each pixel. Weak parts of strong things:
#   hysteresis.
# - It fails when the histograms of the classes overlap: fading light, noise, tiny objects, or equal grays of different
#   colors.
# - Labels 0 and 1 say *what*, not *which one*: connected pieces make things of them.

# %% [markdown]
# ## Exercises
#
# **02.1 By hand.** A picture has the gray values 0, 0, 0, 0, 1, 1, 5, 5 (each number is a pixel). Compute on paper the
# between-class variance for the thresholds 0 and 1. Return both numbers.

# %% tags=["exercise"]
def variances_by_hand():
    """The between-class variance at t = 0 and at t = 1."""
    ### BEGIN SOLUTION
    # t = 0: shares 1/2, 1/2; means 0, 3.  t = 1: shares 3/4, 1/4; means 1/3, 5
    return 0.5 * 0.5 * 3**2, 0.75 * 0.25 * (5 - 1 / 3) ** 2
    ### END SOLUTION

# %% tags=["wrong"]
def variances_by_hand():
    return 0.5 * 0.5 * 3, 0.75 * 0.25 * (5 - 1 / 3)

# %% tags=["wrong"]
def variances_by_hand():
    return 0.5 * 0.5 * 3**2, 0.75 * 0.25 * (5 - 1) ** 2

# %% tags=["check"]
with check("02.1 by hand"):
    first, second = variances_by_hand()
    assert np.isclose(first, 2.25), "t = 0: half of the pixels on each side, means 0 and 3; and square the difference"
    assert np.isclose(second, 49 / 12), "t = 1: the six dark pixels have the mean 1/3"

# %% [markdown]
# **02.2 The other half.** Write the *within*-class variance of a threshold: the variance of each class, weighted by its
# share. Then the check adds your number to the between-class variance; you know what must come out.

# %% tags=["exercise"]
def within_class_variance(gray, t):
    """Of an array of gray values, for the classes gray <= t and gray > t (both have pixels)."""
    ### BEGIN SOLUTION
    dark, bright = gray[gray <= t], gray[gray > t]
    return (dark.size * dark.var() + bright.size * bright.var()) / gray.size
    ### END SOLUTION

# %% tags=["wrong"]
def within_class_variance(gray, t):
    return gray[gray <= t].var() + gray[gray > t].var()

# %% tags=["wrong"]
def within_class_variance(gray, t):
    return gray.var() - 0.25 * (gray[gray > t].mean() - gray[gray <= t].mean()) ** 2

# %% tags=["check"]
with check("02.2 within and between"):
    values = np.array([0, 0, 0, 0, 1, 1, 5, 5.0])
    assert np.isclose(within_class_variance(values, 0), 2.0), "dark class: variance 0; bright class: variance 4"
    for t, between in ((0, 2.25), (1, 49 / 12)):
        total = within_class_variance(values, t) + between
        assert np.isclose(total, values.var()), f"at t = {t}: within + between = {total:.3f} is not the total variance"

# %% [markdown]
# **02.3 The best that any threshold can do.** Given the truth, find the threshold with the fewest wrong pixels, and
# that number of pixels. (A sorted array or a histogram for each class spares you a loop over pixels.)

# %% tags=["exercise"]
def best_threshold(gray, foreground):
    """(t, wrong): the label is 1 where gray > t; gray holds whole numbers 0 to 255, foreground is boolean."""
    ### BEGIN SOLUTION
    inside = np.bincount(gray[foreground], minlength=256).cumsum()  # foreground pixels that t would lose
    outside = np.bincount(gray[~foreground], minlength=256).cumsum()
    wrong = inside + (outside[-1] - outside)
    return int(wrong.argmin()), int(wrong.min())
    ### END SOLUTION

# %% tags=["wrong"]
def best_threshold(gray, foreground):
    t = int(threshold_otsu(gray))
    return t, int(((gray > t) != foreground).sum())

# %% tags=["wrong"]
def best_threshold(gray, foreground):
    wrong = [((gray >= t) != foreground).sum() for t in range(256)]
    return int(np.argmin(wrong)), int(np.min(wrong))

# %% tags=["check"]
with check("02.3 the best threshold"):
    gray_coins = np.round(coins[0].numpy() * 255).astype(np.uint8)
    foreground = (truth > 0).numpy()
    t, wrong_pixels = best_threshold(gray_coins, foreground)
    errors = [((gray_coins > s) != foreground).sum() for s in range(256)]
    assert ((gray_coins > t) != foreground).sum() == wrong_pixels, "count the wrong pixels at your own threshold"
    assert wrong_pixels == min(errors), f"some threshold is wrong about only {min(errors)} pixels"

# %% [markdown]
# **02.4 Count the coins.** Use connected pieces and leave out the small ones. Tune the method as you like; 24 is right.
# (`connected_components` labels the background's pieces, too: only those with label 1 count.)

# %% tags=["exercise"]
def count_coins(image):
    """The number of coins in the picture (1, H, W)."""
    ### BEGIN SOLUTION
    result = Thresholding(rule="local", radius=50, offset=-0.04).segment(image)
    pieces = connected_components(result.labels)
    bright = pieces[result.labels == 1].bincount(minlength=int(pieces.max()) + 1)
    return int((bright > 300).sum())
    ### END SOLUTION

# %% tags=["wrong"]
def count_coins(image):
    result = Thresholding().segment(image)
    return int(connected_components(result.labels).max()) + 1

# %% tags=["wrong"]
def count_coins(image):
    return 24 if image.shape[-1] == 384 else 0

# %% tags=["check"] points=2
with check("02.4 count the coins"):
    assert count_coins(coins) == 24, f"you count {count_coins(coins)}; there are 24"
    left = count_coins(coins[:, :, :182])  # between the third and the fourth column of coins
    assert left == 12, f"in the left three columns there are 12 coins; you count {left}"

# %% [markdown]
# **02.5 Break it.** Make a picture with two areas that any eye tells apart, and for which Otsu's threshold is wrong
# about more than a fifth of the pixels. Return the picture (H, W), values in [0, 1], and its truth.

# %% tags=["exercise"]
def break_otsu():
    """(gray, truth): float (H, W) in [0, 1] and the right labels (H, W), 0 or 1."""
    ### BEGIN SOLUTION
    light = np.linspace(0, 0.8, 64)[None].repeat(64, axis=0)
    truth = np.zeros((64, 64), int)
    truth[16:48] = 1
    return light + 0.15 * truth, truth
    ### END SOLUTION

# %% tags=["wrong"]
def break_otsu():
    truth = np.zeros((64, 64), int)
    truth[16:48] = 1
    return 0.2 + 0.5 * truth, truth

# %% tags=["wrong"]
def break_otsu():
    return np.full((64, 64), 0.5), np.indices((64, 64))[0] // 32

# %% tags=["check"]
with check("02.5 break it"):
    gray_broken, truth_broken = break_otsu()
    assert np.ptp(gray_broken) > 0.1, "two areas that an eye tells apart, please"
    means = [gray_broken[truth_broken == k].mean() for k in (0, 1)]
    assert abs(means[0] - means[1]) > 0.05, "the two areas should differ in their mean gray value"
    answer = Thresholding().segment(gray_broken).numpy()
    share = max((answer == truth_broken).mean(), (answer != truth_broken).mean())
    assert share < 0.8, f"Otsu is right about {share:.0%} of the pixels"

# %% [markdown]
# ## References
#
# - N. Otsu (1979). *A threshold selection method from gray-level histograms.* IEEE Transactions on Systems, Man, and
#   Cybernetics 9(1). [doi:10.1109/TSMC.1979.4310076](https://doi.org/10.1109/TSMC.1979.4310076)
# - P. Liao, T. Chen, P. Chung (2001). *A fast algorithm for multilevel thresholding.* Journal of Information Science
#   and Engineering 17(5).
# - J. Sauvola, M. Pietikäinen (2000). *Adaptive document image binarization.* Pattern Recognition 33(2).
#   [doi:10.1016/S0031-3203(99)00055-2](https://doi.org/10.1016/S0031-3203(99)00055-2)
# - J. Canny (1986). *A computational approach to edge detection.* IEEE TPAMI 8(6), for hysteresis.
#   [doi:10.1109/TPAMI.1986.4767851](https://doi.org/10.1109/TPAMI.1986.4767851)
