# %% [markdown]
# # 12 · From classifier to fully convolutional network
#
# A classifier looks at a picture and says *horse*. It has seen where the horse is, and throws that away in its last
# layers. Take those layers for what they are, convolutions, and the same weights answer everywhere at once. Bring the
# answers back to pixels, train a little, and the classifier is a segmenter.
#
# **After this chapter you can**
#
# - turn a fully connected layer into a convolution with identical outputs, and say what that saves,
# - build FCN-32s, 16s and 8s, and say what each skip adds,
# - train a network pixel by pixel, with the right loss, and say where it will fail.
#
# **Time** 90 minutes · **Before this** chapters 01 and 03; what a convolution is

# %%
import torch

from seglab import datasets, plot
from seglab.networks import FCN, TextureNet, load_weights, predict_labels

mosaic = datasets.mosaic(seed=5_000_003)
backbone = TextureNet().dense()[:-1]
models = {s: load_weights(FCN(backbone, 4, stride=s), f"fcn_textures_{s}s") for s in (32, 8)}
found = [predict_labels(model, mosaic.image) for model in models.values()]
plot.show(mosaic.image, mosaic.semantic, *found, overlay=False, cols=4, size=2.6,
          titles=["four textures", "truth", *(f"FCN-{s}s" for s in models)])

# %% [markdown]
# ## Set-up
#
# Two classifiers. One is real: SqueezeNet, trained on a million photographs, in 1.2 million weights. Where it is not on
# this computer (`seglab data fetch squeezenet` brings its 0.7 MB) its cells say so and go on. The other is our own, of
# the same plan but small: it tells four textures apart, and is always there.

# %%
import time
from functools import partial

from torch import nn
from torch.nn import functional as F

from seglab import metrics
from seglab.exercises import check
from seglab.networks import (Training, class_activation, classify, linear_to_conv, list_weights, load_squeezenet,
                             normalize, pixel_loss, receptive_field, sliding_scores, to_fully_convolutional, to_pixels,
                             weights_info)
from seglab.networks.fcn import bilinear_kernel_between
from seglab.widgets import step_through

# %%
classifier = load_weights(TextureNet(), "texture_classifier")
try:
    squeezenet = load_squeezenet()
except datasets.DatasetNotFoundError:
    squeezenet = None
print("SqueezeNet is", "here" if squeezenet else "not on this computer: its cells are passed over")
print("our own:", sum(p.numel() for p in classifier.parameters()), "weights")

# %% [markdown]
# ## The problem
#
# The smallest classifier: it takes a window of 4 × 4 gray values *as a list of 16 numbers*, and scores two classes by
# two lists of weights. One says *bright on the left*, the other *bright on the right*.

# %%
left = torch.tensor([1.0, 1, -1, -1]).repeat(4) / 8
tiny_classifier = nn.Linear(16, 2, bias=False)
with torch.no_grad():
    tiny_classifier.weight.copy_(torch.stack([left, -left]))
tiny = torch.tensor([0.1, 0.1, 0.9, 0.9, 0.9, 0.9, 0.1, 0.1]).expand(4, 8)
plot.show(tiny, size=3)

# %% [markdown]
# The picture is too wide for it. Give it one window after another.
#
# > **Predict first.** There are five windows. Which classes win, from left to right?

# %%
with torch.no_grad():
    by_window = torch.stack([tiny_classifier(tiny[:, col : col + 4].flatten()) for col in range(5)], dim=1)
print("bright on the left: ", by_window[0].numpy().round(2))
print("bright on the right:", by_window[1].numpy().round(2))

# %% [markdown]
# *Right* at the rising edge, *left* at the falling one, and a draw in the middle. So a classifier knows *where*, if it
# is asked often enough. Neighboring windows share most of their pixels, though, and all of the work on these is done
# again for each.

# %% [markdown]
# ## Use it
#
# What do the two classifiers say?

# %%
if squeezenet:
    for name in ("chelsea", "coffee"):
        print(name, [(label.split(",")[0], round(p, 2)) for label, p in classify(squeezenet, datasets.photo(name), k=3)])
window = datasets.mosaic(height=91, width=91, n_regions=1, seed=5_000_002)
with torch.no_grad():
    p = classifier(normalize(window.image[None])).softmax(1)[0]
print("a window of", window.class_names[window.semantic[0, 0]])
print({name: round(value, 3) for name, value in zip(window.class_names, p.tolist(), strict=True)})

# %% [markdown]
# And the network that is made of it, in two lines: scores for each pixel, the largest is the label.

# %%
with torch.no_grad():
    scores = models[8](mosaic.image[None])
print("picture", tuple(mosaic.image.shape), "scores", tuple(scores.shape))
plot.show(mosaic.image, *scores[0].softmax(0), cols=5, size=2.1, titles=["picture", *mosaic.class_names])

