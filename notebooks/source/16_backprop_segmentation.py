# %% [markdown]
# # 16 · Segmentation by backpropagation
#
# The networks of chapters 12 to 15 learned from thousands of pictures that people had labeled. This one learns from a
# single picture, and nobody labels it. It answers, its own answers are made a little more even, and it learns to answer
# so. That this comes to anything is the surprise of the chapter.
#
# **After this chapter you can**
#
# - say why a network that was just drawn at random can begin to cluster its own pixels,
# - name the three aims that pull against each other, and what happens where one is switched off,
# - write the vote in superpixels without a loop, and train with scribbles instead of it.
#
# **Time** 60 minutes · **Before this** chapters 03: k-means, 06: SLIC, and 12: networks

# %%
from seglab import datasets, plot
from seglab.methods import BackpropSegmentation

cat = datasets.photo("cat", max_side=96)
base = BackpropSegmentation(n_filters=16, max_labels=16, n_segments=700, max_iter=40)
trace = base.trace(cat, max_states=30)
plot.show(cat, trace[0].labels, trace[-1].labels, size=3.2,
          titles=["the photograph", "a network drawn at random", f"after {trace[-1].n_iter} steps"])

# %% [markdown]
# ## Set-up

# %%
import time
from dataclasses import replace
from importlib import resources

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from seglab import benchmark
from seglab.datasets.bundled import shrink
from seglab.exercises import check
from seglab.labels import connected_components, count_labels
from seglab.methods import SLIC, Felzenszwalb, KMeans
from seglab.methods.backprop_segmentation import batch_norm, draw_network, vote
from seglab.metrics import probabilistic_rand_index, segmentation_covering, variation_of_information
from seglab.networks import cluster_network
from seglab.widgets import step_through

# %% [markdown]
# ## The problem
#
# Two textures of the same two grays: on the left stripes, on the right a checkerboard. No color tells them apart, so
# k-means (chapter 03) cannot. A pixel has to look around, and what to look for is not known beforehand.

# %%
rows, cols = np.indices((8, 8))
tiny = np.where(cols < 4, cols % 2, (rows + cols) % 2) * 0.6 + 0.2
by_color = KMeans(n_clusters=2, color_space="gray").segment(tiny)
plot.show(tiny, (cols >= 4).astype(int), by_color.labels, size=2.4,
          titles=["two textures", "what the eye says", "k-means"]);

# %% [markdown]
# ## Use it
#
# Two lines. Each pixel gets the label of its largest response; superpixels keep neighbors together while it learns.

# %%
found = base.segment(cat)
plot.show_segmentation(found);

# %% [markdown]
# And the two textures? One convolution, four superpixels, and an end where two labels are left; four draws of the weights.

# %%
small = BackpropSegmentation(n_components=1, n_filters=8, max_labels=8, affine=True, n_segments=4, compactness=100.0,
                             min_labels=2, max_iter=100)
answers = [replace(small, seed=seed).segment(tiny) for seed in range(4)]
plot.show(*[answer.labels for answer in answers], cols=4, size=2.2, annotate=False,
          titles=[f"seed {i}, {answer.state.n_iter} steps" for i, answer in enumerate(answers)]);

# %% [markdown]
# Stripes and checks, told apart by nobody's labels, each time but for pixels at the seam and the rim. The rest of the
# chapter is about why.

