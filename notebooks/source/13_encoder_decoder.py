# %% [markdown]
# # 13 · Down and up again
#
# Pooling lets a network see far, and forget where. A segmentation needs both: what it is, and where it ends. This
# chapter takes maps down and back up, in five ways, and measures what each way back loses.
#
# **After this chapter you can**
#
# - compute a transposed convolution on paper, three ways, and foresee its size and its checkerboard,
# - undo a pooling by interpolation, by nails, by switches, and say what each of them keeps,
# - build an encoder–decoder with and without skips, and measure it where it matters: at the boundaries.
#
# **Time** 90 minutes · **Before this** chapter 12

# %%
import torch

from seglab import plot
from seglab.networks import load_weights
from seglab.networks.recipes.hourglass_shapes import networks, scenes

trained = load_weights(networks(), "hourglass_shapes")
(image, truth), *_ = scenes([100_003])
shown = ["nearest", "switches", "nearest, skips"]
with torch.no_grad():
    found = [trained[kind](image[None])[0].argmax(0) for kind in shown]
plot.show(image, truth, *found, titles=["a scene", "the truth", *shown], size=2);

# %% [markdown]
# ## Set-up

# %%
import matplotlib.pyplot as plt
import numpy as np
from torch import nn
from torch.nn import functional as F

from seglab import datasets
from seglab.exercises import check
from seglab.metrics import boundary_band, confusion, semantic_scores
from seglab.networks import (
    Hourglass, SegNet, Training, Unpool, conv_size, layers, receptive_field, transposed_size, weights_info
)
from seglab.networks.recipes.hourglass_shapes import CLASSES, flat_grid, loss_of, scores_of
from seglab.widgets import step_through

# %% [markdown]
# ## The problem
#
# A thin line in a picture of 8×8. Pool it once: each block of 2×2 keeps its largest value. Pool it again.

# %%
line = torch.zeros(8, 8)
line[torch.arange(8), [1, 1, 2, 2, 3, 4, 4, 5]] = 1
half = F.max_pool2d(line[None, None], 2)
quarter = F.max_pool2d(half, 2)
plot.show(line, half[0, 0], quarter[0, 0], titles=["8×8", "pooled", "pooled twice"], size=2.4);

# %% [markdown]
# On the right we still know *that* there is a line, and about where. From which pixels did the ones come? A map of 2×2
# cannot say: many pictures have this same map. Whoever goes back up must invent, learn, or have remembered.

# %% [markdown]
# ## Use it
#
# `Hourglass` goes down by pooling and back up by a method of your choice. The weights that come with the package were
# trained on scenes like the one above: ground, shapes, and sticks two pixels thin.

# %%
with torch.no_grad():
    labels = trained["switches, skips"](image[None])[0].argmax(0)
plot.show(image, labels, titles=["a scene", "switches, skips"], size=2.4)
print(semantic_scores(confusion(truth, labels, n_classes=3), CLASSES))

# %% [markdown]
# Intersection over union (IoU) asks, of all pixels that *are* sticks or *are called* sticks, how many are both. Of a
# data set it is taken from the **sum** of the pictures' confusion matrices. It is not the mean of the pictures' IoUs:
# a picture with three pixels of stick would count as much as one with three hundred.

# %% [markdown]
# ## The idea
#
# An **encoder** halves its map a few times. Each halving doubles how far the next convolution sees. A **decoder**
# undoes the halvings, one by one.

# %%
blocks, before = [], 3
print("poolings   map of a 64×64 picture   a value sees   and its neighbor looks, pixels farther")
for level in range(5):
    blocks.append(nn.Conv2d(before, 8, 3, padding=1))
    seen = receptive_field(blocks, 64)
    print(f"{level:8} {seen.size:17}×{seen.size} {seen.field:12}×{seen.field} {seen.jump:20}")
    blocks.append(nn.MaxPool2d(2))
    before = 8

# %% [markdown]
# The farther a value sees, the fewer values there are. What should the decoder put into the pixels that a pooling took?
#
# | `unpool` | a value goes | the rest is | knows where? |
# |---|---|---|---|
# | `"nearest"` | to all of its block | – | no |
# | `"bilinear"` | to the block's middle | interpolated | no |
# | `"nails"` | to the top left of its block | 0 | no |
# | `"switches"` | to where the maximum was | 0 | yes: one place for each block |
# | `"transposed"` | to all that a kernel covers | a sum of neighbors | no, but it learns the kernel |
#
# And independently of these: **skips**. The decoder gets the encoder's map of the same size beside its own. It knows
# where from one, and what from the other.
#
# | symbol | in the code | shape | meaning |
# |---|---|---|---|
# | $x$, $y$ | `x`, `y` | (N, C, H, W) | maps before and after |
# | $k$, $s$, $p$ | `kernel`, `stride`, `padding` | | of a convolution |
# | $C$ | `C` | (outputs, inputs) | a convolution written as a matrix |
# | | `switches` | (N, C, h, w) | for each maximum, where it was: row · W + column |
#
# The objective is chapter 12's: cross-entropy of each pixel, here with more weight for rare classes.