# %% [markdown]
# ## The idea and the objective
#
# **A fully connected layer is a convolution** whose kernel is as large as its map. The layer takes $C \cdot h \cdot w$
# numbers and gives $K$; a convolution with $K$ kernels of $C \times h \times w$ does the same sums with the same
# weights. On a map of just that size its output is $K \times 1 \times 1$; on a larger one it is a grid: **all windows
# at once**. The next fully connected layer sees a $1 \times 1$ map: it is a $1 \times 1$ convolution.
#
# **The answers are coarse.** Each pool and stride halves the map; after five of them there is an answer for every 32
# pixels. *FCN-32s* brings that to pixels by bilinear upsampling. *FCN-16s* upsamples twice, adds the scores of the map
# before the last pool, and goes on from there; *FCN-8s* once more. Deep maps know *what*, shallow ones *where*.
#
# **The objective** is that of a classifier, for each pixel $i$ with its true class $y_i$, averaged over all of them:
#
# $$L = -\frac{1}{N} \sum_i \log p_i(y_i), \qquad p_i(k) = \frac{e^{z_i(k)}}{\sum_l e^{z_i(l)}}.$$
#
# | symbol | in the code | meaning |
# |---|---|---|
# | $z_i(k)$ | `scores` (N, K, H, W) | score of class $k$ at pixel $i$ |
# | $p_i(k)$ | `scores.softmax(1)` | its probability |
# | $y_i$ | `labels` (N, H, W) | the true class; −1 where nobody knows |
# | $L$ | `pixel_loss` | mean cross-entropy |
# | 32, 16, 8 | `stride` | pixels from one place of the finest scored map to the next |

# %% [markdown]
# ## Build it: from windows to one pass
#
# **First rung: the tiny classifier.** Its 16 weights, read as a 4 × 4 kernel, over the whole picture:

# %%
kernel = tiny_classifier.weight.view(2, 1, 4, 4)
at_once = F.conv2d(tiny[None, None], kernel)[0, :, 0].detach()
assert torch.allclose(at_once, by_window)
print(at_once.numpy().round(2))

# %% [markdown]
# **Second rung: our classifier**, with its two fully connected layers. `fc6` takes a map of 64 × 3 × 3.

# %%
print(classifier.fc6, classifier.fc7, sep="\n")
conv6, conv7 = linear_to_conv(classifier.fc6, 64, 3, 3), linear_to_conv(classifier.fc7, 64, 1, 1)
print("become\n", conv6, "\n", conv7, sep="")
dense = nn.Sequential(*classifier.features, conv6, nn.ReLU(), conv7)
x = normalize(window.image[None])
with torch.no_grad():
    one, same = classifier(x), dense(x)
print(one.shape, same.shape, f"largest difference {(one - same[..., 0, 0]).abs().max():.1e}")
assert torch.allclose(one, same[..., 0, 0], atol=1e-4)

# %% [markdown]
# **Third rung: a larger picture.** Old: cut out each window of 91 × 91, 16 pixels apart, and classify it. New: one pass.
#
# > **Predict first.** How many times as fast is one pass? As many times as there are windows, or fewer?

# %%
large = datasets.mosaic(height=91 + 16 * 11, width=91 + 16 * 15, n_regions=4, seed=5_000_003)
x = normalize(large.image[None])
begin = time.perf_counter()
windows = sliding_scores(classifier, x, window=91, stride=16)
middle = time.perf_counter()
with torch.no_grad():
    one_pass = dense(x)
end = time.perf_counter()
assert torch.allclose(windows, one_pass, atol=1e-3)
print(f"{windows[0, 0].numel()} windows: the same scores to {(windows - one_pass).abs().max():.0e}")
print(f"windows {middle - begin:.2f} s, one pass {end - middle:.3f} s: {(middle - begin) / (end - middle):.0f} times")

# %% [markdown]
# <details><summary>Why not as many times as there are windows?</summary>
#
# The one pass works on the whole picture, and each window only on its part. What is saved is the overlap: a pixel lies
# in (91 / 16)² ≈ 32 windows, and was worked on in each of them.
# </details>
#
# The score map, brought to where its windows have their middle:

# %%
geometry = receptive_field([layer for layer in dense if not isinstance(layer, nn.ReLU)], large.image.shape[1])
print(geometry)
labels = torch.full(large.semantic.shape, -1)
places = one_pass[0].argmax(0).repeat_interleave(16, 0).repeat_interleave(16, 1)
first = int(geometry.start) - 8
labels[first : first + places.shape[0], first : first + places.shape[1]] = places
plot.show(large.image, large.semantic, labels, overlay=False, size=3.2,
          titles=["picture", "truth", "the likeliest class of each window"])

# %% [markdown]
# A segmentation already, of sorts: coarse, with a border without an answer. A window is 91 pixels wide, and says what
# fills *most* of it.

# %% [markdown]
# ## Build it: a real classifier, and where it looks
#
# SqueezeNet ends in a 1 × 1 convolution with 1000 channels and a **global average**. There is nothing to convert: leave
# out the average, and each channel is a map of where that class was seen, its *class activation map*. Their mean is the
# classifier's score, and any picture size will do.

