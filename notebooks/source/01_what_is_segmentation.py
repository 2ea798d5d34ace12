# %% [markdown]
# # 01 · What segmentation is
#
# A photograph is a grid of numbers; people see a cup on a table in it. **Segmentation** is a step from the one to the
# other: it gives every pixel a *label*, and the pixels of one label are a *segment*. Which segments are wanted depends
# on what they are for. This chapter asks two questions: *what* can be asked of a segmentation, and how does one tell a
# *good* one?
#
# **After this chapter you can**
#
# 1. read, compare and repair a label map, and say why its numbers mean nothing by themselves;
# 2. tell five tasks apart (semantic, instance, object extraction, co-segmentation, unsupervised) by what a label means;
# 3. measure with a few lines each what makes a good segment, and say how each measure can be cheated.
#
# **Time** 60 minutes · **Before this** chapter 00

# %%
import torch
from skimage.segmentation import felzenszwalb, slic

from seglab import datasets, plot
from seglab.methods import KMeans, Thresholding


def superpixels(image, n_segments, sigma=1):
    """A label map of about so many small segments: scikit-image's SLIC, which chapter 06 builds."""
    pixels = image.movedim(0, -1).numpy()  # scikit-image wants (H, W, C)
    return torch.from_numpy(slic(pixels, n_segments=n_segments, compactness=20, sigma=sigma, start_label=0))


coffee = datasets.photo("coffee", max_side=300)  # half as large as it is, so that everything is quick
outlines = datasets.photo_truth("coffee").labels[::2, ::2]
answers = [outlines, KMeans(n_clusters=6).segment(coffee), superpixels(coffee, 200)]
titles = ["picture", "objects, outlined by hand", "k-means, n_clusters = 6", "SLIC, n_segments = 200"]
plot.show(coffee, *answers, titles=titles, overlay=True, alpha=0.4, cols=4, size=2.5)

# %% [markdown]
# One picture, three answers. All are segmentations of the same photograph, and none is *the* segmentation. By the end
# you can say what each is good for, and put numbers to it.

# %% [markdown]
# ## Set-up
#
# The tools for label maps and the measures come from the course's package.

# %%
import time

import matplotlib.pyplot as plt
from scipy import ndimage, spatial

from seglab import metrics
from seglab.exercises import check
from seglab.labels import (
    boundaries,
    connected_components,
    majority_vote,
    mean_color,
    overlay,
    relabel,
    segment_means,
    segment_sizes,
)
from seglab.metrics.region import contingency_table, rand_index, segmentation_covering, variation_of_information
from seglab.widgets import step_through

# %% [markdown]
# ## The problem
#
# Here is a picture of 8×8 pixels.
#
# > **Predict first.** How many segments does it have? Write a number down before you go on.

# %%
twins = datasets.tiny("twins")
plot.show(twins.image, titles="8×8 pixels", size=2.6)

# %% [markdown]
# Some say three, some say four, and both are right. There is a table, there are red squares and there is a blue one:
# three *classes*. But a hand that clears the table closes three times, and what remains is the table: four *things*,
# counting the ground. The picture does not decide between the two answers; the question does.

# %%
maps = [twins.semantic, twins.instances]
plot.show(*maps, titles=["what is it?", "which one is it?"], size=2.6)
print("different labels:", [len(labels.unique()) for labels in maps])
print("classes:", dict(enumerate(twins.class_names)))

# %% [markdown]
# ## Use it
#
# Every method of the course is used alike: parameters, then a picture.

# %%
result = KMeans(n_clusters=6).segment(coffee)
plot.show_segmentation(result)

# %% [markdown]
# What comes back is a **label map**: one whole number for each pixel, in an array as high and as wide as the picture.
# Everything in this course is done to such maps, so the rest of this section is about them.
#
# | symbol | in the code | what it is |
# |---|---|---|
# | $I$ | `image`, (C, H, W) | the picture: C numbers for each of H × W pixels, in [0, 1] |
# | $L$ | `labels`, (H, W) | the label of each pixel: 0, 1, 2, … or −1 |
# | $S_j$ | `labels_pred == j` | a segment of a prediction: the pixels with label $j$ |
# | $G_i$ | `labels_true == i` | a segment of the truth |
# | $N$ | `labels.numel()` | the number of pixels |
# | $n_{ij}$ | `overlaps[i, j]` | the number of pixels in both $G_i$ and $S_j$ |

# %%
labels = result.labels
print("labels:", tuple(labels.shape), labels.dtype, "· picture:", tuple(coffee.shape), coffee.dtype)
print("values:", labels.unique().tolist(), "· pixels of each:", segment_sizes(labels).tolist())
print("a corner of the map:")
print(labels[30:36, 100:112])

# %% [markdown]
# ### The numbers are names
#
# Let us give the four things on the table other numbers.
#
# > **Predict first.** What share of the pixels keeps its number? And what share of the *segmentation* has changed?

# %%
names = torch.tensor([2, 0, 3, 1])  # label 0 is now called 2, label 1 is called 0, and so on
renamed = names[twins.instances]
plot.show(twins.instances, renamed, titles=["before", "renamed"], size=2.6)
print("pixels with the same number:", (renamed == twins.instances).double().mean().item())
print("pairs of pixels that are together in both or apart in both:", rand_index(twins.instances, renamed))

# %% [markdown]
# Nothing has changed: two pixels that were together are together, two that were apart are apart. A label is a *name*.
# Its number, and the color in which a figure paints it, carry no meaning; a method that finds the same segments may
# number them in any order. So never compare two label maps number by number. Compare which pixels are *together*, as
# the Rand index does here, or rename both by one rule before you compare: `relabel` numbers labels in the order in
# which they first appear. (There is one exception: where a list of class names belongs to the map, a label is the place
# in that list, and equal numbers mean equal classes. Such maps are compared number by number, in chapter 12.)

# %%
print("the third row, numbered by first appearance:", relabel(renamed)[2].tolist())
assert not torch.equal(renamed, twins.instances)
assert torch.equal(relabel(renamed), relabel(twins.instances))

# %% [markdown]
# ### −1: no label
#
# A pixel may also have no label: because a method has not reached it yet, or because a person could not tell. By
# convention it holds −1. Here everything within two pixels of an outline is left open, since nobody draws much more
# exactly than that. Whoever measures against such a truth leaves these pixels out, and so does `seglab`.

# %%
unsure = ndimage.binary_dilation(boundaries(outlines).numpy(), iterations=1)
careful = torch.where(torch.from_numpy(unsure), -1, outlines)
plot.show(coffee, careful, titles=["picture", "the picture shows where the label is −1"], overlay=True)
print(f"without a label: {(careful == -1).double().mean():.1%} of the pixels")
print("pixels that count:", contingency_table(careful, labels).n_pixels.item(), "of", labels.numel())