# %% [markdown]
# ## Build it
#
# ### Unpooling: a map of 4×4
#
# **First rung: pool, and remember.** Loops, to see what a switch is.


# %%
def pool_with_switches(x):
    values, switches = np.zeros((2, 2)), np.zeros((2, 2), int)
    for row in range(2):
        for col in range(2):
            block = x[2 * row : 2 * row + 2, 2 * col : 2 * col + 2]
            r, c = np.unravel_index(block.argmax(), (2, 2))
            values[row, col], switches[row, col] = block[r, c], (2 * row + r) * 4 + 2 * col + c
    return values, switches


x = np.array([[1.0, 3, 0, 2], [4, 2, 6, 1], [0, 1, 2, 3], [5, 2, 1, 0]])
values, switches = pool_with_switches(x)
theirs = F.max_pool2d(torch.tensor(x)[None, None], 2, return_indices=True)
assert (values == theirs[0][0, 0].numpy()).all() and (switches == theirs[1][0, 0].numpy()).all()
print(switches)

# %% [markdown]
# **Second rung: five ways back.** Three are a line each.

# %%
nails, nearest, back = np.zeros((4, 4)), np.zeros((4, 4)), np.zeros(16)
nails[::2, ::2] = values
for dr, dc in np.ndindex(2, 2):
    nearest[dr::2, dc::2] = values
back[switches] = values
back = back.reshape(4, 4)

map_, at = torch.tensor(values)[None, None], torch.tensor(switches)[None, None]
for kind, ours in (("nails", nails), ("nearest", nearest), ("switches", back)):
    assert (Unpool(kind)(map_, at)[0, 0].numpy() == ours).all()
bilinear = Unpool("bilinear")(map_)[0, 0]
plot.show(x, values, nearest, bilinear.numpy(), nails, back, cols=6, size=1.65,
          titles=["before", "pooled", "nearest", "bilinear", "nails", "switches"]);

# %% [markdown]
# Compare with the first picture. Only the switches put 6 and 5 where they were. Pool any of them but the bilinear one
# again, and you get the same 2×2: **unpooling is an inverse from the right only**.

# %% [markdown]
# ### Transposed convolution, three ways
#
# **One: scatter.** Each input pixel adds its multiple of the kernel to the output, `stride` apart. On paper, with
# kernel (1, 10, 100), each digit tells who wrote it.


# %%
def scatter(x, kernel, stride):
    y = np.zeros((len(x) - 1) * stride + len(kernel))
    for i, value in enumerate(x):
        y[i * stride : i * stride + len(kernel)] += value * kernel
    return y


small, kernel = np.array([1.0, 2, 3]), np.array([1.0, 10, 100])
print("stride 1:", scatter(small, kernel, 1))
print("stride 2:", scatter(small, kernel, 2))
print("stride 3:", scatter(small, kernel, 3))

# %% [markdown]
# **Two: the transposed matrix.** A convolution is linear, so it is a matrix. Its columns are what it makes of one pixel
# that is 1. This one takes 7 values to 3; its transpose takes 3 to 7.


# %%
def conv(x, kernel, stride):
    return np.array([x[i : i + len(kernel)] @ kernel for i in range(0, len(x) - len(kernel) + 1, stride)])


C = np.stack([conv(one, kernel, 2) for one in np.eye(7)], axis=1)
print(C.astype(int), "\n\ntransposed\n\n", C.T.astype(int))
assert (C.T @ small == scatter(small, kernel, 2)).all()

# %% [markdown]
# That is where the name comes from, and why it is wrong to call it *deconvolution*: it is no inverse.
# It is the convolution's **backward pass**: what gradients go through, $\langle Cx, y\rangle = \langle x, C^\top y\rangle$.

# %%
big = np.arange(7.0)
assert np.isclose(C @ big @ small, big @ (C.T @ small))
print("before        ", big)
print("there and back", C.T @ (C @ big))

# %% [markdown]
# **Three: a plain convolution.** Put `stride - 1` zeros between the pixels and `k - 1` around them, flip the kernel, and
# convolve with stride **one**.