# %%
if squeezenet:
    photo = datasets.photo("coffee", max_side=360)
    score_map = to_fully_convolutional(squeezenet)(normalize(photo[None])).detach()[0]
    best = score_map.mean((1, 2)).topk(2).indices.tolist()
    whole = squeezenet(normalize(photo[None])).detach()[0]
    assert torch.allclose(score_map.mean((1, 2)), whole, atol=1e-4)
    maps = [class_activation(squeezenet, photo, number) for number in best]
    print("score map", tuple(score_map.shape), "of a picture", tuple(photo.shape))
    names = [classify(squeezenet, photo, k=2)[i][0].split(",")[0] for i in (0, 1)]
    plot.show(photo, *maps, titles=["picture", *(f"class {n}" for n in best)], size=3.2)

# %% [markdown]
# Nobody has told it where the cup is. It was trained with one word for each picture.
#
# Our own classifier has no average, but its last map can be read in the same way:

# %%
maps = [F.interpolate(one_pass[:, k : k + 1], scale_factor=4)[0, 0] for k in range(4)]
plot.show(*maps, titles=list(large.class_names), cols=4, size=2.6)

# %% [markdown]
# ## Build it: back to pixels
#
# A **transposed convolution** of stride $f$ puts its inputs $f$ pixels apart and adds a multiple of its kernel around
# each (chapter 13 takes it apart). With a kernel shaped like a tent it interpolates. That is a fine *start*: the kernel
# is made of weights, so training may improve on it.

# %%
tent = bilinear_kernel_between(1, 4)
coarse = torch.tensor([[[[0.0, 4.0, 8.0], [4.0, 0.0, 4.0]]]])
by_tent = F.conv_transpose2d(coarse, tent, stride=4, padding=3)
by_torch = F.interpolate(coarse, size=(5, 9), mode="bilinear", align_corners=True)
assert torch.allclose(by_tent, by_torch)
plot.show(coarse[0, 0], tent[0, 0], by_tent[0, 0], titles=["coarse", "the kernel", "fine"], size=3, annotate=False)

# %% [markdown]
# **FCN-16s by hand**, with the parts of the trained network. Five stages make maps of stride 2 to 32. Score the last,
# enlarge it twice, add the scores of the one before, bring the sum to pixels.

# %%
fcn16 = load_weights(FCN(backbone, 4, stride=16), "fcn_textures_16s")
border = partial(F.pad, pad=(1, 1, 1, 1), mode="replicate")  # so that every pixel lies between two places
with torch.no_grad():
    maps = [F.pad(normalize(mosaic.image[None]), (3, 3, 3, 3))]
    for stage in fcn16.stages:
        maps.append(stage(maps[-1]))
    what, where = fcn16.heads[0](maps[5]), fcn16.heads[1](maps[4])
    enlarged = fcn16.ups[0](border(what))
    fused = enlarged[..., : where.shape[2] + 2, : where.shape[3] + 2] + border(where)
    by_hand = to_pixels(fused, 16, -2, *mosaic.image.shape[1:])
    assert torch.allclose(by_hand, fcn16(mosaic.image[None]), atol=1e-4)
print("maps:", [tuple(m.shape[1:]) for m in maps[1:]])
print("scores: 32s", tuple(what.shape[1:]), "16s", tuple(where.shape[1:]), "pixels", tuple(by_hand.shape[1:]))

# %% [markdown]
# ## Build it: the loss
#
# Scores and true classes: why not the squared distance of the probabilities from 0 and 1, as in the chapters before?
# Take one pixel of class 0 with two scores, and look at how hard each loss pulls, over how right the scores are.
#
# > **Predict first.** A pixel is *completely wrong*: the true class has a score 8 below the other. Which loss pulls more?

# %%
margin = torch.linspace(-8, 8, 200, requires_grad=True)  # score of the true class less that of the other
p = margin.sigmoid()
losses = {"cross-entropy": -p.log(), "squared distance": (1 - p) ** 2 + (0 - (1 - p)) ** 2}
pulls = {name: -torch.autograd.grad(loss.sum(), margin, retain_graph=True)[0] for name, loss in losses.items()}
plot.curves(margin.detach(), pulls, title="How hard a pixel pulls at its scores", x_label="right by", y_label="pull")
for name, pull in pulls.items():
    print(f"{name:17} wrong by 8: {pull[0]:.4f}   undecided: {pull[100]:.2f}")

# %% [markdown]
# Cross-entropy's pull is $1 - p$: the more wrong, the harder. The squared distance multiplies that by $p(1 - p)$, which
# is nearly nothing for a pixel that is surely wrong: it is *given up*. (And it is the likelihood of Gaussian noise; a
# class has none.)