# %% [markdown]
# ### One label, many pieces
#
# k-means groups colors, wherever they are. So one of its labels may lie about the picture in many pieces. To a human
# these are many segments. `connected_components` gives each piece a label of its own; with `connectivity=4` pixels
# touch at sides, with 8 at corners too.

# %%
pieces = connected_components(labels)
sizes = segment_sizes(pieces)
one = labels[75, 125]  # the label of the coffee in the cup
only = torch.where(labels == one, pieces, -1)
plot.show(coffee, labels == one, only, titles=["picture", "one label …", "… in many pieces"], overlay=True)
print(f"{result.n_segments} labels are {len(sizes)} pieces; {(sizes < 10).double().mean():.0%} have under 10 pixels")

# %% [markdown]
# ## The idea: five tasks
#
# What shall a label *mean*? There are five usual answers. Each needs something else to be known beforehand.
#
# | task | pixels have equal labels if they are … | who says what counts |
# |---|---|---|
# | semantic segmentation | of the same *class* (coin, table, sky) | a list of classes, with examples of each |
# | instance segmentation | of the same *thing*: this coin, that coin | the same, and which classes are counted |
# | object extraction | both in *the* object, or both not | a person, with a box, a stroke or a click |
# | co-segmentation | of what the pictures have in *common* | the choice of the pictures |
# | unsupervised segmentation | *alike* in color or texture, unlike their neighbors | nobody; only a notion of "alike" |
#
# ### Semantic segmentation
#
# A generated scene, whose truth we know to the pixel: disks, triangles and stars on a ground, with texture, noise and
# light that falls off to one side.

# %%
scene = datasets.shapes(n_shapes=7, classes=("disk", "triangle", "star"))
semantic, instances = scene.semantic, scene.instances
plot.show(scene.image, semantic, instances, titles=["picture", "semantic: what", "instances: which"])
print("classes:", dict(enumerate(scene.class_names)))

# %% [markdown]
# The three disks have one label, though one is orange, one dark and one green. *Disk* is not in the colors: pixels of a
# class may differ in brightness, color and texture, and have in common only what the thing is. Paint each class, and
# then each instance, in its mean color to see it.


# %%
def typical_error(labels, image):
    """How far a pixel's color is from the mean color of its segment."""
    return (image - mean_color(labels, image)).square().mean().sqrt().item()


painted = [mean_color(labels, scene.image) for labels in (semantic, instances)]
captions = [f"off by {typical_error(labels, scene.image):.3f}" for labels in (semantic, instances)]
titles = ["each class in its mean color", "each instance in its mean color"]
plot.show(*painted, titles=titles, captions=captions)

# %% [markdown]
# So no amount of clustering colors will find the classes: they have to be *learned* from examples. Chapters 12 to 14
# do.
#
# ### Instance segmentation
#
# With instances known, classes are a look-up in a table. The way back is not to be had: where two disks touch, their
# pixels hold one label and are one connected piece.
#
# > **Predict first.** How many objects do you count if every connected piece of a class is taken for one?

# %%
assert torch.equal(scene.instance_classes[instances], semantic)  # from instances to classes: a table
guessed = torch.where(semantic == 0, 0, connected_components(semantic) + 1)
plot.show(scene.image, instances, guessed, titles=["picture", "instances", "connected pieces of the classes"])
print(f"there are {scene.n_instances} objects; pieces of classes: {len(guessed.unique()) - 1}")

# %% [markdown]
# The three disks have become one. An object may also be cut in two by another that lies before it, and then it counts
# twice. Telling touching things of one kind apart is what instance segmentation adds; chapter 15 learns it. (Both maps
# together, a class for each pixel and a number for each thing, are called *panoptic* segmentation.)

# %% [markdown]
# ### Object extraction
#
# Here a person says which object is meant. The less the hint says, the more has to be guessed. Three hints for the
# dahlia, each used in the crudest way that works at all; chapter 10 does it properly. A **box**: inside it, threshold
# the brightness; the object is the side that the box's own border is not.


# %%
def object_in_box(image, box):
    """A mask (H, W): the part of the box, split by Otsu's threshold, that its border mostly is not."""
    row0, col0, row1, col1 = box
    inside = Thresholding().segment(image[:, row0:row1, col0:col1]).labels
    border = torch.cat([inside[0], inside[-1], inside[:, 0], inside[:, -1]])
    mask = torch.zeros(image.shape[1:], dtype=torch.bool)
    mask[row0:row1, col0:col1] = inside != border.mode().values
    return mask


flower = datasets.photo("flower", max_side=320)
flower_truth = datasets.photo_truth("flower").labels[::2, ::2] == 1
box = (35, 75, 188, 230)
by_box = object_in_box(flower, box)

# %% [markdown]
# **Strokes**: one on the object and one beside it. Each pixel goes to the stroke whose mean color is nearer. And a
# **click**: everything that is connected to the clicked pixel and has nearly its color.

# %%
on, beside = (slice(70, 165), 150), (20, slice(30, 300))  # a stroke down the flower, one across the leaves
means = torch.stack([flower[:, *stroke].mean(1) for stroke in (beside, on)])  # (2, 3)
distances = (flower[None] - means[:, :, None, None]).square().sum(1)  # (2, H, W)
by_strokes = distances.argmin(0) == 1


def object_at(image, click, tolerance=0.4):
    """A mask: the pixels connected to the clicked one through pixels of nearly its color."""
    alike = (image - image[:, *click][:, None, None]).norm(dim=0) < tolerance
    pieces = connected_components(alike.long())
    return pieces == pieces[click]


by_click = object_at(flower, (90, 150))

# %% [markdown]
# How good are the masks? *Intersection over union* divides the pixels in both mask and truth by the pixels in either:
# 1 is perfect, 0 is disjoint.


# %%
def iou(mask, truth):
    """Intersection over union of two masks."""
    return ((mask & truth).sum() / (mask | truth).sum()).item()


def cut_out(image, mask):
    """The picture with everything pale that is not in the mask."""
    return torch.where(mask, image, 0.2 * image + 0.8)


