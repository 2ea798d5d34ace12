"""Speed and memory, side by side with what a user would pick instead.

Run it from the project's folder, with nothing else running on the machine:

    python tests/benchmarks/run.py                     # every row at every size
    python tests/benchmarks/run.py --list              # the rows' names
    python tests/benchmarks/run.py kmeans gmm          # rows whose name contains one of the words
    python tests/benchmarks/run.py --quick             # the smallest size only
    python tests/benchmarks/run.py --threads 1         # one thread for both sides
    python tests/benchmarks/run.py --json times.json   # all single times as well

It prints Markdown: the machine and the versions, a table (ours, theirs, ratio, peak memory of each, how the results
agree) and how time and memory grow with the picture. ``--check`` makes the exit status 1 where a ratio that a row
asks for (``least``) is not reached. pytest never times anything: it only runs every row on a tiny picture.

How it is measured
    *Time*: a fresh process for each row and size, in which both sides are warmed up on a tiny picture and then run in
    turn, ours, theirs, ours, theirs, until the time allowed is used up (what takes less than 20 ms is called several
    times in its turn). Shown are the best times and their ratio. Where other programs keep the machine busy, measure
    one thread by its own clock: ``--threads 1 --clock cpu``. *Memory*: a fresh process for
    each side; the peak of its resident memory during one call, less what was resident just before (so libraries,
    and the input, which is there before, are left out). *Agreement*: the row's own sentence about both results.

To add a row, put a class into a file ``tests/benchmarks/bench_TOPIC.py``; it is found by its file's name:

    from . import Row, benchmark

    @benchmark("k-means, 8 clusters", reference="scikit-learn KMeans(n_init=1, algorithm='lloyd')", least=2)
    class KMeans8(Row):
        def prepare(self, image):        # not timed: what both sides take; by default the picture itself
            return image
        def ours(self, data): ...
        def theirs(self, data): ...
        def agree(self, ours, theirs):   # one line; raise AssertionError where the results are not comparable
            return f"inertia {ours.inertia:.6g} and {theirs.inertia_:.6g}"

``image`` is a photograph as a tensor (3, H, W) float32 with 256 levels a channel, as from a file.
"""

from .harness import LARGE, MEDIUM, PHOTO, Row, benchmark, picture, rows

__all__ = ["LARGE", "MEDIUM", "PHOTO", "Row", "benchmark", "picture", "rows"]
