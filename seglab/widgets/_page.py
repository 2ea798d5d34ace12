"""A widget as a page of its own: its frames drawn beforehand, with no kernel and no network."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seglab.widgets._base import CSS, front

__all__ = ["data_url", "write_page"]

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>body {{ margin: 12px; }}
{css}</style></head>
<body><main id="widget"></main><script type="application/json" id="data">{data}</script>
<script type="module">
{module}
const {{ state, frames }} = JSON.parse(document.getElementById("data").textContent);
const heard = {{}};
const tell = (event, ...more) => (heard[event] || []).forEach((what) => what(...more));
const model = {{
  get: (key) => state[key],
  set: (key, value) => {{ if (state[key] !== value) {{ state[key] = value; tell("change:" + key); }} }},
  save_changes: () => {{}},
  on: (event, what) => (heard[event] = heard[event] || []).push(what),
  off: () => {{}},
  send: ({{ index, layers, panels }}) => queueMicrotask(() => {{
    const frame = frames[index];
    tell("msg:custom", {{ kind: "layers", index, names: layers }}, layers.map((name) => frame.layers[name]));
    const column = (k) => frame.panels.map((panel) => panel[k]);
    if (panels) tell("msg:custom", {{ kind: "panels", index, names: column(0) }}, column(1));
    tell("msg:custom", {{ kind: "done", index }}, []);
  }}),
}};
render({{ model, el: document.getElementById("widget") }});
</script></body></html>
"""


def write_page(path: str | Path, name: str, state: dict[str, Any], frames: Sequence[dict[str, Any]]) -> Path:
    """Write the page of the widget whose browser's side is ``name``.js.

    Parameters
    ----------
    path
        The file.
    name
        Of the widget's module.
    state
        Its traits; bytes as addresses (`data_url`).
    frames
        For each index ``{"layers": {name: address}, "panels": [[title, address], …]}``.
    """
    page = _PAGE.format(
        title=html.escape(state["title"]),
        css=CSS,
        module=front(name).replace("export default { render };", ""),
        data=json.dumps({"state": state, "frames": list(frames)}).replace("</", "<\\/"),
    )
    path = Path(path)
    path.write_text(page, encoding="utf-8")
    return path


def data_url(png: bytes | None) -> str | None:
    """A PNG as an address that holds it."""
    return None if png is None else "data:image/png;base64," + base64.b64encode(png).decode("ascii")