# %% [markdown]
# ## The idea
#
# A small network gives each pixel $n$ a response $y_{n,i}$ to each of $q$ labels. Its label is the largest:
#
# $$c_n = \arg\max_i\, y'_{n,i}, \qquad y'_{n,i} = \frac{y_{n,i} - \mu_i}{\sqrt{\sigma_i^2 + \epsilon}} .$$
#
# Then pretend that labels like these were the truth, and train as in chapter 12, by the cross-entropy:
#
# $$\mathcal L = -\frac1N \sum_n \log \operatorname{softmax}(y'_n)_{c'_n} .$$
#
# If $c'$ were $c$ itself, the network would just become surer of what it says. Three aims give it a direction:
#
# | aim | how it enters | alone it would |
# |---|---|---|
# | (a) similar pixels, one label | a linear classifier on features that a convolution shares among all pixels | put everything into one label |
# | (b) neighbors, one label | $c'$ is the majority of $c$ in each superpixel | put everything into one label |
# | (c) many labels | the normalization: over the picture, each response has mean 0 and variance 1 | keep all $q$, as noise |
#
# (a) and (b) merge, (c) keeps apart, and no segmentation satisfies all of them. What training finds is a truce.
#
# | symbol | in the code | meaning |
# |---|---|---|
# | $M$, $p$, $q$ | `n_components`, `n_filters`, `max_labels` | convolutions; features of a pixel; labels at most |
# | $y'$ | `responses` | (q, H, W) normalized responses |
# | $c$, $c'$ | `labels`, `targets` | before and after the vote |
# | $K$ | `n_segments` | superpixels |
# | $T$ | `max_iter` | steps |

# %% [markdown]
# ### Why should a random network know anything?
#
# It does not; but it is a *function of what a pixel looks like*. Two pixels with equal surroundings get equal
# responses, whatever the weights. So even the first labels follow the picture. A step of learning then moves whole
# groups of look-alikes together: the weights are shared, and no pixel can be moved alone.
#
# **Predict first.** Move the picture three pixels to the right. Do the labels of an untrained network move along?

# %%
network = draw_network(3, 2, 16, 16, seed=0)
module = cluster_network(network)
with torch.no_grad():
    here = module(cat[None])[0].argmax(0)
    moved = module(cat.roll(3, dims=2)[None])[0].argmax(0)
inside = (here.roll(3, dims=1) == moved)[4:-4, 8:-8].double().mean()
print(f"inside, labels that have moved along: {inside:.1%}")

# %% [markdown]
# All but a few, whose two largest responses are almost equal: the means and variances over the picture change a little
# at its rim.

# %% [markdown]
# ## Build it
#
# **First rung: the vote, a loop over superpixels**, as in the published program.


# %%
def vote_by_loop(labels, segments):
    refined = labels.copy()
    for k in np.unique(segments):
        inside = segments == k
        found, counts = np.unique(labels[inside], return_counts=True)
        refined[inside] = found[counts.argmax()]
    return refined


segments = SLIC(n_segments=700).segment(cat).labels
by_loop = vote_by_loop(here.numpy(), segments.numpy())
plot.show(here, segments, by_loop, size=3.2, titles=["labels", "superpixels", "after the vote"]);

# %% [markdown]
# **Second rung: one table instead of a loop.** Count the pairs (superpixel, label); the largest of a row wins.

# %%
begin = time.perf_counter()
vote_by_loop(here.numpy(), segments.numpy())
between = time.perf_counter()
table = torch.bincount(segments.flatten() * 16 + here.flatten(), minlength=16 * (int(segments.max()) + 1))
by_table = table.reshape(-1, 16).argmax(1)[segments]
end = time.perf_counter()
assert np.array_equal(by_table, by_loop)
assert torch.equal(by_table, vote(here[None], segments[None], 16, 700)[0])
print(f"loop {1000 * (between - begin):.1f} ms, table {1000 * (end - between):.2f} ms, equal labels")

# %% [markdown]
# **Third rung: the whole method**, with torch's own layers and optimizer. The normalization at the end is part of
# the network: gradients go through its mean and variance too.