# %%
z = torch.tensor([[[[2.0, 0.0, 5.0]], [[0.0, 0.0, -5.0]]]])  # (1, 2, 1, 3)
y = torch.tensor([[[0, 1, -1]]])  # the last pixel is not labeled
p = z.softmax(1)
by_hand = -(p[0, 0, 0, 0].log() + p[0, 1, 0, 1].log()) / 2
assert torch.isclose(by_hand, pixel_loss(lambda x: x, (z, y)))
print(f"mean over the two labeled pixels: {by_hand:.4f}")

# %% [markdown]
# ## Step through it
#
# Training, an epoch a step. The network starts from the classifier's convolutions; its heads start at zero, so at first
# all pixels are a draw. Sixty mosaics to learn from, eight others held out.
#
# > **Predict first.** Which comes first in the player: the right textures in the wrong places, or clean boundaries
# > between wrong textures?

# %%
pairs = [(s.image, s.semantic) for s in (datasets.mosaic(height=96, width=128, n_regions=3, seed=i) for i in range(68))]
start = FCN(classifier.dense()[:-1], 4, stride=8, dropout=0.0)
training = Training(epochs=9, batch_size=4, lr=2e-3, schedule="poly")
begin = time.perf_counter()
trace = training.trace(start, pixel_loss, pairs[:60], pairs[60:], image=mosaic.image)
print(f"{time.perf_counter() - begin:.0f} s, on the way: {trace[-1].describe()}")
step_through(trace)

# %% [markdown]
# <details><summary>Which?</summary>
#
# Textures in roughly the right places come first: the classifier knew them already, all that is missing is a linear
# score. Boundaries get sharp later, as the skips' heads leave zero. Open the player at the last epoch: the curve of the
# held-out loss tells whether it would pay to go on.
# </details>
#
# The same loop without the player is `training.fit(…)`. With `checkpoint="file.pt"` it writes a file after each epoch;
# if it is killed, the same call goes on from there, and ends with the same weights, to the bit.

# %%
for state in Training(epochs=2, batch_size=6, lr=2e-3).steps(start, pixel_loss, pairs[:24]):
    print(state.describe())

# %% [markdown]
# ## The parameters
#
# **`stride`**: how fine the finest scored map is. These were trained longer, each from the one before; the command that
# made them stands beside the weights.

# %%
print(weights_info("fcn_textures_8s")["command"])
models = {s: load_weights(FCN(backbone, 4, stride=s), f"fcn_textures_{s}s") for s in (32, 16, 8)}
test = [datasets.mosaic(height=96, width=128, n_regions=5, seed=6_000_000 + i) for i in range(20)]


def measure(model, scenes, band=None):
    """Mean IoU over all pixels of some scenes, or over those near a boundary."""
    total = torch.zeros(4, 4, dtype=torch.int64)
    for scene in scenes:
        near = metrics.boundary_band(scene.semantic, band) if band else scene.semantic >= 0
        total += metrics.confusion(scene.semantic[near], predict_labels(model, scene.image)[near], n_classes=4)
    return metrics.mean_iou(total)


for s, model in models.items():
    print(f"FCN-{s:2}s  mean IoU {measure(model, test):.3f}   within 4 pixels of a boundary {measure(model, test, 4):.3f}")

# %%
scene = test[3]
found = [predict_labels(model, scene.image) for model in models.values()]
plot.show(scene.image, scene.semantic, *found, overlay=False, cols=5, size=2.1,
          titles=["picture", "truth", *(f"FCN-{s}s" for s in models)])

# %% [markdown]
# Methods that learn nothing, on the recipe's own 100 test mosaics. Each part has a color of its own, so 8 segments find
# the outlines, and an oracle that reads *every* name off the truth is above the network. Give it one segment for each
# class, so that what belongs together must be found as well, and it is far below. A network names, with no help.

# %%
textures = weights_info("fcn_textures_8s")
for oracle in ("unsupervised, with an oracle", "unsupervised, named one to one"):
    print(oracle)
    for name, iou in textures[oracle].items():
        print(f"  {name:48} {iou:.3f}")
print(f"{'FCN-8s, with no help at all':50} {textures['scores']['mean IoU']:.3f}")

# %% [markdown]
# **`lr`**, how far a step goes, decides more than anything else. Three of them, a few epochs each:

# %%
curves = {}
for lr in (1e-4, 1e-3, 1e-2):
    state = Training(epochs=3, batch_size=4, lr=lr).fit(start, pixel_loss, pairs[:32], progress=False)
    curves[f"lr = {lr:g}"] = [record["loss"] for record in state.history]
plot.curves(range(1, 4), curves, title="Training, by learning rate", x_label="epoch", y_label="loss");

# %% [markdown]
# ## A real photograph
#
# SqueezeNet, made an FCN in the same way and fine-tuned on 200 photographs of horses. What is committed is what was
# trained: the later stages, the heads, the upsampling. The test pictures are 100 others.

# %%
strides = [s for s in (32, 16, 8) if f"fcn_horses_{s}s" in list_weights()]
for s in strides:
    info = weights_info(f"fcn_horses_{s}s")
    told = ", ".join(f"{name} {value:.3f}" for name, value in info["scores"].items())
    print(f"FCN-{s:2}s  {told}   ({info['bytes'] / 1e6:.1f} MB)")
