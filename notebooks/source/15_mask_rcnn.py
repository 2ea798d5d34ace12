# %% [markdown]
# # 15 · Mask R-CNN
#
# A semantic map says *sheep* at every pixel of the flock. How many sheep are there? Mask R-CNN answers that: it finds
# boxes that may hold an object, looks into each, and says what it is, where exactly, and which pixels it has.
#
# **After this chapter you can**
#
# - build a detector from its parts: anchors, box coding, suppression, RoIAlign, and check each against a loop,
# - look at every stage of a trained network, and say at which one an object was lost,
# - score instances by average precision, by hand, and say what the number hides.
#
# **Time** 100 minutes · **Before this** chapters 12 and 13; 01 for the kinds of segmentation

# %%
from seglab import datasets, plot
from seglab.labels import overlay
from seglab.networks import Training, load_weights, weights_info
from seglab.networks.recipes import mask_rcnn_shapes as recipe

model = load_weights(recipe.make_model(), recipe.NAME)
scenes = [recipe.make_scene(100_000 + k) for k in range(40)]  # none of them was seen in training
pictures = [scene.image for scene in scenes[:4]]
found = [model.detect(picture) for picture in pictures]
shown = [overlay(one[one.scores > 0.5].instances() - 1, p) for one, p in zip(found, pictures, strict=True)]
plot.show(*pictures, *shown, cols=4, size=2.3)

# %% [markdown]
# ## Set-up

# %%
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch.nn import functional as F

from seglab.drawing import draw_on
from seglab.exercises import check
from seglab.labels import connected_components
from seglab.metrics import bowl_score, instance_benchmark, instance_scores
from seglab.networks.detection import (
    box_iou, boxes_of, decode, encode, make_anchors, match_boxes, nms, nms_by_matrix, paste_masks, roi_align, roi_pool)
from seglab.networks.recipes import mask_rcnn_nuclei as nuclei
from seglab.networks.stages import DetectionStages, box_lines
from seglab.panels import Lines, Picture
from seglab.widgets import step_through

# %% [markdown]
# ## The problem
#
# Two red squares, and this time they touch. Their classes, and a map of what hangs together:

# %%
touching = torch.zeros(8, 8, dtype=torch.long)
touching[1:5, 1:4], touching[3:7, 4:7] = 1, 2
semantic = (touching > 0).long()
tiny = torch.where(touching[None] > 0, torch.tensor([0.8, 0.3, 0.2])[:, None, None], 0.9)
parts = connected_components(semantic)
plot.show(tiny, semantic, parts, touching, size=2.3, annotate=False,
          titles=["8×8 pixels", "semantic", "connected", "instances"])
print(f"connected parts on the ground: {parts.max().item()}, objects: {touching.max().item()}")

# %% [markdown]
# A semantic map has lost the count, and no later step finds it again: the border between two objects of one class is
# not in it. Unsupervised methods fail alike, for color and nearness say nothing about *one* and *two*. **Instance
# segmentation** numbers the objects, and numbers have no meaning: any order is as good. So a network cannot simply be
# trained to output "object 2" at a pixel. Mask R-CNN's way out: **boxes first**. A box is about one object; inside it
# the question is again one of two classes, object or not.

# %% [markdown]
# ## Use it
#
# `detect` gives boxes, classes, scores and masks, the surest first. Here is one picture of the first figure:


# %%
def show_boxes(ax, image, boxes, title, texts=()):
    """Boxes (N, 4) over a picture, and a text at each."""
    draw_on(ax, Lines(title=title, lines=box_lines(boxes)), image=image)
    for (top, left, *_), text in zip(boxes.tolist(), texts, strict=False):
        ax.text(left, top, text, fontsize=7, color="black", va="bottom",
                bbox={"facecolor": "#F0E442", "edgecolor": "none", "pad": 0.8})


image, one = pictures[1], found[1][found[1].scores > 0.3]
names = [f"{recipe.CLASSES[k - 1]} {s:.2f}" for k, s in zip(one.classes.tolist(), one.scores.tolist(), strict=True)]
with plot.style():
    figure, axes = plt.subplots(1, 3, figsize=(9.5, 3.2))
show_boxes(axes[0], image, one.boxes, f"{len(one)} detections surer than 0.3", names)
draw_on(axes[1], Picture(title="how many masks at a pixel", values=one.pasted().sum(0)))
draw_on(axes[2], Picture(title="the surer has the pixel", values=overlay(one.instances() - 1, image).permute(1, 2, 0)))

# %% [markdown]
# ## The idea
#
# Three networks share one map of features.
#
# 1. The **backbone** turns the picture into features, one cell for each $s \times s$ pixels. It goes down to a
#    sixteenth and comes up again, so that a cell knows its surroundings.
# 2. The **region proposal network** looks at each cell with $A$ boxes of fixed sizes, the **anchors**. It scores each:
#    is an object here? And it says how to move it so that it fits.
# 3. From each proposal, **RoIAlign** reads a grid of $14 \times 14$ features, whatever the box's size. Three heads see
#    the same grid: **classification** ($K+1$ scores), **localization** (a better box), **segmentation** (a mask of
#    $28 \times 28$ for each class).
#
# Between them, **non-maximum suppression** deletes what overlaps something surer. The loss is a sum of five,
#
# $$L = \underbrace{L_\text{score} + L_\text{box}}_{\text{anchors}}
# + \underbrace{L_\text{class} + L_\text{box} + L_\text{mask}}_{\text{proposals}},$$
#
# cross-entropy for scores and classes, smooth $L_1$ for boxes, and for masks the cross-entropy of each point **in the
# mask of the true class only**: masks of different classes do not compete, what it is has been decided elsewhere.
#
# | symbol | in the code | shape | meaning |
# |---|---|---|---|
# | $s$ | `stride` | | pixels from cell to cell |
# | $A$ | `scales` × `ratios` | | anchors at a cell |
# | $(t, l, b, r)$ | `boxes` | (N, 4) | top, left, bottom, right: edges, not centers of pixels |
# | $\delta$ | `deltas` | (N, 4) | how a box differs from its anchor |
# | | `scores` | (N,) | how sure |
# | $K$ | `n_classes` | | kinds of objects; 0 is the background |
# | IoU | `box_iou` | (A, B) | intersection over union |