# %%
stuffed = np.zeros(5)
stuffed[::2] = small
stuffed = np.pad(stuffed, 2)
print(stuffed)
assert (conv(stuffed, kernel[::-1], 1) == scatter(small, kernel, 2)).all()

# %% [markdown]
# In two dimensions, with channels, padding and all, `seglab.networks.layers` has the three; torch has one.

# %%
g = torch.Generator().manual_seed(0)
maps, weight = torch.randn(2, 4, 5, 6, generator=g), torch.randn(4, 3, 3, 3, generator=g)
options = {"stride": 2, "padding": 1, "output_padding": 1}
theirs = F.conv_transpose2d(maps, weight, **options)
for form in (layers.transposed_by_scatter, layers.transposed_by_gradient, layers.transposed_by_convolution):
    ours = form(maps, weight, **options)
    print(f"{form.__name__:26} {tuple(ours.shape)}, at most {(ours - theirs).abs().max():.0e} from torch's")
    assert torch.allclose(ours, theirs, atol=1e-5)

# %% [markdown]
# ### Sizes
#
# Down, a side of $n$ pixels becomes $\lfloor (n + 2p - k)/s \rfloor + 1$. Up, it becomes $(n-1)s - 2p + k$, plus
# `output_padding`.
#
# **Predict first.** A convolution with $k = 3$, $s = 2$, $p = 1$ makes 4 of 7. What does it make of 8? And to which size
# does the transposed one lead back?

# %%
print("   n   down   up again, output_padding 0   1")
for n in (5, 6, 7, 8):
    small_side = conv_size(n, 3, 2, 1)
    print(f"{n:4} {small_side:6} {transposed_size(small_side, 3, 2, 1):29} {transposed_size(small_side, 3, 2, 1, 1):3}")

# %% [markdown]
# Two sizes have one half. `output_padding` says which of them was meant. (It adds no zeros: it lets the kernels write
# one row and column more.)

# %% [markdown]
# ### How often is a pixel written to?
#
# Let all values and all kernels be 1: the output counts. This is the whole secret of the **checkerboard**.

# %%
ones = torch.ones(1, 1, 7, 7)
counts = [F.conv_transpose2d(ones, torch.ones(1, 1, k, k), stride=2)[0, 0, 4:12, 4:12] for k in (2, 3, 4, 5)]
plot.show(*counts, titles=[f"kernel {k}×{k}, stride 2" for k in (2, 3, 4, 5)], size=2.3);

# %% [markdown]
# Where the stride divides the kernel, all pixels are written to equally often. Where it does not, a pattern is built
# in, and training must unlearn it. So: **kernel 2 or 4 for stride 2**. A kernel can also *start* as bilinear
# interpolation, and learn from there:

# %%
start = layers.bilinear_kernel(1, 2)
print((start[0, 0] * 16).long())
up = F.conv_transpose2d(map_.float(), start, stride=2, padding=1)
print("inside equal to bilinear:", torch.allclose(up[0, 0, 1:3, 1:3], bilinear[1:3, 1:3].float()))

# %% [markdown]
# ### The network
#
# Blocks of convolutions, and between them pooling or its inverse. A stack holds what the way up needs of the way down.


# %%
def forward(net, x):
    ways = []
    for block in net.down:
        skip = block(x)
        x, switches = F.max_pool2d(skip, 2, return_indices=True)
        ways.append((skip, switches))
    x = net.bottom(x)
    for unpool, block in zip(net.unpools, net.up, strict=True):
        skip, switches = ways.pop()
        x = unpool(x, switches)
        x = block(torch.cat([skip, x], dim=1) if net.skips else x)
    return net.head(x)


for kind, net in trained.items():
    with torch.no_grad():
        assert torch.equal(forward(net, image[None]), net(image[None]))
    print(f"{kind:22} {sum(weight.numel() for weight in net.parameters()):7} weights")

# %% [markdown]
# **SegNet** is the hourglass with switches and no skips, and with thirteen convolutions on each side. Why switches,
# where skips know more? Memory. A switch is one of four places.

# %%
segnet = SegNet()
sides = [torch.Size([64, 360, 480]), torch.Size([128, 180, 240]), torch.Size([256, 90, 120])]
sides += [torch.Size([512, 45, 60]), torch.Size([512, 22, 30])]
n_values = sum(size.numel() for size in sides)
for name, part in (("SegNet", segnet), ("its encoder", segnet.encoder)):
    print(f"{name} has {sum(weight.numel() for weight in part.parameters()) / 1e6:.1f} million weights")