# %%
def learn_by_hand(image, segments, network, n_steps, lr=0.1):
    model = cluster_network(network)  # convolution, ReLU, normalization, twice; 1×1; normalization
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    losses = []
    for _ in range(n_steps):
        y = model(image[None])
        target = vote(y.argmax(1), segments[None], y.shape[1], 700)
        loss = nn.functional.cross_entropy(y, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, losses


model, losses = learn_by_hand(cat, segments, network, 5)
state = replace(base, max_iter=5).segment(cat).state
assert np.allclose(losses, [float(loss) for loss in state.losses], rtol=1e-3)
print("by hand", np.round(losses, 4), "\nseglab ", np.round([float(loss) for loss in state.losses], 4))

# %% [markdown]
# The same numbers. `seglab` computes them with a quarter of the multiplications, by Winograd's convolution, and in
# fewer passes over memory.

# %% [markdown]
# ## Step through it
#
# **Predict first.** The loss is a distance to targets that the network makes itself. Does it fall at every step? Does
# the number of labels?

# %%
step_through(trace)

# %%
steps = range(1, len(trace[-1].losses) + 1)
with plot.style():
    figure, axes = plt.subplots(1, 2, figsize=(9, 2.8))
axes[0].plot(steps, [float(loss) for loss in trace[-1].losses])
axes[1].plot(steps, [int(count) for count in trace[-1].counts])
axes[0].set(title="loss", xlabel="step")
axes[1].set(title="labels before the vote", xlabel="step", ylim=(0, 17));

# %% [markdown]
# Here both go down. Neither has to: with each step the targets move (a number of labels rises under *No end* below). There is no objective that this method minimizes from beginning to
# end, unlike k-means or EM, and so no proof that it arrives.

# %% [markdown]
# ## Three aims, each switched off
#
# **Predict first.** What is left without the normalization? What without the vote?

# %%
without_c = replace(base, normalize=False).segment(cat)
without_b = replace(base, continuity="none").segment(cat)
for name, result in (("all three", found), ("no normalization", without_c), ("no vote", without_b)):
    pieces = count_labels(connected_components(result.labels))
    print(f"{name:18} labels {result.n_segments:3}, connected pieces {pieces:5}")
plot.show(found.labels, without_c.labels, without_b.labels, size=3.2,
          titles=["all three", "no normalization", "no vote"]);

# %% [markdown]
# Without (c) a label that is a little larger everywhere wins everywhere; learning makes it larger still, and labels die
# out. Without (b) nothing speaks against a pixel that differs from its neighbors: specks, and thin lines along every
# edge. And (a)? It is the network itself. Take it away by giving each pixel responses of its own, which nothing shares:

# %%
free = torch.randn(1, 16, *cat.shape[1:], generator=torch.Generator().manual_seed(0)).requires_grad_()
for _ in range(40):
    y = batch_norm(free)
    target = vote(y.argmax(1), segments[None], 16, 700)
    (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(y, target), free)
    free = (free - 0.1 * free[0].numel() * gradient).detach().requires_grad_()
alone = batch_norm(free).argmax(1)[0].detach()
print("superpixels", int(segments.max()) + 1, "· pieces", count_labels(connected_components(alone)))
plot.show(found.labels, alone, size=3.2, titles=["all three", "no shared weights"]);

# %% [markdown]
# The superpixels become even and that is all: no two of them know of each other.

# %% [markdown]
# ## The parameters
#
# **The learning rate** balances labels that change against weights that follow. Small steps stay near the first, random
# labels; large ones run over them.

# %%
rates = (0.01, 0.1, 0.5)
by_rate = [replace(base, lr=lr).segment(cat) for lr in rates]
plot.show(*[result.labels for result in by_rate], size=3.2,
          titles=[f"lr = {lr}, {result.n_segments} labels" for lr, result in zip(rates, by_rate, strict=True)]);

# %% [markdown]
# **Depth.** A pixel sees $(2M + 1)^2$ pixels. More convolutions: larger textures, and blurred borders.

# %%
depths = (1, 2, 4)
by_depth = [replace(base, n_components=m).segment(cat) for m in depths]
plot.show(*[result.labels for result in by_depth], size=3.2, titles=[f"M = {m}" for m in depths]);

# %% [markdown]
# ## Stripes
#
# The pictures that made the paper known are of zebras and tigers: a coat has two colors and is one thing. First a coat
# that we know all about, with stripes that repeat every four pixels and lean now to one side, now to the other.
#
# **Predict first.** The network colors this coat three times: with small superpixels; with squares, wider than a stripe;
# and with squares and three convolutions, whose pixels see 7×7. What will be one label each time?

# %%
rows, cols = np.indices((64, 96))
animal = ((rows - 34) / 20) ** 2 + ((cols - 48) / 32) ** 2 < 1
coat = 0.5 + 0.25 * np.sin((cols + 3 * np.sin(rows / 6)) * 2 * np.pi / 4)
noise = 0.08 * np.random.default_rng(0).normal(size=(64, 96, 3))
striped = np.clip(np.where(animal[..., None], coat[..., None], [0.35, 0.5, 0.2]) + noise, 0, 1)
squares = {"n_segments": 150, "compactness": 100.0}
coats = [{"n_components": 1}, {"n_components": 1, **squares}, {"n_components": 3, **squares}]
plot.show(striped, *[replace(base, **changes).segment(striped).labels for changes in coats], cols=4, size=2.6,
          titles=["a coat", "small superpixels", "squares", "squares, M = 3"]);

# %% [markdown]
# Small superpixels follow a stripe, so that light and dark do not meet in a vote: the coat falls apart. In a square they
# do meet, and the network learns to answer alike to what it is told is alike: one coat. With more to see, it tells stripes
# that lean left from stripes that lean right; nobody has asked whether that is a difference that matters.
#
# The zebras and the tiger of BSDS500, at less than a third of their size. Their labels come with the package, the
# photographs do not: where BSDS500 is at hand (`seglab data fetch bsds500`), they are shown and segmented anew.
#
# **Predict first.** What will k-means make of a zebra?

# %%
with resources.files("seglab.benchmark").joinpath("stripes.npz").open("rb") as file:
    maps = {name: list(kept.astype(np.int64)) for name, kept in np.load(file).items()}
titles = ["k-means", "M = 1", "M = 3"]
if "bsds500" in datasets.available():
    pictures = {"zebras": datasets.BSDS500("val")["253027"].image, "tiger": datasets.BSDS500("train")["108073"].image}
    methods = [replace(base, n_components=m, **squares | {"n_segments": 400}) for m in (1, 3)]
    for name, animals in ((name, shrink(picture, 144)) for name, picture in pictures.items()):
        maps[name] = [animals, *(method.segment(animals).labels for method in (KMeans(n_clusters=4), *methods))]
    titles = ["the photograph", *titles]
for shown in maps.values():
    plot.show(*shown, cols=len(titles), size=3.4 if len(titles) == 3 else 2.6, titles=titles)

# %% [markdown]
# k-means paints stripes. One component makes the zebras one coat, the three of them together; on the tiger, whose
# stripes are wider than what a pixel sees, it paints stripes again. Three components make the tiger's coat one, and tear
# the zebras into light and dark, near and far. How much to look at is a choice, and no depth is right for both.

# %% [markdown]
# ## A real photograph
#
# The paper compares with k-means and with graph-based segmentation (chapter 08), each cut into connected pieces. Here
# are two photographs with outlines drawn by hand. (Higher is better for SC and PRI, lower for VI.)

# %%
measures = (segmentation_covering, probabilistic_rand_index, variation_of_information)
rivals = {"k-means": KMeans(n_clusters=4), "graph-based": Felzenszwalb(), "the paper's network": base}
rivals["the program's"] = BackpropSegmentation.published_code(n_filters=16, max_labels=16, n_segments=700, max_iter=40)
for name in ("flower", "coffee"):
    picture, truth = datasets.photo(name, max_side=96), datasets.photo_truth(name, max_side=96).labels
    print(f"{name:22} pieces    SC   PRI    VI")
    for called, method in rivals.items():
        pieces = connected_components(method.segment(picture).labels)
        scores = [measure(truth, pieces) for measure in measures]
        print(f"  {called:20} {count_labels(pieces):6}  " + "  ".join(f"{s:.2f}" for s in scores))

# %% [markdown]
# With the paper's settings the network comes last: more pieces than there are things, lines along edges and a frame at
# the rim among them. Its published program has others (`published_code`): weights are drawn as torch draws them,
# normalizations learn gains, superpixels are squares. That makes far fewer pieces, and on the cup it comes first. What a
# paper says and what its program does can be two methods. Two small pictures decide nothing, though, and these are few
# steps beside the paper's five hundred.
#
# **The paper's comparison, again**, on Berkeley's 200 test pictures at full size, with the program's settings,
# $p = q = 100$, $K = 10{,}000$, and 128 steps: the average precision of segments (more than 0.5, or 0.7, of a person's
# segment; chapter 11) and F per picture, of connected pieces, and the region measures, of labels as they are. The paper
# draws F per picture (its figure 3) and prints no numbers.
#
# **Predict first.** The paper has k-means last, graph-based segmentation second, and the network first. And here?

# %%
stored = resources.files("seglab.benchmark").joinpath("backprop_segmentation.json").read_text("utf-8")
measured = benchmark.Table.from_json(stored)
columns = {"ap50": "AP 0.5", "ap70": "AP 0.7", "segment_f": "F", "covering": "SC", "rand": "PRI", "information": "VI"}


def print_rows(title, rows, best="ods"):
    print(f"{title:43}" + "".join(f"{called:>8}" for called in columns.values()))
    for row in rows:
        values = [getattr(row.cells.get(name), best, None) for name in columns]
        print(f"{row.name:43}" + "".join(" " * 8 if v is None else f"{v:8.3f}" for v in values))


print(*measured.notes, sep="\n")
everything = [row for row in measured.rows if row.n_pictures == 200]
print_rows("\nours, 200 pictures", everything)
print_rows("the last, by each picture's own best (OIS)", everything[-1:], "ois")

# %%
theirs = [row for row in benchmark.published_rows() if row.name.partition(":")[0] in (
    "k-means", "Felzenszwalb-Huttenlocher", "backpropagation (Kanezaki)") and {"ap50", "rand"} & row.cells.keys()]
print_rows("published, 200 pictures", theirs)
print_rows("the network, by each picture's own best", [row for row in theirs if "Kanezaki)" in row.name], "ois")

# %% [markdown]
# Of whole segments, two components find as many as the paper says (AP 0.5), and fewer of the exact ones (AP 0.7). The
# order is the paper's too, as long as graph-based segmentation has the paper's settings (β, and small pieces stay); the
# margin over it is small. Choose *its* settings with as much care, with small pieces merged away, and it finds more; by
# SC, PRI and VI, which ask about all pixels, it is far ahead. The slides of Deep Superpixel Cut (chapter 18) print this
# method at SC 0.47 and 0.50, without its settings: at one setting for all pictures we fall short of it, and come near it
# where each picture may choose its $M$ and steps. Each doubling of the steps adds.
#
# How much of that is chance? Five draws, other depths, and more steps, on every tenth picture:

# %%
tenth = {row.name: row for row in measured.rows if row.n_pictures < 200}
seeds = [tenth[f"backpropagation, M = 2{name}"] for name in ("", *(f", seed {i}" for i in range(1, 5)))]
at = {128: seeds[0]} | {t: tenth[f"backpropagation, M = 2, {t} steps"] for t in (16, 32, 64, 256, 512, 1000)}
depth = {m: tenth[f"backpropagation, M = {m}"] for m in range(1, 6)}
parts = {"steps, M = 2": dict(sorted(at.items())), "components M, 128 steps": depth}
parts["seed, M = 2, 128 steps"] = dict(enumerate(seeds))
with plot.style():
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), sharey=True)
for ax, (title, rows) in zip(axes, parts.items(), strict=True):
    for name, marker in (("ap50", "o"), ("segment_f", "s")):
        values = [row.cells[name].ods for row in rows.values()]
        ax.plot(list(rows), values, marker, linestyle="" if title.startswith("seed") else "-", label=columns[name])
    ax.set(xlabel=title, ylim=(0, 0.16), xscale="log" if title.startswith("steps") else "linear", xticks=list(rows))
    ax.set_xticklabels(rows)
    ax.minorticks_off()