print(info["command"] if strides else "not there yet: seglab train fcn_horses makes them")

# %%
try:
    horses = datasets.WeizmannHorses("test") if squeezenet and strides else []
except datasets.DatasetNotFoundError:
    horses = []
if horses:
    nets = [load_weights(FCN(squeezenet.features, 2, stride=s), f"fcn_horses_{s}s", strict=False) for s in strides]
for horse in horses[2:60:20]:
    found = [predict_labels(net, horse.image) for net in nets]
    ious = [metrics.class_iou(metrics.confusion(horse.labels, f, n_classes=2))[1] for f in found]
    plot.show(horse.image, horse.labels, *found, image=horse.image, overlay=True, cols=5, size=2.1,
              titles=["picture", "truth", *(f"FCN-{s}s" for s in strides)],
              captions=["", "", *(f"IoU {iou:.2f}" for iou in ious)])

# %% [markdown]
# How much of that is training? Methods of chapters 02 to 08 know nothing of horses. Give them all possible help: an
# oracle that looks at the truth and takes, of a handful of segments, just those that make the best horse.

# %%
if strides:
    for name, iou in info["unsupervised, with an oracle"].items():
        print(f"{name:48} {iou:.3f}")
    print(f"{f'FCN-{s}s, with no help at all':48} {info['scores']['mean IoU']:.3f}")

# %% [markdown]
# ### Eleven classes: a street
#
# The same network with one skip more (4s) learns CamVid, street scenes seen from a car: 367 to learn from, 233 others
# for the scores, each of 360 × 480 pixels.
#
# > **Predict first.** Which classes will it find best, which worst? What do the worst have in common?

# %%
street = weights_info("fcn_camvid_4s") if "fcn_camvid_4s" in list_weights() else None
if street:
    print(street["command"], "·", street["data"])
    for name, value in sorted(street["scores"].items(), key=lambda pair: -pair[1]):
        print(f"{name:18} {value:.3f}  {'▄' * round(40 * value)}")
else:
    print("not there yet: seglab train fcn_camvid makes them")

# %% [markdown]
# <details><summary>What do they have in common?</summary>
#
# Sky, road and buildings fill the picture and are easy. Poles and fences are thin, and signs are few:
# a class that is a hundredth of the pixels is a hundredth of the loss. **Pixel accuracy** hardly notices if such a class
# is never found. **Mean IoU** counts each class alike, and does.
# </details>
#
# Where the scenes are on this computer, three of the test:

# %%
try:
    scenes = datasets.CamVid("test")[10:220:90] if squeezenet and street else []
except datasets.DatasetNotFoundError:
    scenes = []
if scenes:
    net = load_weights(FCN(squeezenet.features, 11, stride=4), "fcn_camvid_4s", strict=False)
for scene in scenes:
    labels = predict_labels(net, scene.image)
    right = (labels == scene.labels)[scene.labels >= 0].double().mean()
    plot.show(scene.image, scene.labels, labels, overlay=False, cols=3, size=3.2,
              titles=["picture", "truth", f"FCN-4s: {right:.0%} of the pixels"])

# %% [markdown]
# An oracle for methods without classes: it looks at the truth, and gives each of their segments (16 now) the class that
# most of its pixels have. Beside them, published networks on the same test pictures at 360 × 480 (mean IoU): SegNet,
# FCN-8s and FC-DenseNet with their sizes as in table 2 of Chao et al. 2019, who repeat Jégou et al. 2017; ENet and
# ESPNet as the authors of the latter list them (Mehta et al. 2018; their SegNet, trained on more, has 0.556).

# %%
published = {"ENet, 0.4 million": 0.513, "ESPNet, 0.4 million": 0.556, "FC-DenseNet56, 1.4 million": 0.589,
             "FC-DenseNet103, 9.4 million": 0.669, "SegNet on VGG, 29.5 million": 0.464,
             "FCN-8s on VGG, 135 million": 0.570}
if street:
    ours = f"FCN-4s on SqueezeNet, {street['n_weights'] / 1e6:.1f} million trained"
    oracles = street["unsupervised at half size, with an oracle"]
    for name, iou in {**oracles, ours: street["scores"]["mean IoU"], **published}.items():
        print(f"{name:48} {iou:.3f}")

# %% [markdown]
# What held it back? That was asked on the 101 scenes of the third split, `val`: choices made on the test would spoil
# it. The last stage (4s) anew, from the same 8s, one thing changed or two. One run each: a hundredth is no difference.
#
# > **Predict first.** An earlier network saw halved pictures, four epochs long. Did it lack detail, time, weights for
# > rare classes, or freedom in its frozen stages?

# %%
if street:
    print(f"{'on val':56} mean IoU  the five rarest classes")
    for name, scores in street.get("validation of what could be missing", {}).items():
        print(f"{name:57}   {scores['mean IoU']:.3f}  {scores['five rarest']:.3f}")
