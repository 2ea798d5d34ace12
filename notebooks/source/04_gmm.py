# %% [markdown]
# # 04 · Gaussian mixtures and EM
#
# k-means puts every color with its nearest center, and never says how sure it is. A mixture of Gaussians lets each
# cluster have a width and a direction of its own, and gives probabilities.
#
# **After this chapter you can**
#
# - derive EM from the likelihood, and tell the right update rules from those that circulate with slips,
# - read responsibilities: what is certain, what is not, and why,
# - smooth a posterior with a price for unlike neighbors, and say when that does harm.
#
# **Time** 90 minutes · **Before this** chapter 03: k-means

# %%
from seglab import datasets, plot
from seglab.methods import GaussianMixture, KMeans, SmoothedMixture

coffee = datasets.photo("coffee", max_side=256)
methods = [KMeans(n_clusters=6), GaussianMixture(n_components=6), SmoothedMixture(n_components=6, beta=2.0)]
titles = ["coffee", "k-means, 6", "Gaussian mixture, 6", "... and smoothed"]
plot.show(coffee, *(method.segment(coffee) for method in methods), cols=4, size=2.4, titles=titles)

# %% [markdown]
# ## Set-up

# %%
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.special import logsumexp, xlogy
from sklearn.mixture import GaussianMixture as SklearnMixture

from seglab.exercises import check
from seglab.features import pixel_features
from seglab.methods import select_components
from seglab.methods.smoothing import energy, sweep, votes
from seglab.metrics import probabilistic_rand_index, segmentation_covering, variation_of_information
from seglab.widgets import compare, explore, step_through

coins = datasets.photo("coins", max_side=256)

# %% [markdown]
# ## The problem
#
# A smooth wall on the left, rough plaster on the right. Your eye sees two halves. What does k-means see?

# %%
wall = [[0.20, 0.22, 0.18, 0.20], [0.18, 0.21, 0.20, 0.19], [0.21, 0.20, 0.19, 0.22], [0.19, 0.18, 0.21, 0.20]]
plaster = [[0.70, 0.38, 0.90, 0.60], [0.50, 0.80, 0.35, 0.75], [0.85, 0.65, 0.55, 0.30], [0.40, 0.95, 0.72, 0.58]]
tiny = np.hstack([wall, plaster])
by_kmeans = KMeans(n_clusters=2, color_space="gray").segment(tiny)
by_mixture = GaussianMixture(n_components=2, color_space="gray").segment(tiny)
plot.show(tiny, by_kmeans.labels, by_mixture.labels, titles=["gray values", "k-means", "Gaussian mixture"])

# %% [markdown]
# k-means puts its border half-way between the two centers, because distance is all it knows. So the dark grains of the
# plaster go to the wall. The mixture has learned more than two centers: the wall is *narrow*. A value well outside its
# narrow range cannot come from it, even though its center is the nearer one.

# %%
plot.draw(by_mixture.state.panels(by_mixture.image)[0])
borders = by_kmeans.state.centers.mean(), tiny[by_mixture.numpy() == by_mixture.numpy()[0, 0]].max()
print(f"k-means cuts at {borders[0]:.2f}; the mixture's wall ends above {borders[1]:.2f}")
print("widths (standard deviations):", by_mixture.state.covariances.flatten().sqrt().numpy().round(3))

# %% [markdown]
# ## Use it

# %%
result = GaussianMixture(n_components=6).segment(coffee)
plot.show_segmentation(result)

# %% [markdown]
# ## The idea and the objective
#
# Tell a story of how the picture was made. For each pixel $j$, first a component $y_j = k$ is drawn with probability
# $\pi_k$. Then a color $x_j$ is drawn from that component's Gaussian. We see the color; the component stays hidden.
# Adding up all ways in which the color could have come about:
#
# $$p(x_j) = \sum_{k=1}^K \pi_k\,\mathcal N(x_j;\mu_k,\Sigma_k), \qquad \sum_k \pi_k = 1 .$$

# %% [markdown]
# A good story makes the observed picture probable. We look for the parameters with the largest **log-likelihood**, here
# as a mean over the pixels:
#
# $$L(\theta) = \frac1N\sum_j \log \sum_k \pi_k\,\mathcal N(x_j;\mu_k,\Sigma_k).$$

# %% [markdown]
# | symbol | in the code | meaning |
# |---|---|---|
# | $x_j$; $N$, $D$ | `x` (N, D) | gray value ($D=1$) or color ($D=3$) of pixel $j$ |
# | $K$ | `n_components` | number of Gaussians |
# | $\pi_k$ | `weights` (K,) | share of component $k$ |
# | $\mu_k$, $\Sigma_k$ | `means` (K, D), `covariances` (K, D, D) | its place and its shape |
# | $\theta$ | the three of them | all parameters |
# | $r_{jk}$ | `resp` (N, K) | responsibility: $P(y_j = k \mid x_j)$ |
# | $N_k=\sum_j r_{jk}$ | `n` (K,) | pixels that $k$ answers for, counted in parts |
#
# In one dimension $\mathcal N(x;\mu,\sigma^2) = \exp\!\big(-(x-\mu)^2/2\sigma^2\big)\big/\sqrt{2\pi}\,\sigma$.
# In several, $\mathcal N(x;\mu,\Sigma) = |2\pi\Sigma|^{-1/2}\exp\!\big(-\tfrac12(x-\mu)^\top\Sigma^{-1}(x-\mu)\big)$:
# its contours are ellipses.

# %% [markdown]
# ### Who made this pixel? Bayes
#
# If we knew the parameters, the hidden component would follow from Bayes' rule:
#
# $$r_{jk} = P(y_j=k\mid x_j)
# = \frac{\pi_k\,\mathcal N(x_j;\mu_k,\Sigma_k)}{\sum_l \pi_l\,\mathcal N(x_j;\mu_l,\Sigma_l)} .$$
#
# The numerator alone is the *joint* density of "component $k$" and "color $x_j$". Only the division makes it a
# probability: for each pixel the $r_{jk}$ add up to 1.
#
# And if we knew the components, fitting each Gaussian would be easy: shares, means, covariances. Each half of the
# problem is easy when the other is solved. EM takes turns.

# %% [markdown]
# ### Why taking turns works: a bound
#
# The sum *inside* the logarithm is what makes $L$ hard. Take any numbers $r_{jk}>0$ with $\sum_k r_{jk}=1$. The
# logarithm is concave, so the logarithm of a mean is at least the mean of the logarithms (Jensen):
#
# $$\log\sum_k \pi_k\mathcal N_{jk} = \log\sum_k r_{jk}\frac{\pi_k\mathcal N_{jk}}{r_{jk}}
# \;\ge\; \sum_k r_{jk}\log\frac{\pi_k\mathcal N_{jk}}{r_{jk}} .$$
#
# The mean of the right side over the pixels is the **lower bound** $F(r,\theta)$, or *ELBO*. Its gap to $L(\theta)$ is
# the mean Kullback–Leibler divergence from $r_j$ to the true posterior.