# %% [markdown]
# ### Anchors on eight by eight pixels
#
# A map of $2 \times 2$ cells with stride 4, three ratios of height to width, one scale. Which anchor is an *example*
# of which square?
#
# > **Predict first.** The squares are 4×3. Of the twelve anchors, how many overlap a square by more than a half?

# %%
anchors = make_anchors(2, 2, stride=4, scales=(3.5,), ratios=(0.5, 1, 2))
boxes = boxes_of(touching)
kind, which = match_boxes(anchors, boxes, high=0.5, low=0.2, best=True)
with plot.style():
    figure, axes = plt.subplots(1, 3, figsize=(9, 3))
for ax, ratio in zip(axes, range(3), strict=True):
    own = anchors[ratio::3]
    overlaps = box_iou(own, boxes).amax(1).tolist()
    show_boxes(ax, tiny, own, f"ratio {(0.5, 1, 2)[ratio]}", [f"{value:.2f}" for value in overlaps])
    ax.set(xlim=(-1.5, 8.5), ylim=(8.5, -1.5))
print({name: int((kind == value).sum()) for name, value in (("object", 1), ("background", 0), ("neither", -1))})

# %% [markdown]
# An anchor with a large overlap is an example of the object, one with a small overlap an example of the background, and
# what is between is not used: nobody wants a network punished for a half-right answer. An object that no anchor fits
# well gets its best one all the same.

# %% [markdown]
# ### How a box is said
#
# The network does not say "move by 7 pixels": it does not know how large the anchor is. It says *by a tenth of your
# height* and *1.3 times as wide*, and the latter as a logarithm:
#
# $$\delta = \left(\frac{y - y_a}{h_a},\ \frac{x - x_a}{w_a},\ \log\frac{h}{h_a},\ \log\frac{w}{w_a}\right).$$

# %%
def encode_by_hand(box, anchor):
    """Four numbers of a box and of an anchor to the four differences."""
    (y, h), (ya, ha) = (((b[0] + b[2]) / 2, b[2] - b[0]) for b in (box, anchor))
    (x, w), (xa, wa) = (((b[1] + b[3]) / 2, b[3] - b[1]) for b in (box, anchor))
    return [(y - ya) / ha, (x - xa) / wa, np.log(h / ha), np.log(w / wa)]


example = (kind == 1).nonzero()[0, 0]
target, anchor = boxes[which[example]], anchors[example]
delta = encode(target, anchor)
assert np.allclose(delta, encode_by_hand(target.tolist(), anchor.tolist()), atol=1e-5)
assert torch.allclose(decode(delta, anchor), target, atol=1e-5)  # and back
print("anchor", anchor.numpy().round(2), "→ box", target.numpy(), "by", delta.numpy().round(3))

# %% [markdown]
# The same answer serves a large and a small object: scale both boxes, and the four numbers stay. (Exercise 15.3 goes
# back.)

# %% [markdown]
# ## Build it
#
# ### Intersection over union
#
# **First rung: two boxes.** Then **all pairs at once**, by broadcasting.


# %%
def iou_by_hand(a, b):
    height = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    width = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    both = height * width
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def iou_of_all(a, b):
    sides = torch.minimum(a[:, None, 2:], b[None, :, 2:]) - torch.maximum(a[:, None, :2], b[None, :, :2])
    both = sides.clamp(min=0).prod(-1)
    area_a, area_b = ((of[:, 2:] - of[:, :2]).prod(-1) for of in (a, b))
    return both / (area_a[:, None] + area_b - both)


by_loop = [[iou_by_hand(a, b) for b in boxes.tolist()] for a in anchors.tolist()]
assert np.allclose(iou_of_all(anchors, boxes), by_loop, atol=1e-6)
assert torch.allclose(box_iou(anchors, boxes), iou_of_all(anchors, boxes))

# %% [markdown]
# ### Non-maximum suppression
#
# A good detector fires many times on one object. Keep the surest box, drop what overlaps it, take the next.


# %%
def nms_by_hand(boxes, scores, threshold):
    left, kept = scores.argsort(descending=True, stable=True).tolist(), []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [i for i in left if iou_by_hand(boxes[best].tolist(), boxes[i].tolist()) <= threshold]
    return kept


crowd = boxes.repeat(6, 1) + torch.randn(12, 4, generator=torch.Generator().manual_seed(1)) * 0.25
scores = torch.rand(12, generator=torch.Generator().manual_seed(2))
kept = nms_by_hand(crowd, scores, 0.5)
with plot.style():
    figure, axes = plt.subplots(1, 2, figsize=(6, 3))
show_boxes(axes[0], tiny, crowd, f"{len(crowd)} boxes")
show_boxes(axes[1], tiny, crowd[kept], f"{len(kept)} kept", [f"{scores[i]:.2f}" for i in kept])

# %% [markdown]
# The loop waits for itself: whether box 7 falls depends on whether box 3 has fallen before. A GPU does not like that.
# **Second rung: all at once, in rounds.** Write down who *would* suppress whom, and repeat: a box stays if no surer box
# that stays overlaps it. The surest box is right after round one; those that depend only on right ones are right in the
# next; so the rounds end, and at the greedy answer.