print(f"skips of a street scene {n_values * 4 / 2**20:.0f} MiB, switches {n_values / 4 * 2 / 8 / 2**20:.1f} MiB")
del segnet

# %% [markdown]
# ## Step through it
#
# A small SegNet, trained here and now on 80 scenes. Each step of the player is an epoch.
#
# **Predict first.** What will it find first, the shapes or the sticks? And what will be wrong longest?

# %%
lessons, exam = scenes(range(80)), scenes(range(100_000, 100_016))
training = Training(epochs=10, batch_size=16, lr=1e-2)

# %%
small_segnet = SegNet(3, 3, width=8, convs=(1, 1, 1))
trace = training.trace(small_segnet, loss_of(lessons), lessons, image=image,
                       scores=lambda model: {"mean IoU": scores_of(model, exam)["mean IoU"]})
step_through(trace)

# %% [markdown]
# <details><summary>What comes when</summary>
#
# Shapes come first: they are many pixels, and their inside looks alike. Sticks are few, so their loss is small, even
# with more weight; and three poolings leave little of two pixels. What is wrong longest are the outlines.
# </details>
#
# ### What the switches know
#
# Below: one channel after the first block; its maxima alone, back in their places; and, as a picture, *where* in its
# block each maximum was. In an even area, noise decides. Along an outline the maximum lies on its bright side.

# %%
net = trained["switches"]
with torch.no_grad():
    first = net.down[0](image[None])
    pooled, places = F.max_pool2d(first, 2, return_indices=True)
    put_back = Unpool("switches")(pooled, places)
channel = int(first.flatten(2).std(2).argmax())
corner = places // image.shape[2] % 2 * 2 + places % 2  # 0 top left, 1 top right, 2 bottom left, 3 bottom right
plot.show(image, first[0, channel], put_back[0, channel], corner[0, channel], size=2.4,
          titles=["the scene", "a channel", "maxima, put back", "where in its block"], overlay=False);

# %% [markdown]
# ### With and without skips
#
# The same training, twice: nearest unpooling, with and without skips.


# %%
def bands(skips):
    """The score in the band after each epoch."""
    model = Hourglass(3, 3, width=8, unpool="nearest", skips=skips)
    state = training.fit(model, loss_of(lessons), lessons, progress=False,
                         scores=lambda model: {"band": scores_of(model, exam)["in the band"]})
    return [record["band"] for record in state.history]


histories = {"without skips": bands(skips=False)}

# %%
histories["with skips"] = bands(skips=True)
plot.curves(range(1, training.epochs + 1), histories, x_label="epoch", y_label="mean IoU", title="held-out scenes, near boundaries");

# %% [markdown]
# ## The parameters
#
# Which inverse of pooling, and skips or not: eight networks, each from three seeds. All saw the same scenes as often,
# and are scored on scenes that none has seen. That takes half an hour, so the scores come with the weights:

# %%
info = weights_info("hourglass_shapes")
print(info["command"], "·", info["data"], "\n")
names = ("mean IoU", "in the band", "stick", "grid")
print(f"{'mean ± spread over the seeds':32}" + "".join(f"{name:>16}" for name in names))
for kind, scores in info["scores"].items():
    print(f"{kind:32}" + "".join(f"{scores[name]['mean']:9.3f} ± {scores[name]['spread']:.3f}" for name in names))

# %% [markdown]
# Methods that learn nothing, on the same scenes. An oracle that reads the name of *every* one of 8 segments off the
# truth is above all networks: colors give the outlines away, and the names were the task. With one segment for each
# class, again named by the truth, the best is below the networks with skips, and level with those without.

# %%
for oracle in ("unsupervised, with an oracle", "unsupervised, named one to one"):
    print(oracle)
    for name, iou in info[oracle].items():
        print(f"  {name:48} {iou:.3f}")

# %% [markdown]
# *In the band* counts only the pixels right beside a boundary. Most pixels lie deep inside something, where all
# networks are right; a score of all pixels hides what we want to know. (*grid* comes below.)

# %%
band = boundary_band(truth, 1)
plot.show(image, truth, band, titles=["a scene", "the truth", "the band"], size=2.2)
scored = info["scores"]
with plot.style():
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
for ax, name in zip(axes, ("in the band", "stick"), strict=True):
    for i, kind in enumerate(scored):
        color = "#0072B2" if "skips" in kind else "#E69F00"
        seeds = scored[kind][name]["seeds"]
        ax.plot(seeds, [i] * len(seeds), "o", color=color)
    ax.set(yticks=range(len(scored)), yticklabels=list(scored), xlabel=f"IoU: {name}")