for split in ("train", "val", "test") if scenes else ():
    drives = [scene.id.split("_")[0] for scene in datasets.CamVid(split)]
    print(f"{split:6}", {drive: drives.count(drive) for drive in dict.fromkeys(drives)})

# %% [markdown]
# *Time, and detail.* It was hardly better on scenes that it had learned from: it had not overfitted, it had not
# finished. More epochs help, full size helps, together most; `seglab train fcn_camvid` does both. Half the size is no
# bar in itself (the truth survives it), but what is two pixels wide is hard to *find*. Weights for rare classes cost two
# hundredths in a long training; to unfreeze all stages and a larger step are worse too. And the test is harder than
# `val`: all scenes of `val` are of a drive that the training knows, most of the test's are of one that it has never
# seen.

# %% [markdown]
# ## Where it breaks
#
# **1 · A scale it has not seen.** The same kinds of textures, but twice and four times as large.

# %%
base = datasets.mosaic(height=96, width=128, n_regions=4, noise=0.0, seed=6_000_040)
for factor in (1, 2, 4):
    size = [96 * factor, 128 * factor]
    image = F.interpolate(base.image[None], size, mode="bilinear", align_corners=False)[0]
    truth = F.interpolate(base.semantic[None, None].float(), size, mode="nearest")[0, 0].long()
    right = (predict_labels(models[8], image) == truth).double().mean()
    print(f"{factor} times as large: {right:.0%} of the pixels are right")

# %% [markdown]
# *Cause.* Convolutions are the same everywhere, but not at every size: a filter for stripes 10 pixels apart does not
# see stripes 40 apart, it sees flat. *Cure:* train with random scales (`seglab.networks.augment`), or predict at
# several sizes.
#
# **2 · Small things.** The same mosaics with ever more and smaller regions.

# %%
numbers = (3, 8, 20, 50)
scores = {f"FCN-{s}s": [measure(models[s], [datasets.mosaic(height=96, width=128, n_regions=n, seed=7_000_000 + i)
                                            for i in range(6)]) for n in numbers] for s in (32, 8)}
plot.curves(numbers, scores, title="Mean IoU over the number of regions", x_label="regions", y_label="mean IoU");

# %% [markdown]
# *Cause.* A place of a deep map sees a window larger than such a region, and has one answer for it; and to *be* a
# texture a region must show a period or two of it. *Cure:* finer skips, within limits; an encoder–decoder (chapter 13).
#
# **3 · A picture moved by a few pixels.** Convolution commutes with shifts; strides and pools do not.

# %%
wide = datasets.mosaic(height=96, width=480, n_regions=9, seed=6_000_050)
with torch.no_grad():
    still = models[32](wide.image[None])
for shift in (1, 8, 16, 32):
    with torch.no_grad():
        moved = models[32](wide.image[None, :, :, shift:])
    inside = moved[..., 160:-160] - still[..., shift + 160 : -160]  # far from the border
    changed = (moved[..., 160:-160].argmax(1) != still[..., shift + 160 : -160].argmax(1)).double().mean()
    print(f"moved by {shift:2}: scores differ by up to {inside.abs().max():.2g}, {changed:.1%} of the labels change")

# %% [markdown]
# *Cause.* A map of stride 32 samples its input at every 32nd pixel; moved by less, it samples others. Moved by 32, all
# is as it was. *Cure:* average over shifts, or smooth before sampling; skips help, for they sample more densely.
#
# **4 · The wrong loss.** One pixel, surely wrong: the other class's score is 10 higher. The two scores may move freely.
# How long does each loss take to turn it round?
#
# > **Predict first.** Twice as many steps for the squared distance? Ten times? A thousand?

# %%
def steps_until_right(loss, lr=1.0, limit=100_000):
    """Steps of gradient descent until the margin of the true class is no longer negative."""
    margin = torch.tensor(-10.0)
    for step in range(limit):
        margin.requires_grad_(True)
        (gradient,) = torch.autograd.grad(loss(margin), margin)
        margin = (margin - lr * gradient).detach()
        if margin >= 0:
            return step + 1
    return limit


print("cross-entropy:   ", steps_until_right(lambda m: -F.logsigmoid(m)), "steps")
print("squared distance:", steps_until_right(lambda m: 2 * (1 - m.sigmoid()) ** 2), "steps")

# %% [markdown]
# *Cause.* The squared distance pulls least where it is most wrong, as above: such a pixel waits for its neighbors to
# carry it along. *Cure:* cross-entropy. (Adam, which divides by how large gradients have been, hides some of this.)