masks = {"box": by_box, "strokes": by_strokes, "click": by_click}
captions = ["", *(f"IoU {iou(mask, flower_truth):.2f}" for mask in masks.values())]
shown = [cut_out(flower, mask) for mask in masks.values()]
ax = plot.show(flower, *shown, titles=["picture and hints", *masks], captions=captions, cols=4, size=2.5)[0]
ax.plot([75, 230, 230, 75, 75], [35, 35, 188, 188, 35], color="yellow")
ax.plot([150, 150], [70, 165], color="white", linewidth=3)
ax.plot([30, 300], [20, 20], color="black", linewidth=3)
_ = ax.plot(150, 90, "o", color="cyan", markeredgecolor="black")

# %%
for click in ((90, 150), (94, 150), (112, 150), (60, 130)):
    print(f"a click at {click}: IoU {iou(object_at(flower, click), flower_truth):.2f}")

# %% [markdown]
# The strokes find the second dahlia too: its color is that of the first, and nobody said that it is not meant. A box
# says where the object ends. A click says least: a few pixels to the side, on the shadow between two petals, and it
# means something else.
#
# ### Co-segmentation
#
# Several pictures show the same object, and nobody points at it: that they have it in common is the only hint. We make
# such a pair: the dahlia, smaller and a little darker, pasted into another photograph.

# %%
rocket = datasets.photo("rocket", max_side=320)
small, mask = flower[:, ::2, ::2] * 0.9, flower_truth[::2, ::2]  # half as large, a little darker
second, second_truth = rocket.clone(), torch.zeros_like(flower_truth)
rows, cols = slice(100, 100 + mask.shape[0]), slice(0, mask.shape[1])
second[:, rows, cols] = torch.where(mask, small, second[:, rows, cols])
second_truth[rows, cols] = mask
plot.show(flower, second, titles=["first picture", "second picture"])

# %% [markdown]
# Cluster the colors of each picture alone, and label 0 of the one has nothing to do with label 0 of the other. Cluster
# them *together*, laid side by side as one picture, and one label means one group of colors in both.

# %%
kmeans = KMeans(n_clusters=5)
alone = [kmeans.segment(picture).labels for picture in (flower, second)]
pair = torch.cat([flower, second], dim=2)  # (3, H, 2 W)
shared = kmeans.segment(pair).labels.split(flower.shape[2], dim=1)
titles = ["first, alone", "second, alone", "first, shared", "second, shared"]
plot.show(*alone, *shared, titles=titles, cols=4, size=2.5)

# %% [markdown]
# Now one look at the first picture suffices. Say which labels the flower has there, and the same labels name it in the
# second: that is what the shared labels are for.

# %%
counts = contingency_table(flower_truth.long(), shared[0]).dense()  # (2, 5): beside and on the flower, for each label
chosen = torch.nonzero(counts[1] > counts[0]).flatten()  # the labels that are mostly flower in the first picture
found = [torch.isin(labels, chosen) for labels in shared]
captions = [f"IoU {iou(mask, truth):.2f}" for mask, truth in zip(found, (flower_truth, second_truth), strict=True)]
titles = ["asked here", "answered here"]
shown = [cut_out(*pair) for pair in zip((flower, second), found, strict=True)]
plot.show(*shown, titles=[f"{title}: labels {chosen.tolist()}" for title in titles], captions=captions)

# %% [markdown]
# The rocket and the lamps have the flower's colors and are found with it: color alone does not know what the pictures
# *mean* to share. Chapter 10 adds what is missing.
#
# ### Unsupervised segmentation
#
# Nobody says anything. Pixels are grouped so that a segment is even in color or texture and differs from its neighbors.
# k-means does so for color, and most of the chapters up to 09 are about better ways. Since no names are involved, a
# label means only: *these belong together*.

# %% [markdown]
# ## Build it: what makes a good segment, measured
#
# A segmentation that is to be *used*, to count, to measure or to save another method work, should satisfy a number of
# conditions. Papers on superpixels list them, in about these words, and each can be turned into a number.
#
# | | condition | measured here by | good |
# |---|---|---|---|
# | 1 | boundaries of segments are boundaries of objects | boundary recall | 1 |
# | 2 | a segment lies within one object | undersegmentation error | 0 |
# | 3 | small objects have segments of their own | share of the worst-kept object | 1 |
# | 4 | a segment is uniform | explained variation | 1 |
# | 5 | a segment is large enough to say something | median size | large |
# | 6 | segments are compact, and of similar size | compactness; spread of sizes | 1; 0 |
# | 7 | segments are spread evenly | distance to the nearest neighbor | large |
# | 8 | it is quick | seconds | small |
#
# The first three need a truth, the others only the label map and the picture. (Condition 6 is two: a thin snake and a
# disk may have the same size.) We measure five candidates on the scene: squares that do not look at the picture;
# k-means, each piece a segment; two methods of later chapters; and the truth itself.