axes[0].invert_yaxis()
means = {kind: scores["in the band"]["mean"] for kind, scores in scored.items()}
with_skips, without = ([v for kind, v in means.items() if ("skips" in kind) == has] for has in (True, False))
print(f"in the band, with skips {min(with_skips):.2f} to {max(with_skips):.2f}, "
      f"without {min(without):.2f} to {max(without):.2f}")

# %% [markdown]
# **Read it with the spread in mind.** Each dot is a seed. A difference that is smaller than the spread of the dots is
# no difference: among the six without skips, hardly anything is. After training, convolutions repair much of what an
# inverse leaves. What no decoder can repair is what has not come through, and that is what **skips** bring.
# Here is the same scene, with what is wrong marked:

# %%
kinds = ["nearest", "nails", "switches", "transposed 4×4", "nearest, skips"]
with torch.no_grad():
    wrong = [(trained[kind](image[None])[0].argmax(0) != truth) for kind in kinds]
plot.show(*wrong, titles=kinds, captions=[f"{int(w.sum())} pixels wrong" for w in wrong], size=2);

# %% [markdown]
# ## A real photograph
#
# No training at all: pool a photograph three times, and go back up. What each inverse *can* give back, before anything
# is learned:


# %%
def there_and_back(x, kind, times=3):
    ways = []
    for _ in range(times):
        x, switches = F.max_pool2d(x, 2, return_indices=True)
        ways.append(switches)
    for switches in reversed(ways):
        x = Unpool(kind)(x, switches)
    return x


photo = datasets.photo("coffee", max_side=240)[:, :160, :240]
gray = photo.mean(0, keepdim=True)[None]
returned = {kind: there_and_back(gray, kind)[0, 0] for kind in ("nearest", "bilinear", "nails", "switches")}
plot.show(gray[0, 0], *returned.values(), titles=["the photograph", *returned], annotate=False, size=2);

# %% [markdown]
# Nails stand in a row, wherever the maximum was. Switches put each value back to its own pixel: *all* of theirs are
# right, and all the rest is black. Interpolation fills the rest, and no outline is in its place.

# %%
for kind, result in returned.items():
    kept = result > 0
    right = (result[kept] == gray[0, 0][kept]).float().mean()
    print(f"{kind:9} {kept.float().mean():6.1%} of the pixels have a value, and of these {right:6.1%} have their own")

# %% [markdown]
# ## Where it breaks
#
# **1 · Checkerboards.** An even gray picture, and networks before training. Every place looks alike, so every score
# should. The middle of a score map, enlarged:

# %%
even = torch.full((1, 3, 64, 64), 0.5)
choices = {"nearest": {}, "bilinear": {}, "nails": {}, "transposed 3×3": {"kernel": 3}, "transposed 4×4": {}}
boards = []
for name, more in choices.items():
    model = Hourglass(3, 3, width=8, unpool=name.split()[0], seed=1, **more).eval()
    with torch.no_grad():
        boards.append(model(even)[0, 0, 24:40, 24:40])
    print(f"{name:15} grid {flat_grid(model):.4f}")
plot.show(*boards, titles=list(choices), size=2, annotate=False)

# %% [markdown]
# Even the 4×4 kernel shows a grid with random weights: its four sub-kernels differ. It *can* learn not to, and a
# bilinear start has none; a 3×3 kernel writes unequally often. The column *grid* of the table above says how much is
# left after training.
#
# *Cures:* a kernel that the stride divides; a bilinear start; or interpolation followed by a convolution.

# %%
for kernel in (3, 4):
    model = Hourglass(3, 3, width=8, unpool="transposed", kernel=kernel, seed=1).eval()
    for unpool in model.unpools:
        channels = unpool.conv.in_channels
        if kernel == 4:
            unpool.conv.weight.data = layers.bilinear_kernel(channels, 2)
        else:
            unpool.conv.weight.data = torch.eye(channels)[:, :, None, None] * torch.ones(3, 3) / 2.25
    print(f"{kernel}×{kernel}, {'bilinear' if kernel == 4 else 'even'} start: grid {flat_grid(model):.6f}")

# %% [markdown]
# **2 · Holes of a bed of nails.** A 3×3 convolution fills the gaps of one unpooling. Up by 8 in one go, it does not
# reach: what lies between the nails has never heard of them.

