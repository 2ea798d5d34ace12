function render({ model, el }) {
  const { on, stop } = listener(model);
  const columns = model.get("columns"), rows = model.get("rows");
  const node = root(el, "seglab-comparison", "comparison of methods");
  const look = lookControls(model);
  const error = alertLine(), note = h("div", { class: "seglab-note" });
  const views = rows.map(() => ({ s: 1, x: 0, y: 0 })); // one view for each picture: its cells move together
  const cells = [], urls = new Map();
  const limit = (v, low, high) => Math.min(Math.max(v, low), high);

  const place = (row) => {
    const view = views[row];
    view.s = limit(view.s, 1, 32);
    view.x = limit(view.x, 1 - view.s, 0);
    view.y = limit(view.y, 1 - view.s, 0);
    for (const cell of cells) if (cell.row === row) {
      cell.stage.node.style.transform = `translate(${100 * view.x}%, ${100 * view.y}%) scale(${view.s})`;
      cell.stage.node.classList.toggle("seglab-near", view.s >= 3);
      cell.frame.dataset.zoom = view.s.toFixed(3);
    }
  };
  const zoom = (row, factor, atX = 0.5, atY = 0.5) => { // (atX, atY) of the frame stays where it is
    const view = views[row], s = limit(view.s * factor, 1, 32), f = s / view.s;
    Object.assign(view, { s, x: atX - f * (atX - view.x), y: atY - f * (atY - view.y) });
    place(row);
  };
  const pan = (row, dx, dy) => { views[row].x += dx; views[row].y += dy; place(row); };
  const reset = (row) => { Object.assign(views[row], { s: 1, x: 0, y: 0 }); place(row); };

  const makeCell = (row, column) => {
    const label = `${columns[column]} on ${rows[row].name}`;
    const stage = new Stage(label);
    stage.size(rows[row].width, rows[row].height);
    const frame = h("div", { class: "seglab-cell", tabindex: 0, role: "group",
      "aria-label": `${label}: plus and minus zoom, arrows move, zero resets` }, stage.node);
    const caption = h("div", { class: "seglab-caption" });
    const box = () => frame.getBoundingClientRect();
    frame.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !frame.contains(document.activeElement)) return; // else the page scrolls
      event.preventDefault(); event.stopPropagation();
      const b = box();
      zoom(row, Math.exp(-event.deltaY / 300), (event.clientX - b.left) / b.width, (event.clientY - b.top) / b.height);
    }, { passive: false });
    let from = null;
    frame.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      frame.focus({ preventScroll: true }); frame.setPointerCapture(event.pointerId);
      from = [event.clientX, event.clientY]; event.preventDefault();
    });
    frame.addEventListener("pointermove", (event) => {
      if (!from) return;
      const b = box();
      pan(row, (event.clientX - from[0]) / b.width, (event.clientY - from[1]) / b.height);
      from = [event.clientX, event.clientY];
    });
    for (const end of ["pointerup", "pointercancel"]) frame.addEventListener(end, () => { from = null; });
    frame.addEventListener("dblclick", (event) => {
      const b = box();
      zoom(row, 2, (event.clientX - b.left) / b.width, (event.clientY - b.top) / b.height);
    });
    frame.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const moves = { ArrowLeft: [0.1, 0], ArrowRight: [-0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] };
      if (event.key === "+" || event.key === "=") zoom(row, 1.5);
      else if (event.key === "-") zoom(row, 1 / 1.5);
      else if (event.key === "0") reset(row);
      else if (moves[event.key]) pan(row, ...moves[event.key]);
      else return;
      event.preventDefault(); event.stopPropagation();
    });
    const cell = { row, column, stage, frame, caption, name: `cell_${row * columns.length + column}` };
    cell.node = h("figure", { class: "seglab-figure", role: "cell" }, frame, caption);
    return cell;
  };

  const grid = h("div", { class: "seglab-grid", role: "table", "aria-label": "methods side by side" });
  grid.style.setProperty("--seglab-columns", columns.length);
  grid.append(h("div", { class: "seglab-line", role: "row" },
    h("div", { class: "seglab-rowhead", role: "columnheader", "aria-label": "picture" }), columns.map((title) => h("div", { class: "seglab-head", role: "columnheader" }, title))));
  rows.forEach((about, row) => {
    const made = columns.map((_, column) => makeCell(row, column));
    cells.push(...made);
    grid.append(h("div", { class: "seglab-line", role: "row" },
      h("div", { class: "seglab-rowhead", role: "rowheader" }, about.name), made.map((cell) => cell.node)));
  });
  const all = (what) => () => rows.forEach((_, row) => what(row));
  const button = (name, label, text, what) => h("button", { type: "button", class: `seglab-${name}`, "aria-label": label, title: label, onclick: what }, text);
  node.append(
    h("div", { class: "seglab-row" }, look.node,
      h("span", { class: "seglab-buttons", role: "group", "aria-label": "zoom of all pictures" },
        button("zoom-out", "zoom out", "−", all((row) => zoom(row, 1 / 1.5))), button("zoom-in", "zoom in", "+", all((row) => zoom(row, 1.5))),
        button("zoom-reset", "whole pictures", "reset", all(reset)))),
    h("div", { class: "seglab-scroll" }, grid), error, note,
    h("div", { class: "seglab-note" }, "Click a picture, then turn the wheel or press + − 0 and the arrows; drag to move. The cells of one picture move together."));

  const bases = rows.map((_, row) => address(model.get("bases")[row]));
  const paintCell = (cell) => {
    const data = model.get(cell.name);
    (urls.get(cell.name) || []).forEach(forget);
    const made = ["fill", "mean", "edges"].map((name) => [name, address(data[name])]);
    urls.set(cell.name, made.map(([, url]) => url));
    cell.stage.set("base", bases[cell.row]);
    made.forEach(([name, url]) => cell.stage.set(name, url));
    setText(cell.caption, data.caption || "");
    cell.node.dataset.state = data.state;
    cell.node.classList.toggle("seglab-failed", data.state === "failed");
  };
  const paint = () => {
    look.refresh();
    for (const cell of cells) cell.stage.look(model.get("show"), model.get("alpha"));
    setText(error, model.get("error")); setText(note, model.get("note"));
  };
  for (const cell of cells) { on(`change:${cell.name}`, () => paintCell(cell)); paintCell(cell); }
  for (const name of ["show", "alpha", "error", "note"]) on(`change:${name}`, paint);
  paint();
  rows.forEach((_, row) => place(row));
  model.send({ kind: "ready" });
  return () => { stop(); bases.forEach(forget); for (const list of urls.values()) list.forEach(forget); };
}
export default { render };