axes[0].legend();

# %%
print(f"{'five seeds, M = 2, 20 pictures':43}" + "".join(f"{called:>8}" for called in columns.values()))
table = np.array([[row.cells[name].ods for name in columns] for row in seeds])
for called, values in (("mean", table.mean(0)), ("standard deviation", table.std(0, ddof=1))):
    print(f"{called:43}" + "".join(f"{value:8.3f}" for value in values))
alike = [tenth[f"backpropagation, M = 2{said}"] for said in ("", ", again", ", float32")]
print_rows("\nten bits on a GPU, twice; float32 on a CPU", alike)
settings = [tenth[f"backpropagation, M = 1, as the {who}, val"] for who in ("program", "paper")]
print_rows("\nwhose settings? ten validation pictures", settings)

# %% [markdown]
# Draws differ by more than most claims about methods. The seed of the large table, 0, is the best of the five in AP; a
# lucky draw, which the two hundred pictures share. Two components are best, as the author says; deeper networks blur
# borders. From 128 steps to a thousand AP stands still, while VI and F go on
# improving, since crumbs of labels die out. Rounding does not change what is found on the whole, but each step amplifies
# it: the same command twice on a GPU, with products of ten bits that are not summed in a fixed order
# (`precision="tf32"`), differs nearly as much as two draws. And the last two lines are why all rows have the program's
# settings: on *validation* pictures the paper's find a third of the segments and have far worse VI.
#
# One more warning: the paper does not say how it counts several people; compare average precision within one code only.
# This measures the rows of two hundred, and with `--every 10` the others; what is there already is not computed again.
# Without a GPU two hundred pictures take many hours.
#
# ```
# seglab benchmark backprop_segmentation -p start=torch -p affine=true -p compactness=100 -p min_labels=3 \
#     -p precision=tf32 --device cuda --sweep n_components=1,2,3,4,5 --sweep max_iter=16,32,64,128
# ```

