# %% [markdown]
# # 00 · Start here
#
# A machine sees a picture as a table of numbers. **Segmentation** groups those numbers into things: cup, saucer, table.
# This course builds the methods that do it, from a single threshold to networks that need no teacher.
#
# **After this chapter you can**
#
# - check that everything on your computer works,
# - use the three tools that every chapter uses: the player, the explorer and the comparison,
# - run any method of the course on a picture of your own.
#
# **Time** 15 minutes · **Before this** a little Python: you can read a function call.

# %%
from seglab import datasets, plot
from seglab.methods import GaussianMixture, KMeans, SmoothedMixture, Thresholding

coffee = datasets.photo("coffee", max_side=300)
results = [
    Thresholding().segment(coffee),
    KMeans(n_clusters=4).segment(coffee),
    SmoothedMixture(n_components=4).segment(coffee),
]
plot.show(coffee, *results, titles=["a photograph", "02 · a threshold", "03 · k-means", "04 · a smoothed mixture"])

# %% [markdown]
# The photograph, and what the methods of the next three chapters make of it. Each color is one **segment**: a set of
# pixels that got the same number.
#
# To run a cell, click into it and press **Shift + Enter**. To run them all, choose *Run → Run All Cells*.

# %% [markdown]
# ## Set-up: does everything work?
#
# This cell prints what is installed and tries it. If it ends with *All is well*, so it is.

# %%
import platform

import matplotlib
import numpy as np
import skimage
import sklearn
import torch

import seglab

for module in (seglab, torch, np, skimage, sklearn, matplotlib):
    print(f"{module.__name__:12} {module.__version__}")
print(f"{'Python':12} {platform.python_version()}")

# %%
device = "cuda" if torch.cuda.is_available() else "cpu"
try_out = KMeans(n_clusters=2).segment(datasets.photo("coins"), device=device)
assert try_out.n_segments == 2
found = datasets.available()
print("methods run on      ", device)
print("Berkeley data found ", "yes" if "bsds500" in found else "no (only needed for a few optional cells)")
print("All is well.")

# %% [markdown]
# A GPU is used where you ask for one (`device="cuda"`); nothing in the course needs it.

# %% [markdown]
# ## The problem
#
# Here are 36 numbers. Before you run the next cell: how many things do you see in this table?

# %%
island = datasets.tiny("island")
np.set_printoptions(precision=1)
print(island.image[0].numpy())

# %%
plot.show(island.image[0], island.instances, titles=["the same numbers as grays", "what the eye says"])

# %% [markdown]
# A **label map** is the answer to a segmentation problem: one whole number for each pixel. Equal numbers mean *belongs
# together*; which number it is means nothing. Chapter 01 is about that.

# %% [markdown]
# ## Use it
#
# A method is an object that holds its parameters. `segment` takes a picture in any usual form: a file's name, an array,
# a tensor.

# %%
result = KMeans(n_clusters=4).segment(coffee)
result

# %% [markdown]
# The result shows itself. It is also a label map for NumPy, matplotlib and scikit-image:

# %%
labels = np.asarray(result)
print(result)
print(labels.shape, labels.dtype, "labels", np.unique(labels))

# %%
plot.show_segmentation(result)

# %% [markdown]
# ## Step through it
#
# Most methods work in steps, and the **player** shows each of them: the picture on one side, what the method knows on
# the other. k-means, for one, keeps a list of typical colors and improves it.
#
# **Predict first.** The method starts from four colors of the picture, chosen almost at random. After how many steps
# will you see no further change: 3, 30 or 300?

# %%
from seglab.widgets import compare, explore, step_through

step_through(KMeans(n_clusters=4), datasets.photo("coffee", max_side=240))

# %% [markdown]
# Press ▶, or drag the slider, or click on the picture and use the arrow keys (space plays). The dots are the picture's
# colors, the large marks the four typical ones.
#
# *No buttons above, only moving pictures?* Then this page is open without a kernel; run the cell to get the controls.
#
# <details><summary>After how many steps?</summary>
#
# The eye stops seeing a difference within the first dozen; the method itself stops when no pixel changes its segment
# any more, which takes a few dozen. The curve of the *inertia* under the picture tells both stories.
# </details>

# %% [markdown]
# ## The parameters
#
# The **explorer** makes a control for each parameter. Move `n_clusters` and watch the table top: when does it fall
# apart? Then choose another photograph, or bring your own. *Copy as code* gives the line that repeats what you see.