# %%
def squares(image, side=20):
    """A label map of squares, whatever the picture shows."""
    rows, cols = (torch.arange(n) // side for n in image.shape[1:])
    return rows[:, None] * (cols[-1] + 1) + cols


methods = {
    "squares": squares,
    "k-means": lambda image: connected_components(KMeans(n_clusters=6).segment(image).labels),
    "SLIC": lambda image: superpixels(image, 200),
    "Felzenszwalb": lambda image: torch.from_numpy(felzenszwalb(image.movedim(0, -1).numpy(), scale=200, min_size=50)),
}
maps, seconds = {"truth": connected_components(instances)}, {}
for name, method in methods.items():
    start = time.perf_counter()
    maps[name] = method(scene.image)
    seconds[name] = round(time.perf_counter() - start, 2)

# %%
shown = [overlay(labels, scene.image, alpha=0.3) for labels in maps.values()]
plot.show(scene.image, *shown, titles=["picture", *maps], cols=3, size=3)

# %% [markdown]
# ### Counting overlaps
#
# Most measures follow from one table: $n_{ij}$, the number of pixels that lie in segment $i$ of the truth and in
# segment $j$ of the prediction. First as one would say it, a pixel at a time:


# %%
def overlaps_by_loop(labels_true, labels_pred):
    """The table (segments of the truth, segments of the prediction) of common pixels."""
    table = torch.zeros(labels_true.max() + 1, labels_pred.max() + 1, dtype=torch.int64)
    for i, j in zip(labels_true.flatten(), labels_pred.flatten(), strict=True):
        table[i, j] += 1
    return table


by_hand = overlaps_by_loop(twins.instances, twins.semantic)
print(by_hand)

# %% [markdown]
# Row 1 and row 2, the two red squares, have their pixels in the same column: the semantic map does not tell them apart.
# Now without a loop. Each pair of labels $(i, j)$ becomes one number, and `bincount` counts how often it occurs. The
# package does the same, with some care for large tables.


# %%
def count_overlaps(labels_true, labels_pred):
    """The same table, counted at once."""
    n_true, n_pred = labels_true.max() + 1, labels_pred.max() + 1
    pairs = labels_true * n_pred + labels_pred
    return torch.bincount(pairs.flatten(), minlength=n_true * n_pred).reshape(n_true, n_pred)


assert torch.equal(count_overlaps(twins.instances, twins.semantic), by_hand)
assert torch.equal(
    count_overlaps(twins.instances, twins.semantic), contingency_table(twins.instances, twins.semantic).dense()
)

# %% [markdown]
# ### 1 · Boundaries follow objects
#
# **Boundary recall** is the share of the truth's boundary pixels that have a boundary of the prediction nearby: in the
# square around them that reaches two pixels in each direction. In green what is found, in red what is missed.


# %%
def boundary_recall(labels_true, labels_pred, tolerance=2):
    """The share of the true boundary pixels that are found, and where they are."""
    true, pred = boundaries(labels_true), boundaries(labels_pred)
    near = torch.from_numpy(ndimage.maximum_filter(pred.numpy(), 2 * tolerance + 1))  # is any in the square?
    return near[true].double().mean().item(), true & near


def paint(picture, mask, color):
    """The picture (3, H, W) with the pixels of a mask in one color."""
    return torch.where(mask, torch.tensor(color)[:, None, None], picture)


# %%
pictures, captions = [], []
for labels in maps.values():
    recall, found = boundary_recall(instances, labels)
    pale = 0.75 + 0.25 * overlay(labels, scene.image, alpha=0, boundary=(-1.0, -1.0, -1.0))  # its boundaries in gray
    missed = boundaries(instances) & ~found
    pictures.append(paint(paint(pale, found, (0.0, 0.6, 0.4)), missed, (0.9, 0.1, 0.1)))
    captions.append(f"boundary recall {recall:.2f}")
    assert abs(recall - metrics.boundary_recall(instances, labels, tolerance=2)) < 1e-9  # the package's own
plot.show(*pictures, titles=list(maps), captions=captions, cols=5, size=2)

# %% [markdown]
# The squares find many boundaries by mere chance. Recall does not punish a boundary that is nowhere in the picture.
# Exchange the two label maps, and you have the **precision**, which does.

# %%
for name, labels in maps.items():
    recall, precision = (boundary_recall(*pair)[0] for pair in ((instances, labels), (labels, instances)))
    assert abs(precision - metrics.boundary_precision(instances, labels, tolerance=2)) < 1e-9
    print(f"{name:13} recall {recall:.2f}   precision {precision:.2f}")

# %% [markdown]
# ### 2 · Inside one object, 3 · small objects too
#
# Let each segment belong to the object in which most of its pixels lie. What lies elsewhere has *leaked*: the share of
# the picture that leaks is the **undersegmentation error**, $1 - \frac{1}{N} \sum_j \max_i n_{ij}$. And how much of an
# object lies in segments of its own? The smallest answer among the objects tells whether any was swallowed.


# %%
def undersegmentation_error(overlaps):
    """The share of pixels outside the object to which their segment belongs."""
    return 1 - (overlaps.amax(0).sum() / overlaps.sum()).item()


def kept(overlaps):
    """For each object, the share of it that lies in segments which belong to it."""
    owner = overlaps.argmax(0)  # the object of each segment
    own = overlaps * (owner == torch.arange(len(overlaps))[:, None])
    return own.sum(1) / overlaps.sum(1)


tiny_table = torch.tensor([[6, 0], [1, 2], [1, 0]])  # three objects, two segments
assert (
    abs(undersegmentation_error(tiny_table) - 2 / 10) < 1e-6
)  # 6 of the first segment and 2 of the second are in place
assert torch.allclose(kept(tiny_table), torch.tensor([1, 2 / 3, 0]))  # the third object has no segment of its own

# %%
pictures, captions = [], []
for labels in maps.values():
    table = count_overlaps(instances, labels)
    leaked = instances != table.argmax(0)[labels]
    pictures.append(paint(0.5 + 0.5 * overlay(labels, scene.image, alpha=0), leaked, (0.9, 0.1, 0.1)))
    captions.append(f"leaked {undersegmentation_error(table):.3f}\nworst kept {kept(table).min():.2f}")
    assert abs(undersegmentation_error(table) - metrics.undersegmentation_error(instances, labels)) < 1e-6
plot.show(*pictures, titles=list(maps), captions=captions, cols=5, size=2)

# %% [markdown]
# Other papers count the leak otherwise: the package's `undersegmentation_error` knows four ways, by name.
#
# ### 4 · Uniform
#
# Paint each segment in its mean color. What share of the picture's variance is still there? That is the **explained
# variation**: 1 if every segment has one color, 0 if all segments have the same mean.


# %%
def explained_variation(labels, image):
    """The variance of the mean colors, as a share of the variance of the picture."""
    mean = image.mean((1, 2), keepdim=True)
    return ((mean_color(labels, image) - mean).square().sum() / (image - mean).square().sum()).item()


painted = [mean_color(labels, scene.image) for labels in maps.values()]
captions = [f"explained variation {explained_variation(labels, scene.image):.2f}" for labels in maps.values()]
for labels in maps.values():
    assert abs(explained_variation(labels, scene.image) - metrics.explained_variation(labels, scene.image)) < 1e-4
plot.show(*painted, titles=list(maps), captions=captions, cols=5, size=2)

# %% [markdown]
# k-means explains more of this picture than the truth does. Objects *have* texture, noise and shadow, and a segment
# that follows the object has to put up with them. Condition 4 pulls against the first three.
#
# ### 5 · Large enough, 6 · compact
#
# The **compactness** of a segment with area $A$ and perimeter $P$ is $4\pi A / P^2$. No shape has more than a disk,
# for which it is 1. On a grid of pixels the perimeter is counted in sides of pixels, so that a square gets $\pi/4$.
# The mean is weighted by area. Compactness says nothing about size, so the *spread of sizes* comes beside it: their
# standard deviation divided by their mean.


# %%
def perimeters(labels):
    """The number of pixel sides around each segment, those at the picture's border included."""
    padded = torch.nn.functional.pad(labels, (1, 1, 1, 1), value=-1)
    sides = torch.zeros(labels.max() + 1, dtype=torch.int64)
    for neighbors in (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]):
        sides += torch.bincount(labels[labels != neighbors], minlength=len(sides))
    return sides


# %%
def compactness(labels):
    """4πA/P² of each segment."""
    return 4 * torch.pi * segment_sizes(labels) / perimeters(labels) ** 2


def mean_compactness(labels):
    """The mean over the pixels."""
    return compactness(labels)[labels].mean().item()