# %%
print("up by   3×3 convolutions   pixels that hear of a nail")
for factor in (2, 4, 8):
    for n in (1, 2, 3):
        heard = layers.bed_of_nails(torch.ones(1, 1, 6, 6), factor)
        for _ in range(n):
            heard = F.conv2d(heard, torch.ones(1, 1, 3, 3), padding=1)
        print(f"{factor:5} {n:17} {(heard > 0).float().mean():22.0%}")

# %% [markdown]
# **3 · The switches draw.** Switches bring places, whatever the values are. Take the deepest map of one scene and the
# switches of another:

# %%
(other, _), *_ = scenes([100_021])
with torch.no_grad():
    x, ways = image[None], []
    for block in net.down:
        x = F.max_pool2d(block(x), 2)
    y = other[None]
    for block in net.down:
        y, switches = F.max_pool2d(block(y), 2, return_indices=True)
        ways.append(switches)
    x = net.bottom(x)
    for unpool, block in zip(net.unpools, net.up, strict=True):
        x = block(unpool(x, ways.pop()))
    mixed = net.head(x)[0].argmax(0)
    own = net(image[None])[0].argmax(0)
plot.show(image, own, other, mixed, size=2.2,
          titles=["this scene", "its own switches", "another scene", "with the other's switches"]);
print(f"{(mixed != own).float().mean():.1%} of the pixels changed their class")

# %% [markdown]
# What the network says of a place comes from below; where exactly it ends comes from the switches. In an even area all
# values are equal, and the switch is the *first* pixel, top left: it says nothing.

# %% [markdown]
# **4 · Sides that cannot be halved.** 45 → 22 → 11: the way up from 11 leads to 44. SegNet remembers each map's size;
# the hourglass refuses, so that nobody's picture is shifted by half a pixel in silence.

# %%
try:
    trained["nearest"](torch.zeros(1, 3, 45, 48))
except ValueError as error:
    print(error)
print(tuple(small_segnet(torch.zeros(1, 3, 45, 48)).shape))

# %% [markdown]
# ## Summary
#
# - Pooling buys sight with place. The decoder has to get place back: invented (interpolation), learned (transposed
#   convolution), or remembered (switches, skips).
# - A transposed convolution is the transposed matrix, the backward pass, and a convolution of a picture stuffed with
#   zeros; it is no inverse. Its kernel should be a multiple of its stride.
# - Switches are cheap, and right about one pixel in four. Skips cost memory, and bring the whole map.
# - Score boundaries where boundaries are, sum confusion matrices over pictures, and repeat with other seeds.

# %% [markdown]
# ## Exercises
#
# **13.1 Twice as large.** For a transposed convolution with stride 2 and a kernel of `k` (at least 2), which padding
# and output padding give exactly twice the side, whatever the side?


# %% tags=["exercise"]
def doubling(k):
    """(padding, output_padding), output_padding 0 or 1."""
    ### BEGIN SOLUTION
    # (n - 1) · 2 - 2p + k + o = 2n, so 2p = k - 2 + o: o makes it even
    output_padding = k % 2
    return (k - 2 + output_padding) // 2, output_padding
    ### END SOLUTION


# %% tags=["wrong"]
def doubling(k):
    return k // 2, k % 2


# %% tags=["wrong"]
def doubling(k):
    return (k - 2) // 2, 0


# %% tags=["check"]
with check("13.1 twice as large"):
    for k in range(2, 9):
        for n in (3, 8):
            side = transposed_size(n, k, 2, *doubling(k))
            assert side == 2 * n, f"kernel {k}: {n} becomes {side}, not {2 * n}; solve (n - 1)·2 - 2p + k + o = 2n"

# %% [markdown]
# **13.2 Transposed convolution.** In one dimension, with padding: padding takes as many values off *each end* of the
# output.


# %% tags=["exercise"]
def transposed(x, kernel, stride, padding):
    """The output, an array; x and kernel are arrays of numbers."""
    ### BEGIN SOLUTION
    y = np.zeros((len(x) - 1) * stride + len(kernel))
    for i, value in enumerate(x):
        y[i * stride : i * stride + len(kernel)] += value * kernel
    return y[padding : len(y) - padding]
    ### END SOLUTION


# %% tags=["wrong"]
def transposed(x, kernel, stride, padding):
    y = np.zeros((len(x) - 1) * stride + len(kernel) + 2 * padding)
    for i, value in enumerate(x):
        y[padding + i * stride : padding + i * stride + len(kernel)] += value * kernel
    return y


# %% tags=["wrong"]
def transposed(x, kernel, stride, padding):
    stuffed = np.zeros((len(x) - 1) * stride + 1)
    stuffed[::stride] = x
    y = np.correlate(stuffed, kernel, "full")
    return y[padding : len(y) - padding]