# %% [markdown]
# ## Without superpixels
#
# Superpixels decide early which borders can be drawn at all. The form of 2020 replaces the vote by a second term of the
# loss: responses should change little from a pixel to the next,
#
# $$\mathcal L = \mathcal L_{\text{similarity}} + \mu \cdot \operatorname{mean} \lvert y'_{\text{right}} - y'\rvert
# + \mu \cdot \operatorname{mean} \lvert y'_{\text{below}} - y'\rvert .$$

# %%
smooth = BackpropSegmentation.differentiable(n_filters=16, max_labels=16, max_iter=40)
weights = (0.0, 1.0, 5.0)
by_weight = [replace(smooth, continuity_weight=mu).segment(cat) for mu in weights]
plot.show(*[result.labels for result in by_weight], size=3.2,
          titles=[f"μ = {mu}, {result.n_segments} labels" for mu, result in zip(weights, by_weight, strict=True)]);

# %% [markdown]
# **Scribbles.** Draw a few strokes of two labels. On strokes the cross-entropy is with the stroke's label, and its mean
# over them is added to the loss with half the weight (`scribble_weight`); elsewhere it is with the network's own.

# %%
scribbles = torch.full(cat.shape[1:], -1)
scribbles[6:10, 30:60], scribbles[20:40, 48:52], scribbles[44:50, 20:40], scribbles[16:36, 68:71] = 0, 0, 0, 0
scribbles[4:22, 1:4], scribbles[12:24, 84:92], scribbles[44:60, 86:92] = 1, 1, 1
drawn = replace(smooth, scribbles=scribbles, min_labels=2).segment(cat)
kept = [(drawn.labels[scribbles == k] == k).double().mean().item() for k in (0, 1)]
print("strokes obeyed:", [f"{share:.0%}" for share in kept])
plot.show(cat, scribbles, drawn.labels, size=3.2, titles=["the photograph", "strokes", "labels"]);