def spread_of_sizes(labels):
    """Standard deviation of the segments' sizes, as a share of their mean."""
    sizes = segment_sizes(labels).double()
    return (sizes.std(correction=0) / sizes.mean()).item()


two_shapes = torch.tensor([[0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1]])  # a square of side 2 and a bar of 2×4
assert perimeters(two_shapes).tolist() == [8, 12]
assert torch.allclose(compactness(two_shapes), torch.pi * torch.tensor([1 / 4, 2 / 9]))

# %%
pictures, captions = [], []
for labels in maps.values():
    pictures.append(compactness(labels)[labels])
    size, spread = segment_sizes(labels).median(), spread_of_sizes(labels)
    captions.append(f"median {size} px\ncompactness {mean_compactness(labels):.2f}\nspread {spread:.1f}")
    assert abs(mean_compactness(labels) - metrics.compactness(labels)) < 1e-5
plot.show(*pictures, titles=list(maps), captions=captions, cols=5, size=2)

# %% [markdown]
# Bright is compact. The pieces of k-means are crumbs and threads. The ground of the truth is dark because it has holes:
# each object adds to its perimeter.
#
# ### 7 · Evenly spread, 8 · quick
#
# Take the centers of the segments. If they were strewn at random, the mean distance from one to its nearest neighbor
# would be $\frac{1}{2}\sqrt{N/K}$ for $K$ segments. Divide the measured mean by that (Clark and Evans's ratio): below 1
# they crowd, at 1 they are random, and a square grid has 2.


# %%
def evenness(labels):
    """Clark and Evans's ratio of the segments' centers."""
    rows, cols = (torch.arange(n).double() for n in labels.shape)
    places = torch.stack([rows[:, None].expand(labels.shape), cols.expand(labels.shape)])
    centers = segment_means(labels, places)  # (K, 2)
    nearest = spatial.cKDTree(centers).query(centers, k=2)[0][:, 1]  # the first is the point itself
    return nearest.mean() / (0.5 * (labels.numel() / len(centers)) ** 0.5)


assert abs(evenness(squares(scene.image)) - 2) < 1e-9

# %% [markdown]
# Now everything side by side, for any picture with a truth. What has been built above is in the package:
# `seglab.metrics` has recall, precision, undersegmentation error, explained variation and compactness, and
# `superpixel_scores` gives them all at once. From here on we use those.


# %%
def measure(labels, labels_true, image):
    """The measures of a label map, in the order of the conditions; ↑ and ↓ say what is better."""
    return {
        "1 boundary recall ↑": metrics.boundary_recall(labels_true, labels, tolerance=2),
        "2 undersegmentation ↓": metrics.undersegmentation_error(labels_true, labels),
        "3 worst-kept object ↑": kept(count_overlaps(labels_true, labels)).min().item(),
        "4 explained variation ↑": metrics.explained_variation(labels, image),
        "5 median size (px) ↑": segment_sizes(labels).median().item(),
        "6 compactness ↑": metrics.compactness(labels),
        "6 spread of sizes ↓": spread_of_sizes(labels),
        "7 evenness ↑": evenness(labels),
    }


# %%
def bars(table):
    """Draw one small bar chart for each measure; the best candidate in orange with a dot, the truth in gray."""
    with plot.style(**{"axes.titlesize": 10}):
        _, axes = plt.subplots(2, 4, figsize=(10, 4), sharey=True)
        for ax, title in zip(axes.flat, table["truth"], strict=True):
            values = [row[title] for row in table.values()]
            best = (max if title.endswith("↑") else min)(values[1:])
            colors = ["#BBBBBB", *("#E69F00" if value == best else "#0072B2" for value in values[1:])]
            ax.barh(list(table), values, color=colors)
            ax.plot(best, 1 + values[1:].index(best), "o", color="#E69F00", clip_on=False)
            ax.set_title(title)
        axes[0, 0].invert_yaxis()


# %%
table = {name: measure(labels, instances, scene.image) for name, labels in maps.items()}
bars(table)
print("8 seconds:", seconds)

# %% [markdown]
# No candidate has all the orange bars, and none could: the squares, which do not look at the picture, win wherever only
# shape and place count, and the crumbs of k-means win wherever it helps to cut finer. The conditions pull against each
# other. What a segmentation is *for* decides which of them matter: to count objects, the first three; to save a later
# method work, size, shape and time as well.

# %% [markdown]
# ## Step through it
#
# k-means minimizes its *inertia*, the squared distances of the pixels from the means of their labels. In RGB that is
# exactly what explained variation leaves over. So k-means is made for condition 4.
#
# > **Predict first.** While it steps, do the other conditions improve as well? Does the number of connected pieces
# > rise, or fall?

# %%
trace = KMeans(n_clusters=6, color_space="rgb", seed=3).trace(datasets.photo("coffee", max_side=240), max_states=30)
step_through(trace)

# %%
uniform = [metrics.explained_variation(state.labels, trace.image) for state in trace]
pieces = [connected_components(state.labels).max().item() + 1 for state in trace]
steps = [state.n_iter for state in trace]
_, axes = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
plot.curves(steps, {"explained variation": uniform}, title="explained variation", x_label="step", ax=axes[0])
plot.curves(steps, {"pieces": pieces}, title="connected pieces", x_label="step", ax=axes[1])
assert all(after > before - 1e-5 for before, after in zip(uniform, uniform[1:], strict=False))  # it never falls
left = trace.objectives[-1] / (trace.image - trace.image.mean((1, 2), keepdim=True)).square().sum().item()
print(f"explained variation {uniform[-1]:.5f} = 1 − inertia / variance: {1 - left:.5f}")

# %% [markdown]
# Explained variation never falls. The pieces come and go as they please: k-means knows nothing of *where* a pixel is,
# so it cannot care whether a segment hangs together.

# %% [markdown]
# ## The parameters: over-segmentation
#
# Most methods have a parameter that says, directly or not, how many segments to make. Turn it up and we get an
# **over-segmentation**: each object falls into several segments. That is a fault if segments are meant to be objects.
# It is a plan if they are to be *parts* of objects: a few hundred **superpixels**, each within one object, are a far
# smaller problem for the next method than a few hundred thousand pixels.
#
# > **Predict first.** With more and more segments, which of boundary recall, undersegmentation error and explained
# > variation get better?

# %%
numbers = [10, 25, 50, 100, 200, 400, 800]
finer = [superpixels(coffee, n) for n in numbers]
shown = [overlay(labels, mean_color(labels, coffee), alpha=0) for labels in finer[::3]]
plot.show(*shown, titles=[f"SLIC, n_segments = {n}" for n in numbers[::3]])