# %%
def nms_in_rounds(boxes, scores, threshold):
    order = scores.argsort(descending=True, stable=True)
    above = (iou_of_all(boxes[order], boxes[order]) > threshold).triu(1)  # (surer, less sure)
    stays = torch.ones(len(boxes), dtype=torch.bool)
    for rounds in range(1, len(boxes) + 2):
        now = ~(above & stays[:, None]).any(0)
        if torch.equal(now, stays):
            return order[stays].tolist(), rounds
        stays = now


again, rounds = nms_in_rounds(crowd, scores, 0.5)
assert kept == again == nms(crowd, scores, 0.5).tolist() == nms_by_matrix(crowd, scores, 0.5).tolist()
g = torch.Generator().manual_seed(3)
many, sure = torch.rand(1000, 4, generator=g) * 90, torch.rand(1000, generator=g)
many[:, 2:] = many[:, :2] + 10 + 20 * torch.rand(1000, 2, generator=g)
print(f"12 boxes: {rounds} rounds; 1000 boxes: {nms_in_rounds(many, sure, 0.5)[1]} rounds")

# %% [markdown]
# `seglab` runs the loop, compiled, on a CPU and the rounds on a GPU; both keep the same boxes, and tests hold them to
# it.

# %% [markdown]
# ### RoIAlign
#
# The heads want a grid of fixed size from a box of any size, whose edges lie anywhere. **First rung: one point.** The
# value between four cells is their mean, weighted by how near they are. **Second rung: a grid.** Each of its bins
# takes the mean of $2\times2$ points.


# %%
def between_cells(cells, y, x):
    """The map's value at a point; cell (i, j) has its center at (i, j)."""
    y, x = (min(max(p, 0), n - 1) for p, n in zip((y, x), cells.shape, strict=True))
    i, j = int(y), int(x)
    below, right = min(i + 1, cells.shape[0] - 1), min(j + 1, cells.shape[1] - 1)
    above = (j + 1 - x) * cells[i, j] + (x - j) * cells[i, right]
    return (i + 1 - y) * above + (y - i) * ((j + 1 - x) * cells[below, j] + (x - j) * cells[below, right])