# %% [markdown]
# ## Summary
#
# - A **fully connected layer is a convolution** with a kernel as large as its map; the same weights then take any
#   picture, and one pass gives the scores of all windows.
# - A classifier with a global average has a **class activation map** for each class, at no cost.
# - **FCN**: score the coarse map by 1 × 1 convolutions, upsample bilinearly to begin with, and add the scores of finer
#   maps. 32s knows what, 16s and 8s know better where.
# - The loss is **cross-entropy at each pixel**; it pulls hardest where the network is most wrong.
# - It answers for what it has seen, at the size at which it has seen it.
#
# Next: chapter 13, where the way up is as long as the way down.

# %% [markdown]
# ## Exercises
#
# **12.1 The numbers of VGG.** Its first fully connected layer takes a map of 512 × 7 × 7 and gives 4096 numbers. Return
# the side of the kernel that replaces it, how many weights (without biases) that has, and the size (rows, columns) of
# its output on the map of a picture of 512 × 384 pixels, at stride 32, without padding.

# %% tags=["exercise"]
def vgg():
    """(side of the kernel, weights, (rows, columns))"""
    ### BEGIN SOLUTION
    rows, cols = 512 // 32, 384 // 32  # the map is 16 × 12
    return 7, 4096 * 512 * 7 * 7, (rows - 6, cols - 6)
    ### END SOLUTION

# %% tags=["wrong"]
def vgg():
    return 1, 4096 * 512, (16, 12)

# %% tags=["wrong"]
def vgg():
    return 7, 4096 * 512 * 7 * 7, (16, 12)

# %% tags=["check"]
with check("12.1 the numbers of VGG"):
    side, n_weights, size = vgg()
    assert side == 7, "the kernel is as large as the map that the layer took"
    assert n_weights == 102_760_448, "none is gained or lost"
    assert tuple(size) == (10, 6), "a 7 × 7 kernel on a map of 16 × 12, without padding"

# %% [markdown]
# **12.2 The same weights.** A layer has the weights (K, C·h·w). Return those of the convolution (K, C, h, w). And if the
# map had been flattened with its channels *last*, (h, w, C), as other libraries do?

# %% tags=["exercise"]
def as_kernels(weight, channels, height, width, channels_last=False):
    """The kernels (K, C, h, w) of a convolution that does what the layer does."""
    ### BEGIN SOLUTION
    if channels_last:
        return weight.reshape(-1, height, width, channels).permute(0, 3, 1, 2)
    return weight.reshape(-1, channels, height, width)
    ### END SOLUTION

# %% tags=["wrong"]
def as_kernels(weight, channels, height, width, channels_last=False):
    return weight.reshape(-1, channels, height, width)

# %% tags=["wrong"]
def as_kernels(weight, channels, height, width, channels_last=False):
    return weight.reshape(-1, channels, height, width).flip(2, 3)  # "a convolution flips its kernel"

# %% tags=["check"] points=2
with check("12.2 the same weights"):
    g = torch.Generator().manual_seed(0)
    m, w = torch.randn(1, 5, 2, 3, generator=g), torch.randn(4, 30, generator=g)
    mine = F.conv2d(m, as_kernels(w, 5, 2, 3))
    assert torch.allclose(mine[0, :, 0, 0], w @ m.flatten(), atol=1e-5), "it differs from the layer"
    mine = F.conv2d(m, as_kernels(w, 5, 2, 3, channels_last=True))
    assert torch.allclose(mine[0, :, 0, 0], w @ m[0].permute(1, 2, 0).flatten(), atol=1e-5), "with channels last it differs"

# %% [markdown]
# **12.3 Class activation.** A classifier averages its features (C, h, w) over all places and multiplies by a matrix
# (K, C). Return the map (h, w) of class `k` whose mean is the score of `k`.

# %% tags=["exercise"]
def activation(features, matrix, k):
    """Where class k was seen."""
    ### BEGIN SOLUTION
    return torch.einsum("chw,c->hw", features, matrix[k])
    ### END SOLUTION

# %% tags=["wrong"]
def activation(features, matrix, k):
    return features[k]

# %% tags=["wrong"]
def activation(features, matrix, k):
    return features.mean((1, 2)) @ matrix[k] * torch.ones(features.shape[1:])

# %% tags=["check"]
with check("12.3 class activation"):
    g = torch.Generator().manual_seed(0)
    f, w = torch.rand(6, 3, 4, generator=g), torch.rand(5, 6, generator=g)
    mine = activation(f, w, 2)
    assert mine.shape == (3, 4), "one value for each place"
    assert torch.allclose(mine.mean(), (w @ f.mean((1, 2)))[2]), "its mean is the score"
    assert torch.allclose(mine[1, 2], w[2] @ f[:, 1, 2]), "each place by its own features"

# %% [markdown]
# **12.4 Cross-entropy at each pixel.** From scores (K, H, W) and labels (H, W), without torch's own: the mean over
# labeled pixels (−1 is unlabeled). Scores may be large: do not let `exp` overflow.

# %% tags=["exercise"]
def cross_entropy(scores, labels):
    """The mean of −log p(true class) over pixels that have one."""
    ### BEGIN SOLUTION
    log_p = scores - scores.logsumexp(0)
    known = labels >= 0
    return -log_p.gather(0, labels.clamp(min=0)[None])[0][known].mean()
    ### END SOLUTION