# %% [markdown]
# The strokes are obeyed, and each label spreads to what looks like its strokes, wherever that is: the cat is one, the
# blurred ground the other, and with it spots in the eyes. Strokes say which pixels belong together; they cannot make two
# things look different that this small window takes for alike. At the rim, labels that nobody drew live on.
#
# **A reference picture.** A network that has learned one picture can label another without learning: `transfer`.

# %%
left, right = cat[:, :, :48], cat[:, :, 48:]
learned = smooth.segment(left).state
other = smooth.transfer(learned, right)
plot.show(learned.labels, other.labels, size=3.2, titles=["learned here", "applied there"]);

# %% [markdown]
# ## Where it breaks
#
# **1 · Nothing to see.** A gray card has no parts. **Predict first:** one label, or many?

# %%
card = torch.full((3, 64, 64), 0.5)
nothing = replace(base, min_labels=0, max_iter=20).segment(card)
print("labels of a gray card:", nothing.n_segments)
plot.show(card, nothing.labels, size=2.8, titles=["a gray card", "its labels"]);

# %% [markdown]
# Many. Outside of the picture the convolution reads zeros, so pixels at the rim do look different, and the
# normalization blows up whatever difference there is to variance 1. *Cure:* none inside the method; look at the
# unnormalized variance, or leave out the rim.
#
# **2 · Another draw, another segmentation.** The first weights decide which truce is found.