def align_by_hand(cells, box, size, stride):
    grid = np.zeros((size, size))
    for i in range(2 * size):
        for j in range(2 * size):
            y = (box[0] + (box[2] - box[0]) * (i + 0.5) / (2 * size)) / stride - 0.5
            x = (box[1] + (box[3] - box[1]) * (j + 0.5) / (2 * size)) / stride - 0.5
            grid[i // 2, j // 2] += between_cells(cells, y, x) / 4
    return grid


cells = torch.rand(6, 6, generator=torch.Generator().manual_seed(0)).double()
box = [5.3, 2.9, 19.1, 14.2]
print(align_by_hand(cells.numpy(), box, 3, stride=4).round(3))

# %% [markdown]
# **Third rung: no loop.** A cell at distance $d < 1$ from a point has the weight $1 - d$, rows and columns apart. So
# the whole grid is $W_\text{row}\, F\, W_\text{col}^\top$, with a thin matrix for the rows and one for the columns.


# %%
def hat_weights(start, end, size, n, stride):
    """(size, n): how much each of n cells counts in each bin."""
    points = (start + (end - start) * (torch.arange(2 * size) + 0.5) / (2 * size)) / stride - 0.5
    near = 1 - (points.clamp(0, n - 1)[:, None] - torch.arange(n)).abs()
    return near.clamp(min=0).reshape(size, 2, n).mean(1).double()


rows, cols = (hat_weights(box[k], box[k + 2], 3, 6, stride=4) for k in (0, 1))
grid = rows @ cells @ cols.T
first = torch.tensor([0])
assert np.allclose(grid, align_by_hand(cells.numpy(), box, 3, stride=4), atol=1e-6)
assert torch.allclose(grid, roi_align(cells[None, None], torch.tensor([box]), first, 3, stride=4)[0, 0], atol=1e-6)
plot.show(rows.numpy(), cols.numpy(), size=2.4, titles=["weights of the rows", "weights of the columns"])

# %% [markdown]
# Products and sums: gradients flow to the features, and to the box itself.
#
# ### What rounding does
#
# Its predecessor, RoIPool, rounds the box to whole cells, and each bin again. For a *class* that is good enough. For a
# mask?
#
# > **Predict first.** A box moves to the right, a pixel at a time, over a map of stride 8 whose cells hold their own
# > column. How does the value in its first bin grow?

# %%
ramp = torch.arange(16.0).expand(1, 1, 16, 16)
shifts = torch.arange(0, 33)
moved = torch.tensor([[32.0, 24, 80, 72]]) + shifts[:, None] * torch.tensor([0.0, 1, 0, 1])
zeros = torch.zeros(len(moved), dtype=torch.long)
with plot.style():
    figure, ax = plt.subplots(figsize=(6, 3))
for function, color in ((roi_align, "#0072B2"), (roi_pool, "#D55E00")):
    ax.plot(shifts, function(ramp, moved, zeros, 4, stride=8)[:, 0, 0, 0], color=color, label=function.__name__)
ax.set(title="the same bin of a box that moves", xlabel="moved by pixels", ylabel="cells")
ax.legend();

# %% [markdown]
# Now masks. 200 disks; each is seen at stride 8 (every cell the share of it that is disk), read from its box by either
# function into $28\times28$, and pasted back. How much of the disk is left?

# %%
g = torch.Generator().manual_seed(0)
center, radius = 40 + 48 * torch.rand(200, 2, 1, 1, generator=g), 10 + 20 * torch.rand(200, 1, 1, generator=g)
grid = torch.stack(torch.meshgrid(torch.arange(128) + 0.5, torch.arange(128) + 0.5, indexing="ij"))
disks = torch.linalg.vector_norm(grid - center, dim=1) < radius
seen = F.avg_pool2d(disks[:, None].float(), 8)
around = torch.cat([center[..., 0, 0] - radius[:, 0], center[..., 0, 0] + radius[:, 0]], 1)
left = {}
for function in (roi_align, roi_pool):
    read = function(seen, around, torch.arange(200), 28, stride=8)[:, 0]
    pasted = paste_masks(read, around, 128, 128) >= 0.5
    left[function.__name__] = (pasted & disks).sum((1, 2)) / (pasted | disks).sum((1, 2))
    print(f"{function.__name__}: mean IoU {left[function.__name__].mean():.3f}")
with plot.style():
    figure, ax = plt.subplots(figsize=(6, 3))
for name, color in (("roi_align", "#0072B2"), ("roi_pool", "#D55E00")):
    ax.plot(radius[:, 0, 0], left[name], ".", color=color, label=name)
ax.set(title="what is left of a disk, stride 8", xlabel="radius in pixels", ylabel="IoU")
ax.legend();

# %% [markdown]
# Rounding moves the grid by up to half a cell, and the mask with it: the smaller the object, the worse.

# %% [markdown]
# ## Step through it
#
# > **Predict first.** The map has $16\times16$ cells, each with nine anchors. How many boxes are there after each stage?

# %%
stages = DetectionStages(network=model)
step_through(stages, image)

# %%
states = list(stages.steps(image))
for state in states:
    print(state.describe())
with plot.style():
    figure, axes = plt.subplots(1, 5, figsize=(12.5, 2.8))
show_boxes(axes[0], image, states[3].boxes[:60], "60 surest, moved")
show_boxes(axes[1], image, states[4].suppressed[:60], "60 surest suppressed")
show_boxes(axes[2], image, states[4].boxes[:20], "20 surest that are left")
show_boxes(axes[3], image, states[6].boxes, "classified, suppressed")
draw_on(axes[4], Picture(title="masks", values=overlay(states[7].labels, image).permute(1, 2, 0)))

# %% [markdown]
# ## Training, in front of you
#
# Twenty epochs on 32 pictures are not enough for a good network, but you can watch the order in which things are
# learned, by the terms of its loss and by what it finds in one of the four pictures.
#
# > **Predict first.** Five losses: do boxes or classes come first?

# %%
samples = [recipe.to_sample(recipe.make_scene(k)) for k in range(32)]
beginner = recipe.make_model()
beginner.settings = replace(beginner.settings, min_score=0.3)
trace = Training(epochs=20, batch_size=4, lr=2e-3).trace(
    beginner, recipe.loss, samples, image=image, predict=lambda network, picture: network.detect(picture).instances() - 1)
step_through(trace)

# %% [markdown]
# First *that there is something* (proposals), then *where and which pixels*, last *what*. The four pictures after the
# last epoch:

# %%
young = trace.states[-1].model
shown = [overlay(young.detect(picture).instances() - 1, picture) for picture in pictures]
plot.show(*shown, cols=4, size=2.3, suptitle=f"{trace.states[-1].describe()}, {len(samples)} pictures")

# %% [markdown]
# The weights that this chapter loads come from the same recipe, and a longer training. What made them is stored beside
# them:

# %%
info = weights_info(recipe.NAME)
for key in ("command", "data", "device", "seconds", "n_weights", "bytes"):
    print(f"{key}: {info[key]}")
print({name: round(value, 3) for name, value in info["scores"].items()})

# %% [markdown]
# Connected segments of methods that learn nothing, on the same scenes. An oracle drops the ground and names the rest;
# the larger goes first. With so much help the best has the higher AP: shapes of one color are easy to outline. At an
# overlap of a half (AP50) the network is well ahead.

# %%
for title, row in {**info["unsupervised, with an oracle"], "Mask R-CNN, with no help at all": info["scores"]}.items():
    print(f"{title:48}" + "".join(f"  {name} {value:.3f}" for name, value in row.items()))

# %% [markdown]
# ## Measure it: average precision by hand
#
# Rank all detections of a data set by their score. Go down the list: each is right if it has the class of an object
# that nobody has claimed, and overlaps its mask by at least a threshold. After each, **precision** is the share of
# right ones so far, **recall** the share of the objects that are found. Average precision is the mean of the best
# precision reached at or beyond each of 101 recalls.

# %%
def average_precision(pictures, threshold, kind):
    """AP of a class from lists of (scores, classes, masks, true classes, true masks)."""
    trials, n_true = [], 0
    for scores, classes, masks, true_classes, true_masks in pictures:
        free = [mask for mask, c in zip(true_masks, true_classes, strict=True) if c == kind]
        n_true += len(free)
        for score, c, mask in zip(scores, classes, masks, strict=True):  # the surest first
            if c == kind:
                overlaps = [float((mask & true).sum() / (mask | true).sum()) for true in free]
                trials.append((float(score), max(overlaps, default=0) >= threshold))
                if trials[-1][1]:
                    free.pop(int(np.argmax(overlaps)))
    right = np.array([right for _, right in sorted(trials, key=lambda trial: -trial[0])])
    recall, precision = right.cumsum() / n_true, right.cumsum() / np.arange(1, len(right) + 1)
    return np.mean([max(precision[recall >= at], default=0) for at in np.linspace(0, 1, 101)])


# %%
held_out = [recipe.to_sample(scene) for scene in scenes]
detected = [model.detect(picture) for picture, _, _ in held_out]
listed = [
    (d.scores, d.classes.tolist(), d.pasted(), c[c > 0].tolist(), [i == k + 1 for k in range(int(i.max()))])
    for d, (_, i, c) in zip(detected, held_out, strict=True)
]
compared = [
    instance_scores(torch.stack(true), masks, scores=s, classes_true=ct, classes_pred=cp)
    for s, cp, masks, ct, true in listed
]
result = instance_benchmark(compared)
for kind, name in enumerate(recipe.CLASSES, 1):
    by_hand = average_precision(listed, 0.5, kind)
    assert np.isclose(by_hand, result.ap[kind - 1, 0], atol=1e-3)
    print(f"{name}: AP at 0.5 {by_hand:.3f}")

# %%
with plot.style():
    figure, axes = plt.subplots(1, 2, figsize=(9, 3))
for k, t in enumerate(result.thresholds):
    if k % 2 == 0:
        axes[0].plot(np.linspace(0, 1, 101), result.precision[:, k].mean(0), label=f"{t:.2f}")
axes[0].set(title="precision at each recall, by overlap", xlabel="recall", ylim=(0, 1.05))
axes[0].legend(fontsize=8)
axes[1].bar(np.arange(10), result.ap.mean(0), color="#56B4E9")
axes[1].set(title=f"AP by overlap; the mean is {result.mean_ap:.3f}", ylim=(0, 1), xticks=range(10))
axes[1].set_xticklabels([f"{t:.2f}" for t in result.thresholds], fontsize=8);

# %% [markdown]
# That mean over ten thresholds is COCO's AP. It falls fast to the right: finding is easier than outlining. Two other
# measures look at the same pairs. The **Data Science Bowl's score** $TP/(TP+FP+FN)$ knows no ranking: a method without
# confidences can be scored. **Panoptic quality** separates finding (RQ) from outlining (SQ).

# %%
print(result)

# %% [markdown]
# ## The parameters
#
# Two thresholds are yours after training. What do they trade?

# %%
def scored(min_score, suppression):
    """Precision, recall and F of the held-out pictures at an overlap of 0.5."""
    model.settings = replace(recipe.make_model().settings, min_score=min_score, detection_nms=suppression)
    rows = []
    for picture, instances, classes in held_out[:12]:
        d = model.detect(picture)
        rows.append(instance_scores(instances, d.instances(), classes_true=classes, classes_pred=d.classes))
    counts = instance_benchmark(rows).panoptic
    tp, fp, fn = counts.tp.sum(), counts.fp.sum(), counts.fn.sum()
    return tp / (tp + fp), tp / (tp + fn), 2 * tp / (2 * tp + fp + fn)


sure_values, nms_values = [0.05, 0.3, 0.6, 0.8, 0.95], [0.1, 0.3, 0.5, 0.7, 0.9]
by_score, by_nms = [scored(t, 0.5) for t in sure_values], [scored(0.3, t) for t in nms_values]
model.settings = recipe.make_model().settings
with plot.style():
    figure, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True)