# %%
explore(KMeans(n_clusters=4), {"coffee": coffee})

# %% [markdown]
# A **sweep** is the same on paper: one parameter, several values.

# %%
plot.sweep(KMeans, coffee, "n_clusters", [2, 3, 5, 9])

# %% [markdown]
# ## A real photograph: who is best?
#
# The **comparison** puts methods beside one another. Zoom into one cell (mouse wheel, or + and −) and the others of the
# same picture follow. We drew the true outline of the cup, the saucer and the rest by hand, so that there is a score as
# well.

# %%
truth = datasets.photo_truth("coffee", max_side=300)
print("outlined by hand:", ", ".join(truth.names))
contestants = [Thresholding(), KMeans(n_clusters=4), GaussianMixture(n_components=4), SmoothedMixture(n_components=4)]
compare(contestants, {"coffee": coffee}, {"coffee": truth.labels})

# %% [markdown]
# **SC**, the covering, says how well the segments overlap the true ones: 1 is perfect, higher is better. **PRI** is
# the share of pixel pairs that are treated alike (higher is better), **VI** the information, in bits, by which the two
# differ (lower is better). Chapter 11 takes them apart.

# %% [markdown]
# ## Where it breaks
#
# None of the four finds *the cup*. Its white rim and its red side have nothing in common but being a cup, and a method
# that looks at one pixel's color at a time cannot know. Keep that question; later chapters answer it.

# %%
cup = truth.labels == truth.names.index("cup")
inside = torch.where(cup, result.labels, -1)
plot.show(cup, inside, titles=["the cup, by hand", "k-means inside it"], image=coffee, overlay=True)

# %% [markdown]
# ## Summary
#
# | you want | you write |
# |---|---|
# | a segmentation | `KMeans(n_clusters=4).segment(picture)` |
# | every step | `for state in KMeans(n_clusters=4).steps(picture): ...` |
# | the player | `step_through(KMeans(n_clusters=4), picture)` |
# | sliders | `explore(KMeans, picture)` |
# | methods side by side | `compare([KMeans(), Thresholding()], picture)` |
# | a folder of pictures | `seglab segment FOLDER --method kmeans -o OUT` in a terminal |
#
# The methods that there are, each with its chapter:

# %%
from seglab.segmenter import methods

for name, method in methods().items():
    print(f"{name:14} {method.title}")

# %% [markdown]
# ## Exercises
#
# Exercises end each chapter. You fill in a function; the cell below it checks your answer and says what is missing.
# The solved notebooks are in the folder `solutions`.
#
# **00.1** Write a function that takes a label map and returns the number of segments. (`np.unique` helps.)

# %% tags=["exercise"]
def number_of_segments(labels):
    """The number of different labels in an array (H, W)."""
    ### BEGIN SOLUTION
    return len(np.unique(labels))
    ### END SOLUTION

# %% tags=["wrong"]
def number_of_segments(labels):
    return labels.max()

# %% tags=["wrong"]
def number_of_segments(labels):
    return labels.size

# %% tags=["check"]
from seglab.exercises import check

with check("00.1 counting segments"):
    assert number_of_segments(np.array([[0, 0, 1], [2, 2, 1]])) == 3, "labels 0, 1 and 2 make three segments"
    assert number_of_segments(np.array([[7, 7], [9, 9]])) == 2, "the numbers need not be consecutive"

# %% [markdown]
# **00.2** Segment a picture of your own. Put its file beside this notebook, or use a bundled one (`datasets.photos()`
# lists them), and return a result with exactly six segments.

# %% tags=["exercise"]
def six_segments(picture):
    """A Segmentation of the picture with six segments."""
    ### BEGIN SOLUTION
    return KMeans(n_clusters=6).segment(picture)
    ### END SOLUTION

# %% tags=["wrong"]
def six_segments(picture):
    return KMeans().segment(picture)

# %% tags=["wrong"]
def six_segments(picture):
    return KMeans(n_clusters=6)

# %% tags=["check"]
with check("00.2 your first segmentation"):
    answer = six_segments(datasets.photo("chelsea", max_side=120))
    assert hasattr(answer, "labels"), "call .segment(picture) on the method and return what it gives"
    assert answer.n_segments == 6, f"six segments are wanted; these are {answer.n_segments}"

# %% [markdown]
# ## References
#
# The photograph of the coffee is by Rachel Michetti (CC0), as shipped with scikit-image. Every chapter
# ends with the papers it is built on. Next: **01 · What segmentation is**.