# %% [markdown]
# **E-step: make the bound touch.** Equality in Jensen's inequality needs $\pi_k\mathcal N_{jk}/r_{jk}$ to be the same
# for all $k$. With $\sum_k r_{jk}=1$ that leaves just one choice: the posterior above. Then $F = L$.
#
# **M-step: raise the bound.** Hold $r$, and maximize $F$ over $\theta$. Now the logarithm stands before each Gaussian,
# alone.
#
# Together: $L(\theta^{\text{new}}) \ge F(r,\theta^{\text{new}}) \ge F(r,\theta^{\text{old}}) = L(\theta^{\text{old}})$.
# The likelihood **never falls**.

# %% [markdown]
# ### The updates
#
# The part of $NF$ that depends on $\theta$ is $\sum_j\sum_k r_{jk}\big[\log\pi_k - \tfrac12\log|\Sigma_k| -
# \tfrac12 (x_j-\mu_k)^\top\Sigma_k^{-1}(x_j-\mu_k)\big]$.
#
# - $\partial/\partial\mu_k = \Sigma_k^{-1}\sum_j r_{jk}(x_j-\mu_k) = 0$ gives $\mu_k = \frac1{N_k}\sum_j r_{jk}\,x_j$,
#   whatever $\Sigma_k$ is.
# - $\partial/\partial\Sigma_k^{-1} = \tfrac12 N_k\Sigma_k - \tfrac12\sum_j r_{jk}(x_j-\mu_k)(x_j-\mu_k)^\top = 0$ gives
#   $\Sigma_k = \frac1{N_k}\sum_j r_{jk}(x_j-\mu_k)(x_j-\mu_k)^\top$. Both equations hold *at once*: this is the **new**
#   $\mu_k$.
# - $\pi$ has to add up to 1. With a multiplier $\lambda$: $N_k/\pi_k=\lambda$. Summing over $k$, $\lambda=N$, so
#   $\pi_k = N_k/N$.

# %% [markdown]
# ## Build it
#
# **First rung: loops over pixels and components**, in one dimension, on the 32 gray values of the wall.