# %%
rows = [measure(labels, outlines, coffee) for labels in finer]
wanted = ["1 boundary recall ↑", "2 undersegmentation ↓", "4 explained variation ↑"]
curves = {title: [row[title] for row in rows] for title in wanted}
ax = plot.curves(numbers, curves, title="SLIC on the coffee cup", x_label="n_segments", y_label="measure")
ax.set_xscale("log")

# %% [markdown]
# All three: whoever cuts finer errs less. (Not at each step: finer superpixels are not the coarser ones cut up.) That
# is why these measures are drawn as curves over the number of segments, and why methods are compared at the *same*
# number. What is lost is size: in the end each pixel is its own segment, and nothing has been said about the picture.
#
# How much may a later method still hope for? Give every superpixel to the object in which most of it lies
# (`majority_vote`). No way of merging them gets more pixels right, and what is still wrong is the undersegmentation
# error.

# %%
best = [majority_vote(outlines, labels) for labels in finer[::3]]
errors = [(vote != outlines).double().mean().item() for vote in best]
titles = [f"best merging of {n}" for n in numbers[::3]]
plot.show(*best, titles=titles, captions=[f"wrong: {error:.3f}" for error in errors])
for labels, error in zip(finer[::3], errors, strict=True):
    assert abs(metrics.undersegmentation_error(outlines, labels) - error) < 1e-6

# %% [markdown]
# ## A real photograph
#
# The cup at its full size, against the outlines that a person drew. Who drew them was asked for objects; nobody was
# asked to make them uniform or compact.

# %%
photo, truth = datasets.photo("coffee"), datasets.photo_truth("coffee").labels
methods["squares"] = lambda image: squares(image, side=35)
methods["Felzenszwalb"] = lambda image: torch.from_numpy(
    felzenszwalb(image.movedim(0, -1).numpy(), scale=800, min_size=200)
)
maps, seconds = {"truth": truth}, {}
for name, method in methods.items():
    start = time.perf_counter()
    maps[name] = method(photo)
    seconds[name] = round(time.perf_counter() - start, 2)
shown = [overlay(labels, photo, alpha=0.25) for labels in maps.values()]
plot.show(photo, *shown, titles=["picture", *maps], cols=3, size=3)

# %%
bars({name: measure(labels, truth, photo) for name, labels in maps.items()})
print("8 seconds:", seconds)

# %% [markdown]
# ### One number for the agreement
#
# If a segmentation is to *be* the truth, not a finer version of it, too many segments must cost something too. Three
# measures do that, each blind to the names of labels. **Covering**: how well does the best segment overlap each object
# (IoU), averaged over the truth's pixels? **Rand index**: on what share of all pairs of pixels do the two agree,
# whether they are together or apart? **Variation of information**: if you know a pixel's segment in the one map, how
# many bits are missing to know it in the other, both ways added up? The first two are best at 1, the last at 0. Chapter
# 11 tells the whole story: several people's truths, thresholds, and the Berkeley benchmark.

# %%
maps["one segment"] = torch.zeros_like(truth)
print(f"{'':13}  covering   Rand   information (bits)")
for name, labels in maps.items():
    covering, rand = segmentation_covering(truth, labels), rand_index(truth, labels)
    print(f"{name:13}  {covering:8.2f}  {rand:5.2f}  {variation_of_information(truth, labels):12.2f}")

# %% [markdown]
# A single segment gets a better covering than squares do, and fewer bits; only the Rand index sees that it says
# nothing. So always look at more than one number. The libraries agree with ours:

# %%
from skimage.metrics import variation_of_information as by_skimage
from sklearn.metrics import rand_score

a, b = truth.numpy(), maps["SLIC"].numpy()
assert abs(sum(by_skimage(a, b)) - variation_of_information(a, b)) < 1e-6
assert abs(rand_score(a.ravel(), b.ravel()) - rand_index(a, b)) < 1e-9
print("variation of information as in scikit-image, Rand index as in scikit-learn")

# %% [markdown]
# ## Where it breaks
#
# ### Color is not meaning
#
# Felzenszwalb's method has the best covering above. How much of each object lies in segments that belong to it?

# %%
overlaps = count_overlaps(truth, maps["Felzenszwalb"])
rows = zip(datasets.photo_truth("coffee").names, kept(overlaps), overlaps.sum(1), strict=True)
for name, share, size in sorted(rows, key=lambda row: row[1]):
    print(f"{name:12} {share:4.0%} of {size} pixels")
leaked = (truth == 3) & (overlaps.argmax(0)[maps["Felzenszwalb"]] != 3)
shown = paint(cut_out(photo, truth == 3), leaked, (0.0, 0.45, 0.7))
plot.show(photo, shown, titles=["picture", "the cup; in blue what has leaked from it"])

# %% [markdown]
# *Cause.* Outside, the cup is as red as the saucer that it stands on, and lies in its own shadow. There is no edge to
# be found. What makes the cup one thing is that we know cups; no method that sees colors alone can know that.
#
# ### The right number for the wrong reason
#
# Coins are brighter than their backdrop. So: threshold, connected pieces, throw the crumbs away, count.
#
# > **Predict first.** There are 24 coins. How many will be counted?

# %%
coins, coins_truth = datasets.photo("coins"), datasets.photo_truth("coins").labels
bright = Thresholding().segment(coins).labels
pieces = connected_components(bright)
large = segment_sizes(pieces) >= 100
counted = torch.where((bright == 1) & large[pieces], pieces, -1)
print("counted:", len(counted.unique()) - 1, "· coins:", coins_truth.max().item())
overlaps = [max(iou(counted == j, coins_truth == i) for j in counted[coins_truth == i].unique()) for i in range(1, 25)]
print("IoU of the five worst coins:", sorted(round(value, 2) for value in overlaps)[:5])
plot.show(coins, relabel(counted), coins_truth, titles=["picture", "counted", "by hand"])

# %% [markdown]
# *Cause.* The light is uneven: the backdrop in the corner is brighter than coins elsewhere, so one piece is a lit part
# of the backdrop with a coin in it. A count can be right while a segment is wrong: measure segments, not counts.
# Chapter 02 mends this with a threshold that follows the light.
#
# ### A hint that is not understood
#
# The box that was so good at the dahlia, put around the cup:

# %%
cup = torch.isin(truth, torch.tensor([3, 5]))  # the cup with the coffee in it
mask = object_in_box(photo, (5, 160, 300, 420))
shown, titles = [cut_out(photo, cup), cut_out(photo, mask)], ["picture", "cup, by hand", "box and threshold"]
ax = plot.show(photo, *shown, titles=titles, captions=["", "", f"IoU {iou(mask, cup):.2f}"])[0]
_ = ax.plot([160, 420, 420, 160, 160], [5, 5, 300, 300, 5], color="yellow")

# %% [markdown]
# *Cause.* The method assumed that an object is on one side of one threshold and its surroundings on the other. The cup
# is white inside and red outside, on a red saucer. Its hint was good; its notion of an object was not. Chapter 10
# models object and background by several colors each.
#
# ### A measure that is cheated
#
# Take the finest segmentation there is, every pixel for itself, and the coarsest.

# %%
each_pixel = torch.arange(outlines.numel()).reshape(outlines.shape)
extremes = {"each pixel": each_pixel, "one segment": torch.zeros_like(outlines), "truth": outlines}
rows = [measure(labels, outlines, coffee) for labels in extremes.values()]
print(f"{'':24}", *(f"{name:>11}" for name in extremes))
for title in list(rows[0])[:6]:
    print(f"{title:24}", *(f"{row[title]:11.2f}" for row in rows))

# %% [markdown]
# *Cause.* Each measure looks at one condition and is blind to the others. Recall, undersegmentation error and explained
# variation are perfect when every pixel stands for itself. Whoever reports only these reports, for the most part, how
# many segments there are.

# %% [markdown]
# ## Summary
#
# - A **label map** holds one whole number for each pixel, −1 where there is none. The numbers are names: compare which
#   pixels are together, never the numbers.
# - One label may lie in many **connected pieces**; say which of the two you count.
# - What a label *means* is the task: class, instance, the object of a hint, what pictures share, or only likeness.
# - A good segment keeps to the object's boundary and inside it, spares small objects, is uniform, large, compact, like
#   the others in size, evenly spread, and quick to get. These pull against each other.
# - **Over-segmentation** is a fault where segments should be objects and a plan where they are to be parts of objects.
# - One measure alone is cheated. Measures with a truth: recall, leakage, covering, Rand, information. Without:
#   explained variation, sizes, compactness, evenness.
#
# Next: chapter 02, the simplest method of all, a threshold.

# %% [markdown]
# ## Exercises
#
# **01.1** Write a function that says whether two label maps are the same segmentation, whatever the names of the
# labels.


# %% tags=["exercise"]
def same_segmentation(a, b):
    """Whether two label maps (H, W) differ in nothing but the names of their labels."""
    ### BEGIN SOLUTION
    return torch.equal(relabel(a), relabel(b))
    ### END SOLUTION


# %% tags=["wrong"]
def same_segmentation(a, b):
    return torch.equal(a, b)


# %% tags=["wrong"]
def same_segmentation(a, b):
    return sorted(segment_sizes(a).tolist()) == sorted(segment_sizes(b).tolist())


# %% tags=["wrong"]
def same_segmentation(a, b):
    return all(len(b[a == label].unique()) == 1 for label in a.unique())


# %% tags=["check"]
with check("01.1 the same segmentation"):
    first = torch.tensor([[0, 0, 1], [2, 2, 1]])
    assert same_segmentation(first, torch.tensor([[2, 2, 0], [1, 1, 0]])), "renaming labels changes nothing"
    assert not same_segmentation(first, torch.tensor([[0, 1, 1], [0, 2, 2]])), "equal sizes are not enough"
    assert not same_segmentation(first, torch.tensor([[0, 0, 1], [1, 1, 1]])), "here two segments have become one"
    assert not same_segmentation(torch.tensor([[0, 0, 1], [1, 1, 1]]), first), "and here one has become two"

# %% [markdown]
# **01.2** Which task is it? Give for each letter one of `"semantic"`, `"instance"`, `"object extraction"`,
# `"co-segmentation"`, `"unsupervised"`.
#
# - *a* A biologist counts cells under the microscope; many touch.
# - *b* A map maker wants to know which pixels of a satellite picture are forest, water or road.
# - *c* You draw a box around your friend, to put them in front of another background.
# - *d* The same statue is in thirty holiday pictures, each time somewhere else. Nobody marks it.
# - *e* A tracker shall follow a few hundred even patches instead of a million pixels, in any film at all.


# %% tags=["exercise"]
def which_task():
    """The task for each letter."""
    ### BEGIN SOLUTION
    return {"a": "instance", "b": "semantic", "c": "object extraction", "d": "co-segmentation", "e": "unsupervised"}
    ### END SOLUTION


# %% tags=["wrong"]
def which_task():
    return {"a": "semantic", "b": "semantic", "c": "object extraction", "d": "co-segmentation", "e": "unsupervised"}


# %% tags=["wrong"]
def which_task():
    return {"a": "instance", "b": "semantic", "c": "object extraction", "d": "instance", "e": "unsupervised"}


# %% tags=["check"]
with check("01.2 which task"):
    answer = which_task()
    assert sorted(answer) == list("abcde"), "one answer for each of a, b, c, d, e"
    assert answer["a"] == "instance", "a: two cells that touch have the same class, and are to be counted as two"
    assert answer["b"] == "semantic", "b: nobody counts forests here; what is asked of a pixel is what it shows"
    assert answer["c"] == "object extraction", "c: a person says which object"
    assert answer["d"] == "co-segmentation", "d: the only hint is that all the pictures have it in common"
    assert answer["e"] == "unsupervised", "e: no names and no hints, only likeness"

# %% [markdown]
# **01.3** Count objects: how many connected pieces (touching at sides) are there of all classes but the background, 0?
# Things of *different* classes may touch; they count apart.


# %% tags=["exercise"]
def count_objects(semantic):
    """The number of connected pieces of all classes but 0."""
    ### BEGIN SOLUTION
    return len(connected_components(semantic)[semantic != 0].unique())
    ### END SOLUTION


# %% tags=["wrong"]
def count_objects(semantic):
    return int(connected_components((semantic > 0).long())[semantic > 0].unique().numel())


# %% tags=["wrong"]
def count_objects(semantic):
    return int(connected_components(semantic).max()) + 1


# %% tags=["wrong"]
def count_objects(semantic):
    return len(semantic[semantic != 0].unique())


# %% tags=["check"]
with check("01.3 counting objects"):
    assert count_objects(twins.semantic) == 3, "two red squares and a blue one"
    assert count_objects(torch.tensor([[1, 1, 2, 2]])) == 2, "two classes that touch are two objects"
    assert count_objects(torch.tensor([[1, 0], [0, 1]])) == 2, "pieces that meet at a corner only do not touch"
    assert count_objects(torch.tensor([[0, 1, 0], [1, 1, 1]])) == 1, (
        "the background does not count, in how many pieces ever"
    )