# %% tags=["check"]
with check("13.2 transposed convolution"):
    answer = transposed(np.array([1.0, 2]), np.array([1.0, 10, 100]), 2, 0)
    assert np.allclose(answer, [1, 10, 102, 20, 200]), "without padding: [1, 10, 102, 20, 200]; is the kernel flipped?"
    for k, s, p in ((3, 1, 1), (4, 2, 1), (5, 3, 2)):
        a, b = np.arange(1.0, 6), np.arange(1.0, k + 1) ** 2
        expected = F.conv_transpose1d(torch.tensor(a)[None, None], torch.tensor(b)[None, None], stride=s, padding=p)
        assert len(transposed(a, b, s, p)) == expected.shape[-1], f"k={k}, s={s}, p={p}: padding makes it shorter"
        assert np.allclose(transposed(a, b, s, p), expected[0, 0]), f"k={k}, s={s}, p={p}: other values than torch's"

# %% [markdown]
# **13.3 Unpool with switches.** For windows of any size: put each value where its switch says, in a map of the given
# size.


# %% tags=["exercise"]
def unpool(values, switches, size):
    """A map of the size (rows, columns); values and switches are arrays (h, w), switches row · columns + column."""
    ### BEGIN SOLUTION
    out = np.zeros(size)
    out[switches // size[1], switches % size[1]] = values
    return out
    ### END SOLUTION


# %% tags=["wrong"]
def unpool(values, switches, size):
    out = np.zeros(size)
    out[switches // size[0], switches % size[0]] = values
    return out


# %% tags=["wrong"]
def unpool(values, switches, size):
    rows, cols = size[0] // values.shape[0], size[1] // values.shape[1]
    return np.kron(values, np.eye(1, rows * cols).reshape(rows, cols))


# %% tags=["check"]
with check("13.3 unpool with switches"):
    plane = torch.rand(1, 1, 6, 12, generator=torch.Generator().manual_seed(1))
    for window in (2, 3):
        peaks, where = F.max_pool2d(plane, window, return_indices=True)
        try:
            answer = unpool(peaks[0, 0].numpy(), where[0, 0].numpy(), (6, 12))
        except IndexError:
            raise AssertionError("an index leaves the map: rows have size[1] columns") from None
        assert answer.shape == (6, 12), "the map has the size that is given"
        assert (answer[answer > 0] == plane[0, 0].numpy()[answer > 0]).all(), "each value returns to its own pixel"
        assert (answer > 0).sum() == peaks.numel(), "no value is lost"

# %% [markdown]
# **13.4 Written to.** How often is each place of the output written to, in one dimension, by a transposed convolution
# of `n` inputs? Then it is easy to say which kernels make checkerboards.


# %% tags=["exercise"]
def written(n, kernel, stride):
    """An array of whole numbers, as long as the output (no padding)."""
    ### BEGIN SOLUTION
    counts = np.zeros((n - 1) * stride + kernel, int)
    for i in range(n):
        counts[i * stride : i * stride + kernel] += 1
    return counts
    ### END SOLUTION


# %% tags=["wrong"]
def written(n, kernel, stride):
    return np.full((n - 1) * stride + kernel, kernel // stride)


# %% tags=["wrong"]
def written(n, kernel, stride):
    counts = np.zeros(n * stride, int)
    for i in range(n):
        counts[i * stride : i * stride + kernel] += 1
    return counts


# %% tags=["check"]
with check("13.4 written to"):
    assert len(written(4, 3, 2)) == 9, "(n - 1)·stride + kernel places"
    assert list(written(4, 3, 2)) == [1, 1, 2, 1, 2, 1, 2, 1, 1], "kernels overlap by kernel - stride"
    for kernel, stride in ((4, 2), (6, 3), (5, 3)):
        even = len(set(written(9, kernel, stride)[kernel:-kernel])) == 1
        assert even == (kernel % stride == 0), f"kernel {kernel}, stride {stride}: even inside if the stride divides it"

# %% [markdown]
# **13.5 The IoU of a data set**, of one class, from pairs of truth and prediction. (`confusion` counts.)


# %% tags=["exercise"]
def iou_of_class(pairs, label, n_classes):
    """A number; pairs of label maps (truth, prediction)."""
    ### BEGIN SOLUTION
    total = sum(confusion(labels_true, labels_pred, n_classes=n_classes) for labels_true, labels_pred in pairs)
    both = total[label, label]
    return float(both / (total[label].sum() + total[:, label].sum() - both))
    ### END SOLUTION


# %% tags=["wrong"]
def iou_of_class(pairs, label, n_classes):
    values = []
    for labels_true, labels_pred in pairs:
        both = ((labels_true == label) & (labels_pred == label)).sum()
        values.append(float(both / ((labels_true == label) | (labels_pred == label)).sum()))
    return sum(values) / len(values)


# %% tags=["wrong"]
def iou_of_class(pairs, label, n_classes):
    total = sum(confusion(labels_true, labels_pred, n_classes=n_classes) for labels_true, labels_pred in pairs)
    return float(total[label, label] / total[label].sum())


# %% tags=["check"]
with check("13.5 the IoU of a data set"):
    large, tiny_one = torch.zeros(2, 100, dtype=torch.long), torch.zeros(2, 100, dtype=torch.long)
    large[0] = 1
    tiny_one[0, 0] = 1
    answer = iou_of_class([(large, large), (tiny_one, torch.zeros_like(tiny_one))], 1, 2)
    assert not np.isclose(answer, 0.5), "0.5 is the mean of two pictures' scores: sum the matrices first"
    assert np.isclose(answer, 100 / 101), "100 pixels in both, 101 in one of them"
    answer = iou_of_class([(torch.tensor([[0, 1, 1]]), torch.tensor([[1, 1, 1]]))], 1, 2)
    assert np.isclose(answer, 2 / 3), "what is called so and is not belongs to the union too"

# %% [markdown]
# **13.6 How deep?** An encoder of levels, each a 3×3 convolution with padding 1 and a pooling of 2×2; then one more
# convolution. How many levels are needed, so that a value of the last map sees at least `n` pixels along a side?


# %% tags=["exercise"]
def levels_to_see(n):
    """The least number of levels, from 0."""
    ### BEGIN SOLUTION
    field, jump, levels = 1, 1, 0
    while field + 2 * jump < n:  # with the last convolution
        field += 2 * jump + jump  # a level's convolution, and its pooling
        jump *= 2
        levels += 1
    return levels
    ### END SOLUTION


# %% tags=["wrong"]
def levels_to_see(n):
    return max(0, int(np.ceil(np.log2(n / 3))))


# %% tags=["wrong"]
def levels_to_see(n):
    return max(0, int(np.ceil((n - 3) / 3)))


# %% tags=["check"]
with check("13.6 how deep"):
    for n in (3, 4, 8, 9, 18, 19, 60, 100):
        parts = []
        for _ in range(levels_to_see(n)):
            parts += [nn.Conv2d(1, 1, 3, padding=1), nn.MaxPool2d(2)]
        sees = receptive_field([*parts, nn.Conv2d(1, 1, 3, padding=1)], 512).field
        assert sees >= n, f"n = {n}: with {levels_to_see(n)} levels it sees {sees} only"
        fewer = receptive_field([*parts[2:], nn.Conv2d(1, 1, 3, padding=1)], 512).field
        assert not parts or fewer < n, f"n = {n}: {levels_to_see(n) - 1} levels are enough"

# %% [markdown]
# ## References
#
# - M. D. Zeiler, D. Krishnan, G. W. Taylor, R. Fergus (2010). *Deconvolutional networks.* CVPR.
#   [doi:10.1109/CVPR.2010.5539957](https://doi.org/10.1109/CVPR.2010.5539957), for the name that stuck.
# - V. Badrinarayanan, A. Kendall, R. Cipolla (2017). *SegNet: a deep convolutional encoder-decoder architecture for
#   image segmentation.* IEEE Transactions on Pattern Analysis and Machine Intelligence 39(12).
#   [doi:10.1109/TPAMI.2016.2644615](https://doi.org/10.1109/TPAMI.2016.2644615)
# - H. Noh, S. Hong, B. Han (2015). *Learning deconvolution network for semantic segmentation.* ICCV.
#   [doi:10.1109/ICCV.2015.178](https://doi.org/10.1109/ICCV.2015.178)
# - V. Dumoulin, F. Visin (2016). *A guide to convolution arithmetic for deep learning.*
#   [arXiv:1603.07285](https://arxiv.org/abs/1603.07285), for the sizes.
# - A. Odena, V. Dumoulin, C. Olah (2016). *Deconvolution and checkerboard artifacts.* Distill.
#   [doi:10.23915/distill.00003](https://doi.org/10.23915/distill.00003)
# - P. Kohli, L. Ladický, P. Torr (2009). *Robust higher order potentials for enforcing label consistency.*
#   International Journal of Computer Vision 82.
#   [doi:10.1007/s11263-008-0202-0](https://doi.org/10.1007/s11263-008-0202-0), for scores in a band.