# %%
draws = [replace(base, seed=seed).segment(cat) for seed in range(3)]
agreement = [segmentation_covering(draws[0].labels, result.labels) for result in draws[1:]]
print("covering between draws:", [f"{value:.2f}" for value in agreement])
plot.show(*[result.labels for result in draws], size=3.2, titles=["seed 0", "seed 1", "seed 2"]);

# %% [markdown]
# *Cure:* several draws, and what they agree on; or the mean of scores over draws, whenever methods are compared.
#
# **3 · No end.** Labels go on being lost, ever more slowly, and now and then one comes back. Which number of steps is right is not in the loss.

# %%
long_run = replace(base, max_iter=120).trace(cat, every=40)
for state in long_run:
    print(f"after {state.n_iter:3} steps: {count_labels(state.labels):2} labels")
plot.show(*[state.labels for state in long_run], cols=4, size=2.5,
          titles=[f"{state.n_iter} steps" for state in long_run]);

# %% [markdown]
# *Cure:* a number of labels at which to stop (`min_labels`), or the number of steps that did best on *other* pictures.
#
# ## Summary
#
# - A network labels, its labels are made even by a vote, and it learns them: two simple steps in turn, as in k-means,
#   but with features that are learned along the way.
# - Similarity and continuity merge; the normalization keeps labels apart. Without it, labels die out; without the vote
#   there are specks; without shared weights nothing is learned.
# - The targets move. The loss need not fall, there is no proof of an end, and the draw of the weights matters.
# - The form of 2020 needs no superpixels and listens to scribbles.

# %% [markdown]
# ## Exercises
#
# **16.1 The normalization.** Of responses (q, N): mean 0 and variance 1 for each label over the pixels.


# %% tags=["exercise"]
def normalized(y, eps=1e-5):
    """Responses (q, N) with mean 0 and variance 1 along each row; eps is added to the variance."""
    ### BEGIN SOLUTION
    mean, variance = y.mean(1, keepdims=True), y.var(1, keepdims=True)
    return (y - mean) / np.sqrt(variance + eps)
    ### END SOLUTION


# %% tags=["wrong"]
def normalized(y, eps=1e-5):
    return (y - y.mean(0, keepdims=True)) / np.sqrt(y.var(0, keepdims=True) + eps)


# %% tags=["wrong"]
def normalized(y, eps=1e-5):
    return (y - y.mean(1, keepdims=True)) / (y.var(1, keepdims=True) + eps)


# %% tags=["check"]
with check("16.1 the normalization"):
    y_check = np.random.default_rng(0).normal(3, 2, (4, 50))
    z_check = normalized(y_check)
    assert np.allclose(z_check.mean(1), 0), "each label's mean over the pixels is 0"
    assert np.allclose(z_check.var(1), 1, atol=1e-3), "each label's variance over the pixels is 1"

# %% [markdown]
# **16.2 The vote without a loop.** Of equally frequent labels, the smallest wins.


# %% tags=["exercise"]
def majority(labels, segments, n_labels):
    """Labels (N,) after the vote in segments (N,); no loop."""
    ### BEGIN SOLUTION
    table = np.bincount(segments * n_labels + labels, minlength=n_labels * (segments.max() + 1))
    return table.reshape(-1, n_labels).argmax(1)[segments]
    ### END SOLUTION


# %% tags=["wrong"]
def majority(labels, segments, n_labels):
    table = np.bincount(segments * n_labels + labels, minlength=n_labels * (segments.max() + 1))
    return table.reshape(-1, n_labels).argmax(1)