# %%
def normal(x, mean, variance):
    return np.exp(-((x - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)


def e_step_loop(x, weights, means, variances):
    resp = np.zeros((len(x), len(weights)))
    for j in range(len(x)):
        for k in range(len(weights)):
            resp[j, k] = weights[k] * normal(x[j], means[k], variances[k])  # the joint density ...
        resp[j] /= resp[j].sum()  # ... becomes the posterior
    return resp


# %%
def m_step_loop(x, resp):
    k_all, j_all = range(resp.shape[1]), range(len(x))
    n = [sum(resp[j, k] for j in j_all) for k in k_all]
    weights = [n[k] / len(x) for k in k_all]
    means = [sum(resp[j, k] * x[j] for j in j_all) / n[k] for k in k_all]
    variances = [sum(resp[j, k] * (x[j] - means[k]) ** 2 for j in j_all) / n[k] for k in k_all]  # the new means
    return weights, means, variances


x = tiny.ravel()
start = [0.5, 0.5], [0.2, 0.6], [0.02, 0.02]
theta = start
for n_iter in range(7):
    likelihood = np.mean([np.log(sum(w * normal(v, m, s) for w, m, s in zip(*theta, strict=True))) for v in x])
    print(f"step {n_iter}: L = {likelihood:.4f}   widths {np.sqrt(theta[2]).round(3)}")
    theta = m_step_loop(x, e_step_loop(x, *theta))

# %% [markdown]
# The likelihood rises at each step, and the wall's component narrows to what the wall really is.
#
# **Spoiler for the next rung: exponentials vanish.** A pixel forty widths away from every component has density
# $e^{-800}$. A computer's number ends near $e^{-745}$; below that it is 0, and 0/0 is no responsibility.

# %%
far = np.array([1.0])
narrow = [0.5, 0.5], [0.20, 0.25], [0.0003, 0.0003]
with np.errstate(invalid="ignore"):
    print("joint densities:", [float(w * normal(1.0, m, v)) for w, m, v in zip(*narrow, strict=True)])
    print("responsibilities:", e_step_loop(far, *narrow)[0])
log_joint_far = np.array([np.log(w) - (1 - m) ** 2 / (2 * v) for w, m, v in zip(*narrow, strict=True)])
print("in logarithms:", log_joint_far.round(1), "→", np.exp(log_joint_far - logsumexp(log_joint_far)).round(6))

# %% [markdown]
# The cure is to stay with logarithms and to pull out the largest, $a^* = \max_k a_k$:
#
# $$\log\sum_k e^{a_k} = a^* + \log\sum_k e^{a_k-a^*} .$$
#
# The largest term of the new sum is exactly 1: it can neither overflow nor be 0. That is `logsumexp`.

# %% [markdown]
# **Second rung: no loops, any number of dimensions**, in logarithms.


# %%
def log_joint(x, weights, means, covariances):
    """log π_k N(x_j; μ_k, Σ_k): x (N, D) → (N, K)."""
    away = x[:, None] - means  # (N, K, D)
    squared = np.einsum("nkd,kde,nke->nk", away, np.linalg.inv(covariances), away)
    return np.log(weights) - (squared + np.linalg.slogdet(2 * np.pi * covariances)[1]) / 2


def e_step(x, theta):
    """(L, resp)."""
    joint = log_joint(x, *theta)
    evidence = logsumexp(joint, axis=1, keepdims=True)  # log p(x_j)
    return evidence.mean(), np.exp(joint - evidence)


# %%
def m_step(x, resp, epsilon=0.0):
    """(weights, means, covariances); ε is added to each variance."""
    n = resp.sum(0)
    means = resp.T @ x / n[:, None]
    away = x[:, None] - means
    covariances = np.einsum("nk,nkd,nke->kde", resp, away, away) / n[:, None, None]
    return n / len(x), means, covariances + epsilon * np.eye(x.shape[1])


column = x[:, None]
theta_fast = np.array(start[0]), np.array(start[1])[:, None], np.array(start[2])[:, None, None]
for _ in range(7):
    theta_fast = m_step(column, e_step(column, theta_fast)[1])
for slow, fast in zip(theta, theta_fast, strict=True):
    assert np.allclose(slow, fast.ravel())
print("loops and arrays agree; L =", e_step(column, theta_fast)[0].round(4))

# %% [markdown]
# **Third rung: a photograph, beside `seglab`.** Same start, the same number of steps, on the colors of the coffee.

# %%
lab = pixel_features(coffee, "lab").double().numpy()
method = GaussianMixture(n_components=4, start="random", tol=0.0, max_iter=10)
states = list(method.steps(coffee))
ours = tuple(part.numpy() for part in states[0].mixture)
epsilon = method.reg_covar * 100**2  # CIELAB goes from 0 to 100
for _ in states[1:]:
    ours = m_step(lab, e_step(lab, ours)[1], epsilon)
theirs = states[-1]
assert np.allclose(e_step(lab, ours)[0], theirs.log_likelihood, atol=1e-6)
assert np.allclose(ours[1], theirs.means, atol=1e-4)
print(f"{len(lab)} pixels, {theirs.n_iter} steps")
print(f"ours {e_step(lab, ours)[0]:.6f}, seglab {float(theirs.log_likelihood):.6f}")

# %% [markdown]
# `seglab` needs no array of size (N, K, D, D), and works on the *different* colors with their counts. See
# `seglab/kernels/gmm.py`: both steps become one matrix product each.

# %% [markdown]
# ### Watch the bound
#
# Move one number only: the mean of the plaster. The solid curve is the likelihood for each value of it. The E-step lays
# a bound under it that touches at the present mean; the M-step walks to the top of that bound; a new bound touches
# there.


# %%
def bound(x, resp, theta):
    return ((resp * log_joint(x, *theta)).sum(1) - xlogy(resp, resp).sum(1)).mean()


def with_mean(value):
    return np.array([0.5, 0.5]), np.array([[0.2], [value]]), np.full((2, 1, 1), 0.02)


grid, mean, bounds = np.linspace(0.2, 1, 120), 0.30, {}
for _ in range(3):
    resp = e_step(column, with_mean(mean))[1]
    bounds[f"bound touching at {mean:.2f}"] = [bound(column, resp, with_mean(g)) for g in grid]
    mean = m_step(column, resp)[1][1, 0]
likelihood = {"likelihood": [e_step(column, with_mean(g))[0] for g in grid]}
plot.curves(grid, likelihood | bounds, title="A bound that touches", x_label="mean of the plaster", y_label="per pixel");

# %% [markdown]
# Now all parameters, half a step at a time, on the gray coins. Each M-step lifts the bound, and the likelihood even
# more; each E-step closes the gap between them.

# %%
method = GaussianMixture(n_components=3, color_space="gray", start="random", max_iter=12, tol=0.0, reg_covar=0.0)
states = list(method.steps(coins))
likelihood = [float(state.log_likelihood) for state in states]
after_m = [float(state.lower_bound) for state in states[1:]]
times = np.arange(0, len(states) - 0.5, 0.5)
zigzag = np.empty(len(times))
zigzag[::2], zigzag[1::2] = likelihood, after_m
stairs = np.repeat(likelihood, 2)[1:]  # the M-step changes the parameters, so the likelihood changes there
plot.curves(
    times[2:13],
    {"likelihood": stairs[2:13], "bound": zigzag[2:13]},
    x_label="step (half: after M, before E)",
    y_label="per pixel",
    title="E closes the gap, M lifts the bound",
)
assert np.all(np.diff(zigzag) >= -1e-12)  # never falls
assert np.all(zigzag <= stairs + 1e-12)  # is a lower bound

# %% [markdown]
# ### Spot the errors
#
# These rules gather slips that circulate in lecture notes. Four things are wrong. Find them before you open the answer.
#
# $$P(y_j=k) = \pi_k\,\frac1{\sqrt{2\pi}\,\sigma_k}\exp\!\Big(-\frac{(x-\mu-k)^2}{2\sigma_k^2}\Big),\quad
# \mu_k=\frac{\sum_j P(y_j=k)\,x}{\sum_j P(y_j=j)},\quad
# \sigma_k^2=\frac{\sum_j P(y_j=k)\,(x_j-\mu_k)}{\sum_j P(y_j=k)}$$
#
# <details><summary>Answer</summary>
#
# 1. The first is the joint, not the posterior: the division by $\sum_l$ is missing.
# 2. $x-\mu-k$ was once $x_j-\mu_k$: the index has come down from its place.
# 3. $P(y_j=j)$ should be $P(y_j=k)$. (And $x$ is $x_j$.)
# 4. The variance has lost its square. Without it, the sum is 0: that is how the mean was made.
# </details>

# %% [markdown]
# **What each one does**, on the wall and plaster, everything else being right:


# %%
def em_with(slip, x, n_steps=12):
    weights, means, variances = (np.array(part) for part in start)
    history, k = [], np.arange(2) + 1
    for _ in range(n_steps):
        history.append(
            (
                np.log(sum(w * normal(x, m, v) for w, m, v in zip(weights, means, variances, strict=True))).mean(),
                weights.sum(),
                means.max(),
            )
        )
        joint = weights * normal(x[:, None], means + (k if slip == "x − μ − k" else 0), variances)
        resp = joint if slip == "joint" else joint / joint.sum(1, keepdims=True)
        n, old = resp.sum(0), means
        means = resp.T @ x / (np.trace(resp[:2]) if slip == "P(y_j = j)" else n)
        away = x[:, None] - (old if slip == "old mean" else means)
        variances = (resp * (away if slip == "no square" else away**2)).sum(0) / n
        weights = n / len(x)
    return np.array(history)


# %%
print(f"{'':12} {'L at steps 0 to 7':^62} Σπ at 7   largest mean at 7")
for slip in ("right", "joint", "x − μ − k", "P(y_j = j)", "no square", "old mean"):
    with np.errstate(all="ignore"):
        history = em_with(slip, x)
    print(f"{slip:12}", " ".join(f"{v:7.3f}" for v in history[:8, 0]), f"{history[7, 1]:9.3g} {history[7, 2]:12.3g}")

# %% [markdown]
# - **joint**: "L" beats the right one, but the weights add up to more and more: it is no likelihood any longer. The
#   components shrink onto the densest values.
# - **x − μ − k**, **no square**: not a number within two steps.
# - **P(y_j = j)**: a "mean" far outside of all gray values, and the likelihood falls.
# - **old mean** in the variance, another frequent one, is the subtle case. It ends in the same place, but lags: it does
#   not take the top of the bound. Never falling is no proof of being right.

# %% [markdown]
# ## Step through it
#
# **Predict first.** Three Gaussians start at random gray values of the coins, all three as wide as the whole histogram.
# The histogram has a dark hill and a long bright slope. Which will be the narrowest in the end? Will any two share a
# hill?
#
# The player shows the responsibilities, too: a picture for each component, white where it answers for a pixel alone,
# gray where it shares the pixel with others. Will the grays go?

# %%
small_coins = datasets.photo("coins", max_side=168)
step_through(GaussianMixture(n_components=3, color_space="gray", start="random", tol=2e-5), small_coins, max_states=24)

# %% [markdown]
# <details><summary>What happens?</summary>
#
# The one that began nearest to the dark hill takes it, and narrows. The other two began side by side; they part slowly,
# until one has the lit backdrop and the other the coins. Their responsibilities tell the same story: twice nearly the
# same gray picture at first, then one is dark where the other is bright. Some gray stays, where the Gaussians overlap.
#
# Watch the likelihood: long, flat stretches are no proof that EM has arrived. A looser `tol` would have stopped on the
# way.
# </details>
#
# **In color** the components are ellipsoids; the player shows their shadows on lightness and the green–red axis.
# **Predict**: which way will the ellipses stretch, along the lightness axis or across it?

# %%
small_coffee = datasets.photo("coffee", max_side=168)
step_through(GaussianMixture(n_components=4, start="random", tol=2e-3), small_coffee, max_states=20)

# %% [markdown]
# <details><summary>Which way?</summary>
#
# Aslant. The red saucer runs from dark to bright, and gets redder as it does: one long, narrow ellipse. So does the
# cream of cup and coffee, the other way. k-means would cut each streak in pieces, by lightness.
# </details>

# %% [markdown]
# ## The parameters
#
# **How many components?**

# %%
plot.sweep(GaussianMixture(), coffee, "n_components", [2, 4, 6, 9], size=2.4)

# %% [markdown]
# More components always explain more. BIC charges a price for each free parameter, $-2NL + p\log N$; AIC's is lower,
# $-2NL+2p$. The lowest wins. First a picture that *is* two Gaussians, then the photograph.

# %%
known = (datasets.two_tone(height=96, width=96, seed=0).image * 255).round() / 255
in_gray = GaussianMixture(color_space="gray")
found = {
    "two Gaussians": select_components(known, range(1, 7), in_gray),
    "coffee": select_components(small_coffee, (1, 2, 3, 4, 6, 8, 10, 12)),
}
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
for ax, (name, curve) in zip(axes, found.items(), strict=True):
    plot.draw(curve.panel(), ax)
    ax.set_title(f"{name}: lowest BIC at {curve.best}")

# %% [markdown]
# On the picture for which the story is true BIC finds the truth. On the photograph it wants as many components as we
# allow. Its pixels are not independent draws, and no finite number of Gaussians is their truth; and with so many pixels
# any small gain pays. BIC answers "which density?", not "how many objects?". Look for the bend, or say what you want.
#
# **Which shape?** `full`: any ellipsoid. `tied`: one ellipsoid for all. `diag`: along the axes. `spherical`: balls.

# %%
types = ["full", "tied", "diag", "spherical"]
by_type = plot.sweep(GaussianMixture(n_components=4), coffee, "covariance_type", types, size=2.4).results

# %%
figure, axes = plt.subplots(1, 4, figsize=(10, 2.9), layout="constrained")
for ax, r in zip(axes, by_type, strict=True):
    plot.draw(r.state.panels(coffee)[0], ax)
    ax.set(title=r.method.covariance_type, xlabel="L (lightness)", ylabel="a (green to red)")
    print(
        f"{r.method.covariance_type:10} {r.state.n_parameters:3} parameters   L = {r.state.log_likelihood:.3f}   "
        f"BIC = {r.state.bic:,.0f}"
    )

# %% [markdown]
# Fewer numbers to fit, less likelihood: each restricted family is part of `full`. With thousands of pixels `full` is
# affordable; with few, or with many features, it is not.
#
# **k-means is the limit of ever smaller balls.** Hold all covariances at $\sigma^2 I$ and all weights equal; update the
# means alone. As $\sigma\to0$ the posterior turns hard, and the means are those of k-means:

# %%
kmeans = KMeans(n_clusters=4, tol=0.0)
begin, end = next(kmeans.steps(coffee)).centers.double(), kmeans.segment(coffee)
colors = torch.from_numpy(lab)
for sigma in (20.0, 10.0, 5.0, 2.0, 0.5, 0.1):
    means = begin
    for _ in range(40):
        resp = torch.softmax(-(torch.cdist(colors, means) ** 2) / (2 * sigma**2), 1)
        means = resp.T @ colors / resp.sum(0)[:, None]
    same = (resp.argmax(1) == end.labels.flatten()).double().mean()
    unsure = (resp.amax(1) < 0.99).double().mean()
    print(
        f"σ = {sigma:5}: {unsure:6.1%} of pixels unsure, {same:7.2%} labeled as k-means does, "
        f"centers off by {(means - end.state.centers).norm(dim=1).max():.3f}"
    )

# %% [markdown]
# **How narrow may a component get?** `reg_covar` adds to each variance (in CIELAB, $10^{-6}$ adds 0.01). Large values
# make all components wide, and wash out the small ones.

# %%
plot.sweep(GaussianMixture(n_components=4), coffee, "reg_covar", [1e-6, 1e-3, 1e-2, 1e-1], size=2.4)

# %% [markdown]
# All of it under sliders. Try: `spherical` against `full`; `start` random with several seeds; `spatial_weight`.

# %%
explore(GaussianMixture(n_components=4), {"coffee": small_coffee, "coins": small_coins})

# %% [markdown]
# ## How sure? Soft output
#
# Each component's responsibilities, larger than in the player: white where it answers for the pixel alone.

# %%
state = GaussianMixture(n_components=4).segment(coffee).state
plot.show(*state.resp, cols=4, size=2.4, titles=[f"P(y = {k} | x)" for k in range(4)])

# %% [markdown]
# The entropy $-\sum_k r_{jk}\log_2 r_{jk}$ makes one picture of it: 0 bits where one component is certain, 2 bits where
# all four are equally likely.

# %%
unsure = torch.special.entr(state.resp).sum(0) / np.log(2)
plot.show(
    coffee,
    state.labels,
    unsure / 2,
    titles=["coffee", "the most probable component", "entropy (white: 2 bits)"],
    cols=3,
    size=3,
)
falling = unsure.flatten().sort(descending=True).values.cumsum(0)
print(f"half of all doubt lies in {(falling < unsure.sum() / 2).double().mean():.0%} of the pixels")

# %% [markdown]
# Certain does not mean right. The posterior is sure *if the story is true*; far from all components it is sure, too.

# %% [markdown]
# ## Smoothing the posterior
#
# Each pixel was labeled alone. But neighbors mostly belong together. Put a price $\beta$ on each pair of neighbors that
# differ:
#
# $$E(y) = \sum_j -\log r_{j,y_j} \;+\; \beta\sum_{\text{neighbors } i,j} [y_i\ne y_j] .$$
#
# **By hand.** A pixel has $P(y=0\mid x)=0.9$; its four neighbors have label 1. Staying costs $-\log 0.9 + 4\beta$,
# turning costs $-\log 0.1$. It turns if $4\beta > \log 9$.

# %%
outliers = datasets.tiny("outliers")
p_one = torch.where(outliers.image[0] > 0.5, 0.9, 0.1)
log_resp = torch.stack([1 - p_one, p_one]).log()
print(f"log 9 / 4 = {np.log(9) / 4:.3f}")
results = [SmoothedMixture(log_resp=log_resp, beta=beta).segment(outliers.image) for beta in (0.5, 0.6)]
captions = ["", *(f"energy {float(r.state.energy):.1f}" for r in results)]
titles = ["P(y = 1 | x)", "β = 0.5", "β = 0.6"]
plot.show(p_one, *(r.labels for r in results), captions=captions, titles=titles)

# %% [markdown]
# **ICM** (iterated conditional modes) does this sweep after sweep: give each pixel the label that is best for its
# neighbors' present labels. **Mean field** is its soft sister: keep a distribution $Q_i$ for each pixel, and let
# neighbors vote with their probabilities, $Q_i(k)\propto r_{ik}\exp\big(\beta\sum_j Q_j(k)\big)$.
#
# Not all pixels at once! Here is a checkerboard whose pixels have no preference of their own. Each wants to be like its
# neighbors, so all turn together:

# %%
board = torch.arange(6)[:, None].add(torch.arange(6)) % 2
undecided = torch.full((2, 6, 6), 0.5).log()
shown = [board]
for _ in range(2):
    q = torch.nn.functional.one_hot(shown[-1], 2).movedim(-1, 0).float()
    shown.append((undecided + 2.0 * votes(q)).argmax(0))  # all at once
q = torch.nn.functional.one_hot(board, 2).movedim(-1, 0).float()
shown.append(sweep(undecided, q, 2.0, hard=True).argmax(0))
captions = [f"energy {float(energy(undecided, labels, 2.0)):.1f}" for labels in shown]
plot.show(
    *shown, cols=4, size=2.2, captions=captions, titles=["start", "all at once", "once more", "in turn, one sweep"]
)

# %% [markdown]
# Visited in turn, so that no two neighbors change at the same time, the energy cannot rise. `SmoothedMixture` visits a
# quarter of the pixels at a time.
#
# **Predict first.** Gray noise, two regions. How many sweeps will ICM need? Where will the last changes be?

# %%
noisy = datasets.two_tone(height=90, width=120, noise=0.16, seed=1)
two = GaussianMixture(n_components=2, color_space="gray").segment(noisy.image).state
step_through(SmoothedMixture(n_components=2, log_resp=two.log_resp, beta=1.5), noisy.image)

# %% [markdown]
# <details><summary>How many?</summary>
#
# A handful. The first sweep removes lone specks. The last changes are at clumps of wrong pixels, which keep one another
# company: turning any *one* of them raises the energy. ICM stops in this near minimum.
# </details>
#
# Mean field keeps its doubts for longer, and turns such clumps over. What it lowers is a *free energy*, $E$ averaged over
# $Q$ less the entropy of $Q$: a bound again, as in EM. Both go down, and end in different places:

# %%
figure, axes = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
for ax, smoothing in zip(axes[1:], ("icm", "mean_field"), strict=True):
    trace = SmoothedMixture(n_components=2, log_resp=two.log_resp, beta=1.5, smoothing=smoothing).trace(noisy.image)
    energies = [float(s.energy) for s in trace.states]
    axes[0].plot(energies[:25], marker=".", label=smoothing)
    ax.imshow(trace[-1].labels.numpy(), cmap="gray")
    right = (trace[-1].labels == noisy.instances).double().mean().item()
    ax.set(title=f"{smoothing}: E = {energies[-1]:.0f}, {max(right, 1 - right):.1%} right", xticks=[], yticks=[])
    objectives = np.array([float(o) for o in trace.objectives])
    assert (np.diff(objectives) <= 1e-4 * abs(objectives[0])).all()  # each never raises what it minimizes
axes[0].set(title="energy of the labels", xlabel="sweep")
axes[0].legend();

# %% [markdown]
# **How dear should a border be?** At $\beta=0$ nothing happens. Too high, and small things go.

# %%
smoother = SmoothedMixture(log_resp=state.log_resp, smoothing="mean_field")
plot.sweep(smoother, coffee, "beta", [0.0, 1.0, 3.0, 5.0], size=2.4, alpha=0.9)

# %%
betas = np.linspace(0, 5, 11)
curves = {}
for smoothing in ("icm", "mean_field"):
    base = SmoothedMixture(n_components=2, log_resp=two.log_resp, smoothing=smoothing)
    labels = [replace(base, beta=float(beta)).segment(noisy.image).labels for beta in betas]
    curves[smoothing] = [segmentation_covering(noisy.instances, each) for each in labels]
plot.curves(betas, curves, x_label="β (nats)", y_label="covering", title="Noisy picture, known truth");

# %% [markdown]
# ## A real photograph
#
# We outlined objects in three photographs by hand: cup, saucer, spoon; 24 coins; a flower. Scores: covering (SC) and
# Rand index (PRI), higher is better; variation of information (VI, in bits), lower is better.
#
# **Predict first.** Is the better *density* (the mixture) always the better *segmentation*?

# %%
n_components = {"coffee": 6, "coins": 2, "flower": 2}
print(f"{'':8} {'method':22} {'SC':>6} {'PRI':>6} {'VI':>6}")
for name, k in n_components.items():
    image = datasets.photo(name, max_side=256)
    truth = datasets.photo_truth(name, max_side=256).labels
    truth = (truth > 0).long() if name == "coins" else truth  # coins against backdrop
    space = "gray" if len(image) == 1 else "lab"
    mixture = GaussianMixture(n_components=k, color_space=space).segment(image)
    rows = {f"k-means, {k}": KMeans(n_clusters=k, color_space=space).segment(image), f"mixture, {k}": mixture}
    for smoothing in ("icm", "mean_field"):
        smooth = SmoothedMixture(log_resp=mixture.state.log_resp, beta=2.0, smoothing=smoothing)
        rows[f"mixture, {smoothing}"] = smooth.segment(image)
    for title, r in rows.items():
        scores = [
            m(truth, r.labels) for m in (segmentation_covering, probabilistic_rand_index, variation_of_information)
        ]
        print(f"{name:8} {title:22} " + " ".join(f"{score:6.3f}" for score in scores))

# %% [markdown]
# No, it is not. Smoothing helps where specks were the trouble, as on the coffee; it cannot help where the colors mislead.
# On the flower k-means is better: look at what the mixture adds.

# %%
flower = datasets.photo("flower", max_side=256)
pair = [KMeans(n_clusters=2).segment(flower), GaussianMixture(n_components=2).segment(flower)]
doubt = torch.special.entr(pair[1].state.resp).sum(0) / np.log(2)
titles = ["flower", "k-means, 2", "mixture, 2", "the mixture's doubt"]
plot.show(flower, *(r.labels for r in pair), doubt, cols=4, size=2.4, titles=titles)
spread = pair[1].state.covariances.diagonal(dim1=1, dim2=2).sum(1).sqrt()
print("widths of the two Gaussians:", spread.numpy().round(1))

# %% [markdown]
# The flower's Gaussian is wide. Far from both centers the wide one wins in *every* direction: so it gets leaves that are
# nothing like a flower, only too unlike the narrow background. A mixture has no word for "neither".
#
# And the coffee's lead depends on $K$, which we chose. Several of them:

# %%
truth = datasets.photo_truth("coffee", max_side=168).labels
sizes, scores = range(2, 10), {"k-means": [], "mixture": []}
for k in sizes:
    for name, method in {"k-means": KMeans(n_clusters=k), "mixture": GaussianMixture(n_components=k)}.items():
        scores[name].append(segmentation_covering(truth, method.segment(small_coffee).labels))
plot.curves(sizes, scores, title="coffee", x_label="K", y_label="covering");

# %% [markdown]
# The curves jump: for each $K$, EM and k-means end on whichever hill they began (failure 2, below). Trust a lead that
# holds for many $K$, and on many pictures: chapter 20.

# %% [markdown]
# Side by side, to zoom into:

# %%
contestants = [KMeans(n_clusters=6), GaussianMixture(n_components=6), SmoothedMixture(n_components=6, beta=2.0)]
compare(contestants, {"coffee": small_coffee}, {"coffee": truth})

# %% [markdown]
# **Agreement with a library.** From the same start, scikit-learn's mixture takes the same way:

# %%
method = GaussianMixture(n_components=6)
first = next(method.steps(coffee))
library = SklearnMixture(
    6,
    weights_init=first.weights.numpy(),
    means_init=first.means.numpy(),
    precisions_init=torch.linalg.inv(first.covariances).numpy(),
    reg_covar=epsilon,
    tol=0.001,
)
labels = library.fit_predict(lab)
last = replace(method, tol=0.0, max_iter=library.n_iter_).segment(coffee).state  # as many steps
print(f"log-likelihood: seglab {float(last.log_likelihood):.6f}, scikit-learn {library.score(lab):.6f}")
print(f"labels that agree: {(labels == last.labels.flatten().numpy()).mean():.3%}")
assert np.allclose(library.means_, last.means.numpy(), atol=1e-3)

# %% [markdown]
# ## Where it breaks
#
# **1 · A component collapses.** Saturated pixels all have the very same value. A Gaussian that sits on them gains
# likelihood without end by getting narrower. The best density would be an infinitely thin one.

# %%
burnt = torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(0)) * 0.6
burnt[0, 20:44, 20:44] = 1.0
values, on_patch = burnt.flatten().double().numpy()[:, None], 24 * 24 / 64**2
widths = np.logspace(-6, -1, 30)
rise = [
    e_step(values, (np.array([1 - on_patch, on_patch]), np.array([[0.3], [1.0]]), np.array([[[0.03]], [[w**2]]])))[0]
    for w in widths
]
ax = plot.curves(widths, {"likelihood": rise}, x_label="width of the component on the patch", y_label="per pixel")
ax.set_xscale("log")
for reg in (0.0, 1e-6, 1e-3):
    r = GaussianMixture(n_components=2, color_space="gray", reg_covar=reg).segment(burnt)
    print(f"reg_covar = {reg:g}: {r.state.status.name.lower()}")

# %% [markdown]
# A small $\varepsilon$ on each variance is the remedy (`reg_covar`). Without it `seglab` stops and says *degenerate*.
#
# **2 · Local optima.** EM climbs the hill on which it begins. Twelve random starts:

# %%
runs = [
    GaussianMixture(n_components=4, start="random", seed=seed, tol=1e-4).segment(small_coffee) for seed in range(12)
]
runs.sort(key=lambda r: float(r.state.log_likelihood))
print("L:", [round(float(r.state.log_likelihood), 3) for r in runs])
best, middle, worst = runs[-1], runs[6], runs[0]
titles = [
    f"{word}: L = {float(r.state.log_likelihood):.2f}"
    for word, r in (("worst", worst), ("middle", middle), ("best", best))
]
plot.show(worst, middle, best, size=2.6, titles=titles)

# %% [markdown]
# The k-means start (the default) is usually near a good hill; several random starts and the highest likelihood are
# safer. That is still no promise that the best likelihood looks best.
#
# **3 · Not Gaussian.** One ball, lit from the left. Its gray values spread evenly from dark to bright. No Gaussian is
# flat, so each further component takes a slice of the ball.

# %%
rows, cols = torch.meshgrid(torch.linspace(-1.3, 1.3, 120), torch.linspace(-1.3, 1.3, 120), indexing="ij")
depth = (1 - rows**2 - cols**2).clamp(min=0).sqrt()
light = (0.2 + 0.8 * (depth * 0.6 - cols * 0.7 - rows * 0.3).clamp(min=0)).clamp(0, 1)
ball = torch.where(rows**2 + cols**2 < 1, light, 0.05)[None]
ball = (ball + 0.01 * torch.randn(ball.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
sliced = [GaussianMixture(n_components=k, color_space="gray").segment(ball) for k in (2, 3, 5)]
plot.show(ball, *(r.labels for r in sliced), cols=4, size=2.4, titles=["one ball", "K = 2", "K = 3", "K = 5"])

# %% [markdown]
# **4 · It has never seen the picture.** Shuffle the pixels, segment, put them back. What changes?

# %%
order = torch.randperm(small_coffee[0].numel(), generator=torch.Generator().manual_seed(0))
shuffled = small_coffee.flatten(1)[:, order].reshape(small_coffee.shape)
straight = GaussianMixture(n_components=6).segment(small_coffee).labels
again = GaussianMixture(n_components=6).segment(shuffled)
back = torch.empty_like(again.labels.flatten())
back[order] = again.labels.flatten()
put_back = back.reshape(straight.shape)
plot.show(shuffled, put_back, straight, size=2.8, titles=["shuffled", "segmented, put back", "never shuffled"])
print(f"as without shuffling: {(put_back == straight).double().mean():.2%} of the pixels")

# %% [markdown]
# Nothing. A mixture sees a bag of colors; noise and a striped shirt are the same to it. Smoothing looks at neighbors,
# `spatial_weight` at places; both know nothing of texture.
#
# **5 · Smoothing eats what is thin.** Lines 1, 2, 3 and 5 pixels wide, in noise. The pixel at the tip of a thin
# line has three neighbors off the line and one on it: once the tip turns, the next pixel is the tip.

# %%
lines = torch.full((90, 120), 0.35)
widths, left = (1, 2, 3, 5), (15, 40, 65, 90)
for width, col in zip(widths, left, strict=True):
    lines[10:80, col : col + width] = 0.65
drawn = (lines + 0.11 * torch.randn(lines.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)[None]

# %%
told = {"means": torch.tensor([[0.35], [0.65]]), "covariances": torch.full((2, 1, 1), 0.11**2)}  # no fitting here
told |= {"weights": torch.tensor([0.9, 0.1]), "max_iter": 0}
posterior = GaussianMixture(n_components=2, color_space="gray", **told).segment(drawn).state
smoother = SmoothedMixture(log_resp=posterior.log_resp, smoothing="mean_field")
smoothed = [replace(smoother, beta=beta).segment(drawn) for beta in (0.0, 0.7, 3.0)]
titles = ["lines in noise", *(f"β = {r.method.beta}" for r in smoothed)]
plot.show(drawn, *(r.labels for r in smoothed), cols=4, size=2.4, titles=titles)
for r in smoothed:
    kept = [(r.labels[10:80, c : c + w] == 1).double().mean().item() for w, c in zip(widths, left, strict=True)]
    print(f"β = {r.method.beta}: kept of the lines 1, 2, 3, 5 wide:", " ".join(f"{share:.0%}" for share in kept))

# %% [markdown]
# The cost of a border is its length, so whatever has much border for its area goes first. Chapter 09 meets the same
# price again for curves.

# %% [markdown]
# ## Summary
#
# - A mixture tells how pixels come about: draw a component, then a color. The posterior (normalized!) says who made a
#   pixel.
# - EM takes turns. E makes the lower bound touch the likelihood, M lifts it; so the likelihood never falls.
# - Shapes differ: `full`, `tied`, `diag`, `spherical`; k-means is the limit of small equal balls.
# - A price on unlike neighbors smooths the posterior, by ICM or mean field, one pixel after another.
# - It breaks by collapse, by bad starts, by clusters that are no Gaussians, and because it sees only a bag of colors.

# %% [markdown]
# ## Exercises
#
# **04.1 One step by hand.** Three pixels have the gray values 0, 0.5 and 1. Two components have equal weights; at these
# pixels the first has the densities 4, 2, 1, the second 1, 2, 4. Do one E- and M-step on paper. Return the first
# component's responsibility for the pixel 0, and its new weight, mean and variance.


# %% tags=["exercise"]
def one_step_by_hand():
    """(responsibility for the pixel 0, weight, mean, variance) of the first component."""
    ### BEGIN SOLUTION
    # r = 4/5, 2/4, 1/5 with sum 3/2; mean (0.5 · 0.5 + 0.2 · 1) / 1.5; variance about that new mean
    mean = (0.5 * 0.5 + 0.2 * 1) / 1.5
    return 0.8, 0.5, mean, (0.5 * 0.5**2 + 0.2 * 1) / 1.5 - mean**2
    ### END SOLUTION


# %% tags=["wrong"]
def one_step_by_hand():
    return 2.0, 3.5 / 3, (1 * 0.5 + 0.5 * 1) / 3.5, 0.1


# %% tags=["wrong"]
def one_step_by_hand():
    return 0.8, 0.5, 0.3, (0.5 * 0.5**2 + 0.2 * 1) / 1.5


# %% tags=["check"]
with check("04.1 one step by hand"):
    responsibility, weight, mean_by_hand, variance = one_step_by_hand()
    assert np.isclose(responsibility, 0.8), "divide the joint by its sum over both components: ½·4 / (½·4 + ½·1)"
    assert np.isclose(weight, 0.5), "the mean of the three responsibilities"
    assert np.isclose(mean_by_hand, 0.3), "weigh each gray value with its responsibility, divide by their sum"
    assert np.isclose(variance, 0.19 / 1.5), "squares about the *new* mean, 0.3"

# %% [markdown]
# **04.2 No underflow.** Write log-sum-exp over the last axis yourself, without SciPy. It must survive very small and
# very large numbers, in each row.


# %% tags=["exercise"]
def log_sum_exp(a):
    """log Σ_k exp(a[..., k]) of an array, without overflow or underflow."""
    ### BEGIN SOLUTION
    top = a.max(axis=-1, keepdims=True)
    return top[..., 0] + np.log(np.exp(a - top).sum(axis=-1))
    ### END SOLUTION


# %% tags=["wrong"]
def log_sum_exp(a):
    with np.errstate(all="ignore"):
        return np.log(np.exp(a).sum(axis=-1))


# %% tags=["wrong"]
def log_sum_exp(a):
    with np.errstate(all="ignore"):
        return a.max() + np.log(np.exp(a - a.max()).sum(axis=-1))


# %% tags=["check"]
with check("04.2 no underflow"):
    rows_of_logs = np.array([[0.0, np.log(3)], [-1000.0, -1000.0], [1000.0, 999.0]])
    answer = log_sum_exp(rows_of_logs)
    assert answer.shape == (3,), f"one number for each row, please; your shape is {answer.shape}"
    assert np.isclose(answer[0], np.log(4)), "log(1 + 3)"
    assert np.isclose(answer[1], -1000 + np.log(2)), "the second row: exp(-1000) is 0 for a computer"
    assert np.isclose(answer[2], 1000 + np.log(1 + np.exp(-1))), (
        "the third row: exp(1000) is infinite; use each row's own maximum"
    )

# %% [markdown]
# **04.3 One shape for all.** Write the M-step's covariance for the type `tied`: a single $\Sigma$, shared by all
# components. (Derive it: which $\Sigma$ maximizes the bound when it is in every term?)


# %% tags=["exercise"]
def tied_covariance(x, resp):
    """Σ (D, D) for colors x (N, D) and responsibilities resp (N, K)."""
    ### BEGIN SOLUTION
    weights, _, covariances = m_step(x, resp)
    return np.tensordot(weights, covariances, 1)  # Σ_k N_k Σ_k / N
    ### END SOLUTION


# %% tags=["wrong"]
def tied_covariance(x, resp):
    return m_step(x, resp)[2].mean(0)


# %% tags=["wrong"]
def tied_covariance(x, resp):
    return np.cov(x.T, bias=True)


# %% tags=["check"]
with check("04.3 one shape for all"):
    draws = np.random.default_rng(0).standard_normal((200, 3))
    few = np.where(np.arange(200)[:, None] < 180, draws, 3 * draws + 8)  # many in a narrow heap, few in a wide one
    resp_few = np.where(np.arange(200)[:, None] < 180, [0.95, 0.05], [0.05, 0.95])
    shared = tied_covariance(few, resp_few)
    assert shared.shape == (3, 3), f"one matrix (D, D); yours has the shape {shared.shape}"
    weights_few, means_few, _ = m_step(few, resp_few)
    value = bound(few, resp_few, (weights_few, means_few, np.stack([shared] * 2)))
    for scale in (0.95, 1.05):
        other = bound(few, resp_few, (weights_few, means_few, np.stack([shared * scale] * 2)))
        assert value > other, (
            f"{scale} times your Σ gives a higher bound: weigh each Σ_k, about its own μ_k, by N_k / N"
        )

# %% [markdown]
# **04.4 The gap is a divergence.** For any responsibilities, $L - F$ is the mean over pixels of
# $\mathrm{KL}(r_j\,\|\,p_j)=\sum_k r_{jk}\log\frac{r_{jk}}{p_{jk}}$, where $p_j$ is the posterior. Write it. The check
# compares it with the likelihood less the bound. (Terms with $r_{jk}=0$ count 0.)


# %% tags=["exercise"]
def mean_divergence(resp, posterior):
    """The mean over pixels of KL(resp_j ‖ posterior_j); both (N, K), rows with sum 1."""
    ### BEGIN SOLUTION
    return (xlogy(resp, resp) - xlogy(resp, posterior)).sum(1).mean()
    ### END SOLUTION


# %% tags=["wrong"]
def mean_divergence(resp, posterior):
    return (xlogy(posterior, posterior) - xlogy(posterior, resp)).sum(1).mean()


# %% tags=["wrong"]
def mean_divergence(resp, posterior):
    return (resp * np.log(resp / posterior)).mean()


# %% tags=["check"]
with check("04.4 the gap is a divergence"):
    theta_start = np.array(start[0]), np.array(start[1])[:, None], np.array(start[2])[:, None, None]
    log_likelihood, posterior_tiny = e_step(column, theta_start)
    assert np.isclose(mean_divergence(posterior_tiny, posterior_tiny), 0), (
        "of the posterior from itself: 0, the bound touches"
    )
    for share in (0.5, 0.8):
        guess = np.tile([share, 1 - share], (len(x), 1))
        gap = log_likelihood - bound(column, guess, theta_start)
        yours = mean_divergence(guess, posterior_tiny)
        assert np.isclose(yours, gap), (
            f"the gap is {gap:.4f} where yours is {yours:.4f}: sum over k, mean over pixels, weigh by resp"
        )
    certain = np.array([[1.0, 0.0]])
    assert np.isclose(mean_divergence(certain, np.array([[0.25, 0.75]])), np.log(4)), "r log r is 0 where r is 0"

# %% [markdown]
# **04.5 When does a pixel turn?** Two labels. A pixel prefers its own label with probability $p \ge \frac12$. Of its
# neighbors `same` have that label and `other` have the other. Above which $\beta$ does ICM turn it? (Think of a lone
# speck, a corner, a straight border; `np.inf` where it never turns.)


# %% tags=["exercise"]
def turning_beta(p, same, other):
    """The β above which the pixel changes its label."""
    ### BEGIN SOLUTION
    # stay: -log p + β other;  turn: -log(1 - p) + β same
    return np.log(p / (1 - p)) / (other - same) if other > same else np.inf
    ### END SOLUTION


# %% tags=["wrong"]
def turning_beta(p, same, other):
    return np.log(p / (1 - p)) / other if other else np.inf


# %% tags=["wrong"]
def turning_beta(p, same, other):
    return -np.log(1 - p) / (other - same) if other > same else np.inf


# %% tags=["check"]
with check("04.5 when does a pixel turn"):
    assert np.isclose(turning_beta(0.9, 0, 4), np.log(9) / 4), "a lone speck: the example in the text"
    assert np.isclose(turning_beta(0.9, 1, 3), np.log(9) / 2), "the tip of a line: turning costs β for the one like it"
    assert turning_beta(0.9, 2, 2) == np.inf, "the corner of a square: two against two, no β turns it"
    for beta_near, turned in ((turning_beta(0.8, 0, 4) - 0.01, 0), (turning_beta(0.8, 0, 4) + 0.01, 1)):
        speck = torch.full((2, 3, 3), 0.01).index_put((torch.tensor([1]),), torch.tensor(0.99))
        speck[:, 1, 1] = torch.tensor([0.8, 0.2])
        label = SmoothedMixture(log_resp=speck.log(), beta=float(beta_near)).segment(torch.zeros(1, 3, 3)).labels[1, 1]
        assert label == turned, f"at β = {beta_near:.3f} ICM gives label {int(label)}"

# %% [markdown]
# **04.6 Tell the story forward.** A mixture is a recipe for colors. Follow it: draw `n` colors, each from a component
# drawn by its weight. (`rng.choice`, `rng.multivariate_normal`.) Drawn as a picture, what will they look like? See
# failure 4.


# %% tags=["exercise"]
def draw_colors(weights, means, covariances, n, rng):
    """Colors (n, D) from a mixture."""
    ### BEGIN SOLUTION
    chosen = rng.choice(len(weights), size=n, p=weights)
    return np.stack([rng.multivariate_normal(means[k], covariances[k]) for k in chosen])
    ### END SOLUTION


# %% tags=["wrong"]
def draw_colors(weights, means, covariances, n, rng):
    return rng.multivariate_normal(weights @ means, np.tensordot(weights, covariances, 1), n)


# %% tags=["wrong"]
def draw_colors(weights, means, covariances, n, rng):
    chosen = rng.integers(len(weights), size=n)
    return np.stack([rng.multivariate_normal(means[k], covariances[k]) for k in chosen])


# %% tags=["check"] points=2
with check("04.6 tell the story forward"):
    recipe = np.array([0.8, 0.2]), np.array([[0.0, 0.0], [10.0, 0.0]]), np.array([np.eye(2), [[4.0, 1.9], [1.9, 1.0]]])
    colors_drawn = draw_colors(*recipe, 4000, np.random.default_rng(0))
    assert colors_drawn.shape == (4000, 2), f"(n, D), please; yours is {colors_drawn.shape}"
    second = colors_drawn[:, 0] > 5
    assert abs(second.mean() - 0.2) < 0.03, f"{second.mean():.0%} are of the second component, whose weight is 20%"
    spread = np.cov(colors_drawn[second].T)
    assert np.allclose(spread, recipe[2][1], atol=0.6), "the second component's spread is not its covariance"
    assert abs(colors_drawn[~second].std() - 1) < 0.1, "the first component has standard deviation 1"

# %% [markdown]
# ## References
#
# - A. P. Dempster, N. M. Laird, D. B. Rubin (1977). *Maximum likelihood from incomplete data via the EM algorithm.*
#   Journal of the Royal Statistical Society B 39(1).
#   [doi:10.1111/j.2517-6161.1977.tb01600.x](https://doi.org/10.1111/j.2517-6161.1977.tb01600.x)
# - R. M. Neal, G. E. Hinton (1998). *A view of the EM algorithm that justifies incremental, sparse, and other
#   variants.* In Learning in Graphical Models, for the bound.
#   [doi:10.1007/978-94-011-5014-9_12](https://doi.org/10.1007/978-94-011-5014-9_12)
# - J. Besag (1986). *On the statistical analysis of dirty pictures.* Journal of the Royal Statistical Society B 48(3),
#   for ICM. [doi:10.1111/j.2517-6161.1986.tb01412.x](https://doi.org/10.1111/j.2517-6161.1986.tb01412.x)
# - G. Schwarz (1978). *Estimating the dimension of a model.* The Annals of Statistics 6(2), for BIC.
#   [doi:10.1214/aos/1176344136](https://doi.org/10.1214/aos/1176344136)
# - C. M. Bishop (2006). *Pattern recognition and machine learning*, chapter 9, and section 10.1 for mean field.
#   Springer.
