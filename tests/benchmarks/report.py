"""The command line of the benchmarks, and the tables that it prints."""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import platform
import sys
from pathlib import Path
from typing import Any

from . import harness
from .harness import Row, measure, rows

__all__ = ["main", "table"]

_PACKAGES = ("torch", "numpy", "scipy", "scikit-image", "scikit-learn", "opencv-python-headless", "numba")


def main(argv: list[str] | None = None) -> int:
    """Run the rows that are asked for and print the tables; the exit status is 1 where a row failed."""
    args = _parser().parse_args(argv)
    if args.child:
        height, width = map(int, args.size.split("x"))
        print(json.dumps(harness.child(args.names[0], (height, width), args.child, args.seconds, args.clock)))
        return 0
    chosen = {
        title: row
        for title, row in rows().items()
        if not args.names or any(name.lower() in title.lower() for name in args.names)
    }
    if args.list:
        print("\n".join(chosen))
        return 0
    if not chosen:
        print(f"no row's name contains any of {args.names}; --list shows them all", file=sys.stderr)
        return 2
    about = machine(args.threads) | {"clock": args.clock}
    print("\n".join(f"- {key}: {value}" for key, value in about.items()) + "\n", flush=True)
    results = [
        run_row(row, size, args.seconds, args.threads, args.clock)
        for row in chosen.values()
        for size in (row.sizes[:1] if args.quick else row.sizes)
    ]
    print(table(results))
    if not args.quick:
        print("\n" + growth_table(results))
    if args.json:
        Path(args.json).write_text(json.dumps({"machine": about, "results": results}, indent=1) + "\n")
    failed = [r for r in results if "error" in r]
    short = [r for r in results if args.check and r.get("asked") and (r.get("ratio") or 0) < r["asked"]]
    for r in short:
        print(f"{r['task']}: {r['ratio'] or 0:.2f}× where {r['asked']:g}× is asked for", file=sys.stderr)
    return 1 if failed or short else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks", description="Time and memory beside the alternatives.")
    parser.add_argument("names", nargs="*", help="rows whose name contains one of these words; all by default")
    parser.add_argument("--quick", action="store_true", help="the smallest size only")
    parser.add_argument("--list", action="store_true", help="list the rows and stop")
    parser.add_argument("--json", metavar="FILE", help="write every single measurement there too")
    parser.add_argument("--check", action="store_true", help="exit status 1 where a ratio asked for is not reached")
    parser.add_argument("--seconds", type=float, default=8.0, help="time for the calls of one row at one size")
    parser.add_argument("--threads", type=int, help="threads for both sides; as the libraries choose by default")
    parser.add_argument(
        "--clock", choices=tuple(harness.CLOCKS), default="wall", help="cpu: where much else is running"
    )
    parser.add_argument("--child", choices=("time", "ours", "theirs"), help=argparse.SUPPRESS)
    parser.add_argument("--size", help=argparse.SUPPRESS)
    return parser


def run_row(row: Row, size: tuple[int, int], seconds: float, n_threads: int | None, clock: str) -> dict[str, Any]:
    """One row at one size: time, then the memory of each side, each in a process of its own."""
    print(f"{row.title}, {size[1]}×{size[0]} ...", file=sys.stderr, flush=True)
    out: dict[str, Any] = {"task": row.title, "reference": row.reference, "size": list(size)}
    out["asked"] = row.least if size == row.sizes[0] else None
    out.update(measure(row.title, size, "time", seconds, n_threads, clock))
    for side in ("ours", "theirs"):
        memory = measure(row.title, size, side, n_threads=n_threads)
        out[f"{side} bytes"] = memory.get("bytes")
        if "error" in memory:
            out.setdefault("error", memory["error"])
    return out


def machine(n_threads: int | None = None) -> dict[str, Any]:
    """The date, the machine and the versions."""
    versions = []
    for name in _PACKAGES:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "date": datetime.date.today().isoformat(),
        "processor": _processor(),
        **harness.threads(n_threads),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": ", ".join(versions),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        fields = [line.split(":", 1) for line in info.read_text().splitlines() if ":" in line]
        about = {key.strip(): value.strip() for key, value in fields}
        if "model name" in about:
            return f"{about['model name']} (family {about.get('cpu family')}, model {about.get('model')})"
    return platform.processor() or "unknown"


def table(results: list[dict[str, Any]]) -> str:
    """The main table, as Markdown."""
    head = ("task", "megapixels", "ours", "instead", "theirs", "ratio", "asked", "our peak", "their peak", "results")
    body = []
    for r in results:
        cells = [r["task"], f"{r['size'][0] * r['size'][1] / 1e6:.3g}"]
        if "ours" not in r:
            cells += ["–", r["reference"], "–", "–", "–", "–", "–", f"failed: {r['error']}"]
        else:
            cells += [_seconds(r["ours"]), r["reference"], _seconds(r["theirs"])]
            cells += [f"{r['ratio']:.3g}×" if r["ratio"] else "–", f"≥ {r['asked']:g}×" if r["asked"] else ""]
            cells += [_bytes(r["ours bytes"]), _bytes(r["theirs bytes"]), r["agree"]]
            cells[-1] += f"; failed: {r['error']}" if "error" in r else ""
        body.append(cells)
    return _markdown(head, body)


def growth_table(results: list[dict[str, Any]]) -> str:
    """How much more time and memory the largest picture takes than the smallest."""
    head = ("task", "pixels", "our time", "their time", "our memory", "their memory")
    body = []
    for title in dict.fromkeys(r["task"] for r in results):
        mine = [r for r in results if r["task"] == title and "ours" in r]
        if len(mine) < 2:
            continue
        first, last = mine[0], mine[-1]
        pixels = (last["size"][0] * last["size"][1]) / (first["size"][0] * first["size"][1])
        cells = [title, f"×{pixels:.3g}"]
        for key in ("ours", "theirs"):
            both = first[key] and last[key]
            cells.append(f"×{min(last[key]) / min(first[key]):.3g}" if both else "–")
        for key in ("ours bytes", "theirs bytes"):
            cells.append(f"×{last[key] / first[key]:.3g}" if first[key] and last[key] else "–")
        body.append(cells)
    return "Growth from the smallest to the largest picture:\n\n" + _markdown(head, body)


def _seconds(times: list[float]) -> str:
    if not times:
        return "–"
    value = min(times)
    return f"{value:.3g} s" if value >= 1 else f"{1000 * value:.3g} ms"


def _bytes(value: int | None) -> str:
    if value is None:
        return "–"
    return f"{value / 2**20:.3g} MiB" if value < 2**30 else f"{value / 2**30:.3g} GiB"


def _markdown(head: tuple[str, ...], body: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in cells] for cells in body)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