# %% tags=["wrong"]
def cross_entropy(scores, labels):
    log_p = scores - scores.exp().sum(0).log()
    known = labels >= 0
    return -log_p.gather(0, labels.clamp(min=0)[None])[0][known].mean()

# %% tags=["wrong"]
def cross_entropy(scores, labels):
    log_p = scores - scores.logsumexp(0)
    return -log_p.gather(0, labels.clamp(min=0)[None]).mean()

# %% tags=["check"] points=2
with check("12.4 cross-entropy at each pixel"):
    g = torch.Generator().manual_seed(0)
    z, y = torch.randn(3, 4, 5, generator=g), torch.randint(-1, 3, (4, 5), generator=g)
    mine = cross_entropy(z, y)
    assert torch.isclose(mine, F.cross_entropy(z[None], y[None], ignore_index=-1)), "it differs from torch's"
    assert torch.isfinite(cross_entropy(1000 * z, y)), "subtract the largest score first: logsumexp does"

# %% [markdown]
# **12.5 A skip.** `coarse` (K, h, w) are scores of stride 32, `fine` (K, 2h − 1, 2w − 1) those of stride 16, and place
# $n$ of the coarse map lies on place $2n$ of the fine one. Return their sum at stride 16, the coarse one brought there
# by bilinear interpolation.

# %% tags=["exercise"]
def skip(coarse, fine):
    """(K, 2h − 1, 2w − 1)"""
    ### BEGIN SOLUTION
    up = F.conv_transpose2d(coarse[None], bilinear_kernel_between(len(coarse), 2), stride=2, padding=1)
    return up[0] + fine
    ### END SOLUTION

# %% tags=["wrong"]
def skip(coarse, fine):
    return F.interpolate(coarse[None], fine.shape[1:], mode="bilinear", align_corners=False)[0] + fine

# %% tags=["wrong"]
def skip(coarse, fine):
    return coarse.repeat_interleave(2, 1).repeat_interleave(2, 2)[:, :-1, :-1] + fine

# %% tags=["check"]
with check("12.5 a skip"):
    a, b = torch.tensor([[[0.0, 2.0, 8.0], [4.0, 6.0, 0.0]]]), torch.zeros(1, 3, 5)
    b[0, 1, 1] = 10
    mine = skip(a, b)[0]
    assert mine[::2, ::2].tolist() == a[0].tolist(), "place n of the coarse map lies on place 2n"
    assert mine[0, 1] == 1, "halfway between 0 and 2"
    assert mine[1, 1] == 13, "3 in the middle of the four, and 10 of the fine map"

# %% [markdown]
# ## References
#
# - E. Shelhamer, J. Long, T. Darrell (2017). *Fully convolutional networks for semantic segmentation.* IEEE TPAMI 39(4).
#   [doi:10.1109/TPAMI.2016.2572683](https://doi.org/10.1109/TPAMI.2016.2572683)
# - F. N. Iandola et al. (2016). *SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size.*
#   [arXiv:1602.07360](https://arxiv.org/abs/1602.07360)
# - P. Sermanet et al. (2014). *OverFeat: integrated recognition, localization and detection using convolutional
#   networks.* ICLR. [arXiv:1312.6229](https://arxiv.org/abs/1312.6229), for one pass instead of windows.
# - B. Zhou et al. (2016). *Learning deep features for discriminative localization.* CVPR.
#   [doi:10.1109/CVPR.2016.319](https://doi.org/10.1109/CVPR.2016.319)
# - G. J. Brostow, J. Fauqueur, R. Cipolla (2009). *Semantic object classes in video: a high-definition ground truth
#   database.* Pattern Recognition Letters 30(2), for the streets.
#   [doi:10.1016/j.patrec.2008.04.005](https://doi.org/10.1016/j.patrec.2008.04.005)
# - S. Jégou et al. (2017). *The one hundred layers tiramisu: fully convolutional DenseNets for semantic segmentation.*
#   CVPR workshops. [arXiv:1611.09326](https://arxiv.org/abs/1611.09326)
# - P. Chao et al. (2019). *HarDNet: a low memory traffic network.* ICCV.
#   [arXiv:1909.00948](https://arxiv.org/abs/1909.00948), for a table of both
# - S. Mehta et al. (2018). *ESPNet: efficient spatial pyramid of dilated convolutions for semantic segmentation.* ECCV.
#   [arXiv:1803.06815](https://arxiv.org/abs/1803.06815)
# - A. Paszke et al. (2016). *ENet: a deep neural network architecture for real-time semantic segmentation.*
#   [arXiv:1606.02147](https://arxiv.org/abs/1606.02147)
# - E. Borenstein, S. Ullman (2002). *Class-specific, top-down segmentation.* ECCV, for the horses.
#   [doi:10.1007/3-540-47967-8_8](https://doi.org/10.1007/3-540-47967-8_8)