for ax, x, y, name in ((axes[0], sure_values, by_score, "min_score"), (axes[1], nms_values, by_nms, "detection_nms")):
    for values, label in zip(zip(*y, strict=True), ("precision", "recall", "F"), strict=True):
        ax.plot(x, values, marker="o", label=label)
    ax.set(title=name, xlabel=name, ylim=(0, 1.05))
axes[0].legend();

# %% [markdown]
# AP needs no `min_score`: it goes through all of them. Whoever *uses* a detector has to choose one.

# %% [markdown]
# ## A real photograph: nuclei
#
# Cell nuclei under the microscope, from the 2018 Data Science Bowl: hundreds to a picture, touching, in many kinds of
# light. The recipe `mask_rcnn_nuclei` trains on 36 pictures; how long was chosen by AP on 9 others (`val`), and 20 more
# give the scores. Beside it stands what chapters 02 to 08 can do on the same 20: a method says which pixels are nuclei, what
# hangs together is cut where it is narrow, and the brighter or the larger goes first. All that can be chosen is, on
# the 45.

# %%
info = weights_info(nuclei.NAME)
print(info["command"], "·", info["data"])
print("AP on val by epochs:", ", ".join(f"{n}: {ap:.2f}" for n, ap in info["validation_ap_by_epochs"].items()))
print(f"{'':26}" + "".join(f"{name:>8}" for name in info["scores"]))
for title, row in {"Mask R-CNN": info["scores"], **info["without_learning"]}.items():
    print(f"{title:26}" + "".join(f"{row[name]:8.3f}" for name in info["scores"]))

# %% [markdown]
# The contest had 670 pictures to learn from, and other, harder ones to be scored on. Its own table, by the Bowl's score
# (Caicedo et al. 2019, table 1), beside ours:

# %%
contest = {"32 U-Nets, the winner": 0.63, "one Mask R-CNN, many times as large": 0.61, "CellProfiler, tuned by experts": 0.53}
for title, bowl in {**contest, "ours, on its 20 pictures": info["scores"]["Bowl"]}.items():
    print(f"{title:36} {bowl:.2f}")

# %% [markdown]
# > **Predict first.** Which nuclei does it miss? And would it find them if pictures were shown to it larger?

# %%
for title in ("recall_by_size", "validation_by_side"):
    print(title.replace("_", " "), "(AP)" if "side" in title else "")
    for size, value in info[title].items():
        print(f"  {size:28} {value:.2f}  {'▄' * round(40 * value)}")

# %% [markdown]
# <details><summary>Which?</summary>
#
# The small ones. A cell of the map is four pixels, so a nucleus of ten is seen by two or three of them: too few for an
# anchor to fit it, and for its outline to be right to half its area. Showing larger pictures does not help: what the
# network has learned is nuclei of the size that they have at 512 pixels: what small ones gain, others lose. It would have
# to learn at the larger size.
# </details>
#
# The pictures themselves are not part of this course (`seglab data fetch nuclei` gets them). Here is the network on
# bundled ones of which it has never seen the like: coins, and stained tissue.
#
# > **Predict first.** It was trained on nuclei alone. What will it say about coins?