# %% [markdown]
# **01.4** Give every pixel without a label (−1) the label of the nearest pixel that has one. SciPy's
# `ndimage.distance_transform_edt(mask, return_indices=True)` finds for each pixel the nearest one at which `mask` is
# False.


# %% tags=["exercise"]
def fill(labels):
    """The label map (H, W) with each −1 replaced by the label of the nearest labeled pixel."""
    ### BEGIN SOLUTION
    rows, cols = ndimage.distance_transform_edt((labels == -1).numpy(), return_distances=False, return_indices=True)
    return labels[rows, cols]
    ### END SOLUTION


# %% tags=["wrong"]
def fill(labels):
    return labels.clamp(min=0)


# %% tags=["wrong"]
def fill(labels):
    return torch.where(labels == -1, labels.flatten().mode().values, labels)


# %% tags=["wrong"]
def fill(labels):
    rows, cols = ndimage.distance_transform_edt((labels != -1).numpy(), return_distances=False, return_indices=True)
    return labels[rows, cols]


# %% tags=["check"]
with check("01.4 filling gaps"):
    assert fill(torch.tensor([[3, -1, -1, 1]])).tolist() == [[3, 3, 1, 1]], "each gap takes the nearer label"
    assert torch.equal(fill(twins.instances), twins.instances), "where nothing is missing nothing changes"
    filled = fill(careful)
    assert (filled >= 0).all(), "no −1 is left"
    assert torch.equal(filled[careful >= 0], careful[careful >= 0]), "labels that are there stay"

# %% [markdown]
# **01.5** *Achievable segmentation accuracy*: give each segment of the prediction to the object with which it shares
# most pixels. What share of all pixels is then right? Use `count_overlaps`.


# %% tags=["exercise"]
def achievable_accuracy(labels_true, labels_pred):
    """The share of pixels in the object to which their segment belongs, in [0, 1]."""
    ### BEGIN SOLUTION
    overlaps = count_overlaps(labels_true, labels_pred)
    return (overlaps.amax(0).sum() / overlaps.sum()).item()
    ### END SOLUTION


# %% tags=["wrong"]
def achievable_accuracy(labels_true, labels_pred):
    overlaps = count_overlaps(labels_true, labels_pred)
    return (overlaps.amax(1).sum() / overlaps.sum()).item()


# %% tags=["wrong"]
def achievable_accuracy(labels_true, labels_pred):
    overlaps = count_overlaps(labels_true, labels_pred)
    return (overlaps.amax(0) / overlaps.sum(0)).mean().item()


# %% tags=["check"]
with check("01.5 achievable accuracy"):
    a, b = torch.tensor([[0, 0, 0, 0, 1, 1]]), torch.tensor([[0, 0, 0, 0, 0, 1]])
    assert abs(achievable_accuracy(a, b) - 5 / 6) < 1e-6, "the fifth pixel goes with segment 0, and is wrong"
    finest = torch.arange(6)[None]
    assert achievable_accuracy(a, finest) == 1, "each pixel for itself can be given rightly"
    assert abs(achievable_accuracy(finest, a) - 2 / 6) < 1e-6, (
        "truth first, prediction second: each segment is right in one pixel"
    )

# %% [markdown]
# **01.6** Cheat! Make a label map that does not look at the picture, has at most 100 segments, and still gets a
# boundary recall above 0.95 on the scene. *Hint*: what does the tolerance allow?


# %% tags=["exercise"]
def cheat(height, width):
    """A label map (height, width) of at most 100 segments with a boundary near every pixel."""
    ### BEGIN SOLUTION
    return (torch.arange(height) // 4)[:, None].expand(height, width)
    ### END SOLUTION


# %% tags=["wrong"]
def cheat(height, width):
    return torch.arange(height * width).reshape(height, width)


# %% tags=["wrong"]
def cheat(height, width):
    return (torch.arange(height) // 24)[:, None] * 10 + (torch.arange(width) // 32)[None]


# %% tags=["check"]
with check("01.6 cheating at boundary recall"):
    trick = cheat(*instances.shape)
    assert trick.shape == instances.shape, "a label for each pixel"
    assert len(trick.unique()) <= 100, f"{len(trick.unique())} segments; at most 100 are allowed"
    recall = metrics.boundary_recall(instances, trick, tolerance=2)
    assert recall > 0.95, f"the recall is {recall:.2f}: leave no pixel further than the tolerance from a boundary"

# %% [markdown]
# How high is its precision, and what do the other measures say? No reader of your report should have to ask.

# %% [markdown]
# ## References
#
# - C. Rother, V. Kolmogorov, T. Minka, A. Blake. *Cosegmentation of image pairs by histogram matching.* CVPR 2006.
#   doi:10.1109/CVPR.2006.91
# - A. Kirillov, K. He, R. Girshick, C. Rother, P. Dollár. *Panoptic segmentation.* CVPR 2019.
#   doi:10.1109/CVPR.2019.00963 (semantic and instance segmentation as one task)
# - X. Ren, J. Malik. *Learning a classification model for segmentation.* ICCV 2003. doi:10.1109/ICCV.2003.1238308
#   (superpixels get their name)
# - A. Levinshtein and others. *TurboPixels: fast superpixels using geometric flows.* IEEE TPAMI 31(12), 2009.
#   doi:10.1109/TPAMI.2009.96 (conditions for superpixels; undersegmentation)
# - R. Achanta and others. *SLIC superpixels compared to state-of-the-art superpixel methods.* IEEE TPAMI 34(11), 2012.
#   doi:10.1109/TPAMI.2012.120
# - D. Stutz, A. Hermans, B. Leibe. *Superpixels: an evaluation of the state-of-the-art.* Computer Vision and Image
#   Understanding 166, 2018. doi:10.1016/j.cviu.2017.03.007 (all measures of this chapter that look at segments)
# - P. F. Felzenszwalb, D. P. Huttenlocher. *Efficient graph-based image segmentation.* International Journal of
#   Computer Vision 59(2), 2004. doi:10.1023/B:VISI.0000022288.19776.77
# - P. Arbeláez, M. Maire, C. Fowlkes, J. Malik. *Contour detection and hierarchical image segmentation.* IEEE TPAMI
#   33(5), 2011. doi:10.1109/TPAMI.2010.161 (covering; the benchmark of chapter 11)
# - P. J. Clark, F. C. Evans. *Distance to nearest neighbor as a measure of spatial relationships in populations.*
#   Ecology 35(4), 1954. doi:10.2307/1931034
