// One measure over the thresholds: its curve, where we are, and the best value.
class Measure {
  constructor({ name, title, values, best }, thresholds, counts, choose) {
    Object.assign(this, { name, values, best, seen: new Set() });
    this.low = Math.min(...values); this.high = Math.max(...values);
    const svg = (tag, attributes, words) => {
      const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
      for (const [k, v] of Object.entries(attributes)) node.setAttribute(k, v);
      if (words != null) node.textContent = words;
      return node;
    };
    const W = 260, H = 120, n = values.length;
    const [left, right, top, bottom] = [40, W - 10, 10, H - 20];
    this.x = (i) => left + (right - left) * (n > 1 ? i / (n - 1) : 0.5);
    this.y = (v) => bottom - (bottom - top) * (this.high > this.low ? (v - this.low) / (this.high - this.low) : 0.5);
    const short = (v) => Number(v.toPrecision(2)).toString();
    this.title = `${title}, ${name === "VI" ? "lower" : "higher"} is better, over thresholds that leave ${counts[0]} to ${counts[n - 1]} segments`;
    this.svg = svg("svg", { viewBox: `0 0 ${W} ${H}`, class: "seglab-chart", role: "img" });
    this.rule = svg("path", { class: "seglab-rule", fill: "none" });
    this.line = svg("polyline", { class: "seglab-curve", fill: "none" });
    this.dots = svg("path", { class: "seglab-visited" });
    this.ring = svg("circle", { class: "seglab-best", r: 6, cx: this.x(best), cy: this.y(values[best]) });
    this.dot = svg("circle", { class: "seglab-dot", r: 4.5 });
    this.scale = [svg("text", { x: left - 5, y: top + 4, "text-anchor": "end" }, this.high.toFixed(2)),
      svg("text", { x: left - 5, y: bottom + 4, "text-anchor": "end" }, this.low.toFixed(2))];
    this.svg.append(svg("path", { d: `M${left} ${top}V${bottom}H${right}`, class: "seglab-axis", fill: "none" }), ...this.scale,
      svg("text", { x: left, y: H - 6, "text-anchor": "middle" }, short(thresholds[0])),
      svg("text", { x: right, y: H - 6, "text-anchor": "end" }, short(thresholds[n - 1])),
      svg("text", { x: (left + right) / 2, y: H - 6, "text-anchor": "middle" }, "threshold"),
      this.line, this.dots, this.rule, this.ring, this.dot);
    this.line.setAttribute("points", values.map((v, i) => `${this.x(i).toFixed(1)},${this.y(v).toFixed(1)}`).join(" "));
    this.top = top; this.bottom = bottom;
    this.svg.addEventListener("click", (event) => {
      const box = this.svg.getBoundingClientRect();
      const at = (event.clientX - box.left) * W / box.width;
      choose(Math.min(Math.max(Math.round((at - left) / (right - left) * (n - 1)), 0), n - 1));
    });
    this.value = h("span", { class: "seglab-value" });
    this.go = h("button", { type: "button", class: "seglab-go", onclick: () => choose(best) });
    this.node = h("div", { class: "seglab-measure", "data-measure": name },
      h("div", { class: "seglab-measure-head" }, h("span", {}, title, " ", this.value), this.go), this.svg);
    this.at = thresholds[best];
  }
  move(i, reveal) {
    this.seen.add(i);
    const value = this.values[i], best = this.values[this.best];
    this.line.style.display = this.ring.style.display = this.go.style.visibility = reveal ? "" : "hidden";
    if (!reveal) this.line.style.display = this.ring.style.display = "none";
    for (const text of this.scale) text.style.display = reveal ? "" : "none";
    this.dots.setAttribute("d", reveal ? "" : [...this.seen].map((k) => {
      const [x, y] = [this.x(k), this.y(this.values[k])];
      return `M${x - 2.5} ${y}a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0 -5 0`;
    }).join(""));
    this.rule.setAttribute("d", `M${this.x(i)} ${this.top}V${this.bottom}`);
    this.dot.setAttribute("cx", this.x(i)); this.dot.setAttribute("cy", this.y(value));
    setText(this.value, value.toFixed(3));
    setText(this.go, `best ${best.toFixed(3)}`);
    const go = `go to the best ${this.name}: ${best.toFixed(3)} at threshold ${Number(this.at.toPrecision(3))}`;
    this.go.setAttribute("aria-label", go); this.go.title = go;
    this.svg.setAttribute("aria-label", `${this.title}: ${value.toFixed(3)} here` + (reveal ? `, best ${best.toFixed(3)}` : ""));
  }
}