# %% tags=["wrong"]
def majority(labels, segments, n_labels):
    return (np.bincount(segments, labels) / np.bincount(segments)).round().astype(int)[segments]


# %% tags=["check"]
with check("16.2 the vote without a loop"):
    rng_check = np.random.default_rng(1)
    c_check, s_check = rng_check.integers(0, 5, 300), rng_check.integers(0, 40, 300)
    assert len(majority(c_check, s_check, 5)) == 300, "one label for each pixel"
    assert np.array_equal(majority(c_check, s_check, 5), vote_by_loop(c_check, s_check)), "it should equal the loop"

# %% [markdown]
# **16.3 The gradient.** With respect to the normalized responses the cross-entropy has a simple gradient. Give it.


# %% tags=["exercise"]
def gradient_at_responses(y, targets):
    """dL/dy' (N, q) of the mean cross-entropy, for responses (N, q) and targets (N,)."""
    ### BEGIN SOLUTION
    e = np.exp(y - y.max(1, keepdims=True))
    g = e / e.sum(1, keepdims=True)
    g[np.arange(len(y)), targets] -= 1
    return g / len(y)
    ### END SOLUTION


# %% tags=["wrong"]
def gradient_at_responses(y, targets):
    e = np.exp(y)
    g = e / e.sum(1, keepdims=True)
    g[np.arange(len(y)), targets] -= 1
    return g


# %% tags=["wrong"]
def gradient_at_responses(y, targets):
    e = np.exp(y)
    return e / e.sum(1, keepdims=True) / len(y)


# %% tags=["check"]
with check("16.3 the gradient"):
    y_leaf = torch.randn(20, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).requires_grad_()
    t_leaf = torch.arange(20) % 6
    (expected_g,) = torch.autograd.grad(nn.functional.cross_entropy(y_leaf, t_leaf), y_leaf)
    answer_g = gradient_at_responses(y_leaf.detach().numpy().copy(), t_leaf.numpy())
    assert np.allclose(answer_g.sum(1), 0), "the gradient of a pixel adds up to 0: what one label gains, others lose"
    assert np.allclose(answer_g, expected_g.numpy()), "it should be (softmax - one-hot) / N"

# %% [markdown]
# **16.4 What a pixel sees.** How many convolutions 3×3 does it take until a pixel sees a whole period of stripes that
# repeat every `period` pixels?


# %% tags=["exercise"]
def components_for(period):
    """The smallest M whose window of 2M + 1 pixels a side holds a period."""
    ### BEGIN SOLUTION
    return int(np.ceil((period - 1) / 2))
    ### END SOLUTION


# %% tags=["wrong"]
def components_for(period):
    return int(np.ceil(period / 3))


# %% tags=["wrong"]
def components_for(period):
    return period // 2 + 1


# %% tags=["check"]
with check("16.4 what a pixel sees"):
    for period in (3, 4, 5, 8, 11):
        m_check = components_for(period)
        assert 2 * m_check + 1 >= period, f"with M = {m_check} a pixel sees {2 * m_check + 1} pixels, less than {period}"
        assert 2 * (m_check - 1) + 1 < period, f"M = {m_check - 1} would do for {period}"

# %% [markdown]
# ## References
#
# - A. Kanezaki (2018). *Unsupervised image segmentation by backpropagation.* ICASSP.
#   [doi:10.1109/ICASSP.2018.8462533](https://doi.org/10.1109/ICASSP.2018.8462533)
# - W. Kim, A. Kanezaki, M. Tanaka (2020). *Unsupervised learning of image segmentation based on differentiable feature
#   clustering.* IEEE Transactions on Image Processing 29.
#   [doi:10.1109/TIP.2020.3011269](https://doi.org/10.1109/TIP.2020.3011269)
# - A. Lavin, S. Gray (2016). *Fast algorithms for convolutional neural networks.* CVPR, for Winograd's convolution.
#   [doi:10.1109/CVPR.2016.435](https://doi.org/10.1109/CVPR.2016.435)
# - X. Glorot, Y. Bengio (2010). *Understanding the difficulty of training deep feedforward neural networks.* AISTATS,
#   for the start of the weights.