# %%
network = load_weights(nuclei.make_model(), nuclei.NAME)
coins, tissue = datasets.photo("coins"), datasets.photo("ihc", max_side=256)
shown = []
for picture in (coins, tissue):
    d = nuclei.find_nuclei(network, picture)
    d = d[d.scores > 0.5]
    shown += [overlay(d.instances() - 1, picture.expand(3, -1, -1), alpha=0.5)]
    print(f"{len(d)} objects")
plot.show(*shown, size=4, titles=["Mask R-CNN trained on nuclei: coins", "stained tissue"])

# %% [markdown]
# ## Where it breaks
#
# ### 1. Two objects, one box
#
# Two slanted bars side by side do not touch, yet their boxes are nearly one. Suppression looks at boxes only, and takes
# one for a copy of the other. Suppose the network were perfect, and proposed exactly the two true boxes:

# %%
def bars(gap):
    """Instances (64, 64): two slanted bars, `gap` rows apart."""
    instances = torch.zeros(64, 64, dtype=torch.long)
    row, col = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    for k, shift in ((1, -gap / 2), (2, gap / 2)):
        along, across = (row - 32 - shift + col - 32) / 2**0.5, (row - 32 - shift - col + 32) / 2**0.5
        instances[(along.abs() < 22) & (across.abs() < 3)] = k
    return instances


with plot.style():
    figure, axes = plt.subplots(1, 3, figsize=(9, 3))
for ax, gap in zip(axes, (26, 16, 10), strict=True):
    own = boxes_of(bars(gap))
    alive = len(nms(own, torch.tensor([0.9, 0.8]), model.settings.detection_nms))
    picture = overlay(bars(gap) - 1, torch.full((3, 64, 64), 0.5))
    show_boxes(ax, picture, own, f"IoU of the boxes {box_iou(own, own)[0, 1]:.2f}: {alive} left")

# %% [markdown]
# Slanted objects in a crowd (nuclei in a tissue, cars on a parking lot from above) lose neighbors this way. Perfect
# boxes do not help, and a higher threshold lets duplicates live.

# %% [markdown]
# ### 2. Sizes that no anchor has
#
# The same scenes, shown smaller and larger. The network has learned from objects of one range of sizes.

# %%
def at_scale(factor):
    rows = []
    for picture, instances, classes in held_out[:10]:
        side = int(64 * factor)
        d = model.detect(F.interpolate(picture[None], (side, side), mode="bilinear", antialias=True)[0])
        d = d.resized(64, 64)
        rows.append(instance_scores(instances, d.instances(), scores=d.scores, classes_true=classes,
                                    classes_pred=d.classes))
    return instance_benchmark(rows).at(0.5)


factors = [0.35, 0.5, 0.71, 1.0, 1.41, 2.0]
values = [at_scale(factor) for factor in factors]
with plot.style():
    figure, ax = plt.subplots(figsize=(6, 3))
ax.semilogx(factors, values, marker="o", color="#0072B2")
ax.set(title="AP at 0.5 by the size of the picture", xlabel="times as large", ylim=(0, 1))
ax.set_xticks(factors, [str(f) for f in factors])
ax.minorticks_off()

# %% [markdown]
# Convolutions are the same everywhere, but not at every *size*. Feature pyramids, which give each size a map of its
# own, are the usual cure.

# %% [markdown]
# ### 3. What it has never seen
#
# There are disks, rectangles and triangles in its world, and nothing else. A star is not *nothing*:

# %%
odd = datasets.shapes(height=64, width=64, n_shapes=3, classes=("star", "ring"), overlap=0, size=(0.14, 0.26), seed=4)
d = model.detect(odd.image)
cat = datasets.photo("chelsea", max_side=96)
other = model.detect(cat)
with plot.style():
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.2))
for ax, picture, one, title in ((axes[0], odd.image, d, "stars and rings"), (axes[1], cat, other, "a cat")):
    one = one[one.scores > 0.5]
    names = [f"{recipe.CLASSES[k - 1]} {s:.2f}" for k, s in zip(one.classes.tolist(), one.scores.tolist(), strict=True)]
    show_boxes(ax, picture, one.boxes, title, names)

# %% [markdown]
# The scores compare its classes with each other and with the backgrounds it was shown. They do not say how far a
# picture is from all of that.

# %% [markdown]
# ### 4. Masks of 28 by 28
#
# A mask is a grid of $28\times28$ points, stretched over its box. The truth itself, put through that grid, loses what
# is fine:

# %%
star = datasets.shapes(height=192, width=192, n_shapes=1, classes=("star",), size=(0.45, 0.45), seed=2).instances
comb = torch.zeros(192, 192, dtype=torch.long)
comb[20:170, 20:172] = ((torch.arange(152) // 4) % 2)[None]
shown, captions = [], []
for truth in (star, comb):
    own = boxes_of(truth)
    mask = roi_align((truth > 0)[None, None].float(), own, first, 28, sampling=4)[0]
    back = paste_masks(mask, own, 192, 192)[0] >= 0.5
    shown += [truth > 0, back]
    captions += ["the truth", f"through 28×28: IoU {((truth > 0) & back).sum() / ((truth > 0) | back).sum():.2f}"]
plot.show(*shown, cols=4, size=2.4, captions=captions)

# %% [markdown]
# ## Summary
#
# - Numbers of instances cannot be learned pixel by pixel; **boxes** turn instances into small two-class problems.
# - **Anchors** guess, the proposal network scores and moves them, **suppression** leaves one for each object: greedy, a
#   loop or rounds over a matrix, with the same result.
# - **RoIAlign** reads features between the cells: two thin matrices. Rounding costs small objects their outline.
# - Class, box and mask come from **one** pooled grid; masks do not compete.
# - **AP** ranks by confidence and averages over recalls and overlaps. It rewards what you may not need, and says nothing
#   about where the threshold should be.
# - It fails where boxes coincide, at sizes it has not seen, on things it does not know, and at details below its grid.

# %% [markdown]
# ## Exercises
#
# **15.1 By hand.** Two boxes (top, left, bottom, right): (0, 0, 4, 4) and (2, 2, 6, 6). Their intersection over union?


# %% tags=["exercise"]
def iou_on_paper():
    """As a number or a fraction."""
    ### BEGIN SOLUTION
    return 4 / (16 + 16 - 4)
    ### END SOLUTION


# %% tags=["wrong"]
def iou_on_paper():
    return 4 / 32


# %% tags=["wrong"]
def iou_on_paper():
    return 4 / 16


# %% tags=["check"]
with check("15.1 by hand"):
    assert iou_on_paper() != 4 / 32, "the intersection is counted twice in 16 + 16"
    assert np.isclose(iou_on_paper(), 1 / 7), "2×2 pixels are in both, 28 in at least one"

# %% [markdown]
# **15.2 How many anchors?** A picture of `height` × `width` pixels, both multiples of `stride`.


# %% tags=["exercise"]
def number_of_anchors(height, width, stride, n_scales, n_ratios):
    """How many boxes the proposal network scores."""
    ### BEGIN SOLUTION
    return (height // stride) * (width // stride) * n_scales * n_ratios
    ### END SOLUTION


# %% tags=["wrong"]
def number_of_anchors(height, width, stride, n_scales, n_ratios):
    return height * width // stride * n_scales * n_ratios


# %% tags=["wrong"]
def number_of_anchors(height, width, stride, n_scales, n_ratios):
    return (height // stride) * (width // stride) * (n_scales + n_ratios)


# %% tags=["check"]
with check("15.2 how many anchors"):
    assert number_of_anchors(96, 96, 4, 3, 3) == len(model.anchors(torch.zeros(1, 32, 24, 24))), "24 × 24 cells, 9 each"
    assert number_of_anchors(32, 64, 8, 1, 2) == 64, "4 × 8 cells, each with every scale in every ratio"

# %% [markdown]
# **15.3 Back again.** Undo `encode_by_hand`.


# %% tags=["exercise"]
def decode_by_hand(delta, anchor):
    """Four differences and an anchor (top, left, bottom, right) to a box."""
    ### BEGIN SOLUTION
    ha, wa = anchor[2] - anchor[0], anchor[3] - anchor[1]
    y, x = (anchor[0] + anchor[2]) / 2 + delta[0] * ha, (anchor[1] + anchor[3]) / 2 + delta[1] * wa
    h, w = ha * np.exp(delta[2]), wa * np.exp(delta[3])
    return [y - h / 2, x - w / 2, y + h / 2, x + w / 2]
    ### END SOLUTION


# %% tags=["wrong"]
def decode_by_hand(delta, anchor):
    ha, wa = anchor[2] - anchor[0], anchor[3] - anchor[1]
    y, x = (anchor[0] + anchor[2]) / 2 + delta[0], (anchor[1] + anchor[3]) / 2 + delta[1]
    h, w = ha * np.exp(delta[2]), wa * np.exp(delta[3])
    return [y - h / 2, x - w / 2, y + h / 2, x + w / 2]


# %% tags=["wrong"]
def decode_by_hand(delta, anchor):
    ha, wa = anchor[2] - anchor[0], anchor[3] - anchor[1]
    top, left = anchor[0] + delta[0] * ha, anchor[1] + delta[1] * wa
    return [top, left, top + ha * np.exp(delta[2]), left + wa * np.exp(delta[3])]


# %% tags=["check"]
with check("15.3 back again"):
    assert np.allclose(decode_by_hand([0, 0, 0, 0], [1, 2, 5, 9]), [1, 2, 5, 9]), "no difference: the anchor itself"
    assert np.allclose(decode_by_hand([0.5, 0, 0, 0], [0, 0, 4, 8]), [2, 0, 6, 8]), "half of its height further down"
    for box in ([3, 1, 9, 30], [0, 0, 2, 2]):
        back = decode_by_hand(encode_by_hand(box, [1, 2, 5, 9]), [1, 2, 5, 9])
        assert np.allclose(back, box), "the center moves, and the sides grow around it"

# %% [markdown]
# **15.4 Softer.** Soft suppression deletes nothing: when a box is taken, the score of each other one is multiplied by
# $1 - \text{IoU}$ with it. Return the boxes in the order in which they are taken, and their scores then.


# %% tags=["exercise"]
def soft_nms(boxes, scores):
    """Numbers of the boxes (N, 4) in order, and the score of each when it was taken; lists."""
    ### BEGIN SOLUTION
    scores, left = scores.clone(), list(range(len(boxes)))
    order, taken = [], []
    while left:
        best = max(left, key=lambda i: float(scores[i]))
        left.remove(best)
        order.append(best)
        taken.append(float(scores[best]))
        for i in left:
            scores[i] *= 1 - iou_by_hand(boxes[best].tolist(), boxes[i].tolist())
    return order, taken
    ### END SOLUTION


# %% tags=["wrong"]
def soft_nms(boxes, scores):
    order = scores.argsort(descending=True).tolist()  # the order changes as scores fall
    return order, [float(scores[i]) for i in order]


# %% tags=["wrong"]
def soft_nms(boxes, scores):
    kept = nms_by_hand(boxes, scores, 0.5)
    return kept, [float(scores[i]) for i in kept]


# %% tags=["check"] points=2
with check("15.4 softer"):
    three = torch.tensor([[0.0, 0, 4, 4], [0, 1, 4, 5], [9, 9, 12, 12]])
    order, taken = soft_nms(three, torch.tensor([0.9, 0.8, 0.5]))
    assert len(order) == 3, "nothing is deleted"
    assert order == [0, 2, 1], "the second overlaps the first by .6: its score falls to .32, below the third's"
    assert np.allclose(taken, [0.9, 0.5, 0.32]), "a score is the one at the moment when the box is taken"

# %% [markdown]
# **15.5 Without a ranking.** The Data Science Bowl's score at one threshold, from a matrix of overlaps (predictions ×
# objects) of maps without overlaps among themselves.


# %% tags=["exercise"]
def bowl_at(overlaps, threshold):
    """TP / (TP + FP + FN); a pair overlaps by more than the threshold, which is at least a half."""
    ### BEGIN SOLUTION
    pairs = (np.asarray(overlaps) > threshold).sum()
    n_pred, n_true = np.shape(overlaps)
    return pairs / (n_pred + n_true - pairs)
    ### END SOLUTION


# %% tags=["wrong"]
def bowl_at(overlaps, threshold):
    pairs = (np.asarray(overlaps) > threshold).sum()
    return pairs / sum(np.shape(overlaps))


# %% tags=["wrong"]
def bowl_at(overlaps, threshold):
    pairs = (np.asarray(overlaps) > threshold).sum()
    return 2 * pairs / sum(np.shape(overlaps))  # that is F


# %% tags=["check"]
with check("15.5 without a ranking"):
    assert bowl_at([[0.9, 0], [0, 0.8]], 0.5) == 1, "all found, nothing else: 1"
    assert bowl_at([[0.9, 0], [0, 0.5]], 0.5) == 1 / 3, "one pair, one too many, one missed"
    row = [1, 1, 1, 1, 0, 2, 2, 2], [1, 1, 1, 0, 0, 2, 2, 3]
    overlaps = [[3 / 4, 0], [0, 2 / 3], [0, 1 / 3]]
    assert np.isclose(bowl_at(overlaps, 0.7), bowl_score([row[0]], [row[1]], [0.7])), "as seglab's"

# %% [markdown]
# **15.6 Where was it lost?** A detector missed an object. Its stages tell where. Write the diagnosis.


# %% tags=["exercise"]
def lost_at(state, truth):
    """"proposals", "suppression" or "later": the stage that has no box overlapping `truth` (4,) by a half any more.

    `state` has its proposals: all moved anchors in `state.proposals.boxes`, those left in `[state.proposals.kept]`.
    """
    ### BEGIN SOLUTION
    boxes, kept = state.proposals.boxes, state.proposals.kept
    overlaps = box_iou(boxes, truth[None])[:, 0]
    if not (overlaps >= 0.5).any():
        return "proposals"
    return "later" if (overlaps[kept] >= 0.5).any() else "suppression"
    ### END SOLUTION


# %% tags=["wrong"]
def lost_at(state, truth):
    overlaps = box_iou(state.proposals.boxes, truth[None])[:, 0]
    return "later" if (overlaps >= 0.5).any() else "proposals"


# %% tags=["wrong"]
def lost_at(state, truth):
    overlaps = box_iou(state.proposals.boxes[state.proposals.kept], truth[None])[:, 0]
    return "later" if (overlaps >= 0.5).any() else "proposals"


# %% tags=["check"] points=2
with check("15.6 where was it lost"):
    some = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [40, 40, 60, 60]])
    state = replace(states[4], proposals=replace(states[4].proposals, boxes=some, kept=torch.tensor([1])))
    assert lost_at(state, torch.tensor([70.0, 70, 90, 90])) == "proposals", "no moved anchor was near it"
    assert lost_at(state, torch.tensor([40.0, 40, 60, 58])) == "suppression", "there was one, but it is not kept"
    assert lost_at(state, torch.tensor([0.0, 0, 10, 10])) == "later", "a proposal is there: ask the box head"

# %% [markdown]
# ## References
#
# - K. He, G. Gkioxari, P. Dollár, R. Girshick (2017). *Mask R-CNN.* ICCV.
#   [doi:10.1109/ICCV.2017.322](https://doi.org/10.1109/ICCV.2017.322)
# - S. Ren, K. He, R. Girshick, J. Sun (2015). *Faster R-CNN: towards real-time object detection with region proposal
#   networks.* NeurIPS. [arXiv:1506.01497](https://arxiv.org/abs/1506.01497)
# - R. Girshick (2015). *Fast R-CNN.* ICCV. [doi:10.1109/ICCV.2015.169](https://doi.org/10.1109/ICCV.2015.169)
# - T.-Y. Lin and others (2014). *Microsoft COCO: common objects in context.* ECCV.
#   [doi:10.1007/978-3-319-10602-1_48](https://doi.org/10.1007/978-3-319-10602-1_48)
# - A. Kirillov, K. He, R. Girshick, C. Rother, P. Dollár (2019). *Panoptic segmentation.* CVPR.
#   [doi:10.1109/CVPR.2019.00963](https://doi.org/10.1109/CVPR.2019.00963)
# - N. Bodla, B. Singh, R. Chellappa, L. S. Davis (2017). *Soft-NMS: improving object detection with one line of code.*
#   ICCV. [doi:10.1109/ICCV.2017.593](https://doi.org/10.1109/ICCV.2017.593)
# - J. C. Caicedo and others (2019). *Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl.*
#   Nature Methods 16. [doi:10.1038/s41592-019-0612-7](https://doi.org/10.1038/s41592-019-0612-7)