function render({ model, el }) {
  const { on, stop } = listener(model);
  const thresholds = model.get("thresholds"), n = thresholds.length;
  const node = root(el, "seglab-cuts", `${model.get("title")}, cut at a threshold`);
  const stages = [new Stage("picture with its segments"), new Stage("picture with boundaries that match those of people, and that do not")];
  const baseUrl = address(model.get("base"));
  for (const stage of stages) { stage.size(model.get("width"), model.get("height")); stage.set("base", baseUrl); }
  stages[1].node.classList.add("seglab-faded");

  // frames: what has arrived, what is asked for
  const layers = new Map();
  let asked = null;
  const wanted = () => [...WANTS[model.get("show")], "pairs"];
  const have = (i) => layers.has(i) && wanted().every((name) => name in layers.get(i));
  const askNext = () => { // the frame that is looked at first, then its neighbors
    if (asked != null) return;
    const at = model.get("index");
    for (const i of [at, at + 1, at - 1, at + 2, at - 2]) {
      if (i < 0 || i >= n || have(i)) continue;
      const known = layers.get(i) || {};
      asked = i;
      model.send({ kind: "frame", index: i, layers: wanted().filter((name) => !(name in known)) });
      return;
    }
  };
  on("msg:custom", (message, buffers) => {
    if (message.kind === "layers") {
      const known = layers.get(message.index) || {};
      message.names.forEach((name, k) => { forget(known[name]); known[name] = address(buffers[k]); });
      layers.set(message.index, known);
    } else if (message.kind === "done") {
      asked = null;
      if (message.failed) layers.set(message.index, { ...Object.fromEntries(wanted().map((k) => [k, null])), ...layers.get(message.index) });
      askNext();
    }
    if (message.index === model.get("index")) paint();
  });

  const go = (i) => { model.set("index", Math.min(Math.max(i, 0), n - 1)); model.save_changes(); };
  const sliderId = freshId(), revealId = freshId();
  const slider = h("input", { id: sliderId, type: "range", class: "seglab-slider", min: 0, max: n - 1, step: 1, oninput: () => go(Number(slider.value)) });
  const step = (by, label, text) => h("button", { type: "button", "aria-label": label, title: label, onclick: () => go(model.get("index") + by) }, text);
  const buttons = [step(-1, "lower threshold (left arrow)", "−"), step(1, "higher threshold (right arrow)", "+")];
  const reveal = h("input", { id: revealId, type: "checkbox", class: "seglab-reveal", onchange: () => { model.set("reveal", reveal.checked); model.save_changes(); } });
  const look = lookControls(model);
  const text = h("div", { class: "seglab-text", role: "status", "aria-live": "polite" });
  const error = alertLine(), note = h("div", { class: "seglab-note" });
  const measures = model.get("measures").map((measure) => new Measure(measure, thresholds, model.get("n_segments"), go));
  const key = (kind, words) => h("span", { class: "seglab-key" }, h("span", { class: `seglab-swatch seglab-${kind}`, "aria-hidden": "true" }), words);
  node.append(
    h("div", { class: "seglab-title" }, model.get("title")),
    h("div", { class: "seglab-pair-of-stages" },
      h("div", {}, stages[0].node),
      h("div", {}, stages[1].node, h("div", { class: "seglab-keys" }, key("matched", "matched"), key("alone", "matches nobody's"), key("missed", "people's, missed")))),
    text, error,
    h("div", { class: "seglab-row" }, h("label", { for: sliderId }, "threshold"), h("div", { class: "seglab-buttons", role: "group", "aria-label": "threshold" }, buttons), slider),
    h("div", { class: "seglab-row" }, look.node, h("span", { class: "seglab-pair" }, reveal, h("label", { for: revealId }, "show the curves and the best"))),
    h("div", { class: "seglab-measures" }, measures.map((measure) => measure.node)), note);

  node.addEventListener("keydown", (event) => {
    const field = event.target.tagName;
    if (event.ctrlKey || event.metaKey || event.altKey || field === "SELECT" || field === "INPUT") return;
    const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, Home: -n, End: n }[event.key];
    if (!by) return;
    go(model.get("index") + by);
    event.preventDefault(); event.stopPropagation();
  });
  node.tabIndex = 0;

  const paint = () => {
    const i = model.get("index"), known = layers.get(i) || {}, shown = model.get("texts")[i];
    look.refresh();
    stages[0].look(model.get("show"), model.get("alpha"));
    stages[1].look("none", 1);
    if (have(i)) {
      for (const name of ["fill", "mean", "edges"]) stages[0].set(name, known[name] || null);
      stages[1].set("lines", known.pairs);
    }
    for (const stage of stages) stage.node.dataset.frame = have(i) ? i : "";
    reveal.checked = model.get("reveal");
    for (const measure of measures) measure.move(i, model.get("reveal"));
    slider.value = i;
    const values = measures.map((measure) => `${measure.name} ${measure.values[i].toFixed(2)}`).join(", ");
    slider.setAttribute("aria-valuetext", `${shown}; ${values}`);
    setText(text, shown); setText(error, model.get("error")); setText(note, model.get("note"));
    buttons[0].disabled = i === 0;
    buttons[1].disabled = i === n - 1;
  };
  for (const name of ["index", "show"]) on(`change:${name}`, () => { paint(); askNext(); });
  for (const name of ["alpha", "reveal", "error", "note"]) on(`change:${name}`, paint);
  paint(); askNext();
  return () => {
    stop(); forget(baseUrl);
    for (const known of layers.values()) Object.values(known).forEach(forget);
  };
}
export default { render };
