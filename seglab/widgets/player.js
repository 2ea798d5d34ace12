const ICONS = {
  first: "M4 3h2v10H4zM13 3v10L6.500 8z", previous: "M11 3v10L4.500 8z", play: "M4.500 2.500v11L13 8z",
  pause: "M4 3h3v10H4zM9 3h3v10H9z", next: "M5 3v10l6.500-5z", last: "M3 3v10l6.500-5zM10 3h2v10h-2z",
};
const icon = (name) => `<svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true"><path d="${ICONS[name]}" fill="currentColor"/></svg>`;

// The objective over the steps, drawn as far as it has been seen: what comes next can be guessed first.
class Chart {
  constructor(values, steps, name, choose) {
    this.values = values; this.steps = steps; this.seen = 0;
    const known = values.filter((v) => v != null);
    this.low = Math.min(...known); this.high = Math.max(...known);
    const svg = (tag, attributes) => {
      const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
      for (const [k, v] of Object.entries(attributes)) node.setAttribute(k, v);
      return node;
    };
    const W = 360, H = 130;
    this.svg = svg("svg", { viewBox: `0 0 ${W} ${H}`, class: "seglab-chart", role: "img", "aria-label": `${name} over the steps` });
    const [left, right, top, bottom] = [62, W - 10, 24, H - 24];
    const first = steps[0], last = steps[steps.length - 1];
    this.x = (i) => left + (right - left) * (last > first ? (steps[i] - first) / (last - first) : 0.5);
    this.y = (v) => bottom - (bottom - top) * (this.high > this.low ? (v - this.low) / (this.high - this.low) : 0.5);
    this.line = svg("polyline", { class: "seglab-curve", fill: "none" });
    this.dot = svg("circle", { class: "seglab-dot", r: 5 });
    const text = (x, y, anchor, words, cls = "") => {
      const node = svg("text", { x, y, "text-anchor": anchor, class: cls });
      node.textContent = words; return node;
    };
    const short = (v) => Number(v.toPrecision(4)).toString().length > 8 ? v.toExponential(2) : Number(v.toPrecision(4)).toString();
    this.svg.append(svg("path", { d: `M${left} ${top}V${bottom}H${right}`, class: "seglab-axis", fill: "none" }),
      text(left - 6, top + 4, "end", short(this.high)), text(left - 6, bottom + 4, "end", this.high > this.low ? short(this.low) : ""),
      text(left, H - 8, "middle", first), text(right, H - 8, "end", last), text((left + right) / 2, H - 8, "middle", "step"),
      text(left, 13, "start", name, "seglab-chart-title"), this.line, this.dot);
    this.svg.addEventListener("click", (event) => {
      const box = this.svg.getBoundingClientRect();
      const at = (event.clientX - box.left) * W / box.width;
      let best = 0;
      steps.forEach((_, i) => { if (Math.abs(this.x(i) - at) < Math.abs(this.x(best) - at)) best = i; });
      choose(best);
    });
  }
  move(index) {
    this.seen = Math.max(this.seen, index);
    const points = [];
    for (let i = 0; i <= this.seen; i++) if (this.values[i] != null) points.push(`${this.x(i).toFixed(1)},${this.y(this.values[i]).toFixed(1)}`);
    this.line.setAttribute("points", points.join(" "));
    const value = this.values[index];
    this.dot.style.display = value == null ? "none" : "";
    if (value != null) { this.dot.setAttribute("cx", this.x(index)); this.dot.setAttribute("cy", this.y(value)); }
  }
}

function render({ model, el }) {
  const { on, stop } = listener(model);
  const n = model.get("n_frames");
  const node = root(el, "seglab-player", `${model.get("title")}, step by step`);
  const stage = new Stage(`picture with the labels of ${model.get("title")}`);
  stage.size(model.get("width"), model.get("height"));
  const baseUrl = address(model.get("base"));
  stage.set("base", baseUrl);

  // frames: what has arrived, what is asked for
  const layers = new Map(), panels = new Map();
  let asked = null, timer = null, due = 0;
  const have = (i) => layers.has(i) && WANTS[model.get("show")].every((name) => name in layers.get(i));
  const ask = (i, withPanels) => {
    const known = layers.get(i) || {};
    asked = i;
    model.send({ kind: "frame", index: i, panels: withPanels && !panels.has(i),
      layers: [...WANTS[model.get("show")], "lines"].filter((name) => !(name in known)) });
  };
  const askNext = () => { // the frame that is looked at first, then the ones that follow it
    if (asked != null) return;
    const at = model.get("index");
    for (let i = at; i < Math.min(n, at + 4); i++) {
      if (!have(i) || !panels.has(i)) { ask(i, have(i) || i > at); return; }
    }
  };
  const receive = (message, buffers) => {
    if (message.kind === "layers") {
      const known = layers.get(message.index) || {};
      message.names.forEach((name, k) => { forget(known[name]); known[name] = address(buffers[k]); });
      layers.set(message.index, known);
    } else if (message.kind === "panels") {
      panels.set(message.index, message.names.map((title, k) => [title, address(buffers[k])]));
    } else if (message.kind === "done") {
      asked = null;
      if (message.failed) { layers.set(message.index, { ...Object.fromEntries(["fill", "mean", "edges", "lines"].map((k) => [k, null])), ...layers.get(message.index) });
        if (!panels.has(message.index)) panels.set(message.index, []); }
      askNext();
    }
    if (message.index === model.get("index")) paint();
  };
  on("msg:custom", receive);

  // controls
  const go = (i) => { model.set("index", Math.min(Math.max(i, 0), n - 1)); model.save_changes(); };
  const stopPlaying = () => { if (model.get("playing")) { model.set("playing", false); model.save_changes(); } };
  const button = (name, label, what) => {
    const made = h("button", { type: "button", class: `seglab-${name}`, "aria-label": label, title: label, onclick: what });
    made.innerHTML = icon(name);
    return made;
  };
  const toggle = () => {
    const start = !model.get("playing");
    if (start && model.get("index") >= n - 1) model.set("index", 0);
    model.set("playing", start); model.save_changes();
  };
  const play = button("play", "play", toggle);
  const buttons = [
    button("first", "first step (Home)", () => { stopPlaying(); go(0); }),
    button("previous", "previous step (left arrow)", () => { stopPlaying(); go(model.get("index") - 1); }), play,
    button("next", "next step (right arrow)", () => { stopPlaying(); go(model.get("index") + 1); }),
    button("last", "last step (End)", () => { stopPlaying(); go(n - 1); }),
  ];
  const slider = h("input", { type: "range", class: "seglab-slider", min: 0, max: n - 1, step: 1, "aria-label": "step",
    oninput: () => { stopPlaying(); go(Number(slider.value)); } });
  const speedId = freshId();
  const speed = h("select", { id: speedId, class: "seglab-speed", onchange: () => { model.set("interval", Number(speed.value)); model.save_changes(); } },
    [[1600, "½×"], [800, "1×"], [400, "2×"], [200, "4×"], [100, "8×"]].map(([value, text]) => h("option", { value }, text)));
  const look = lookControls(model);
  const count = h("span", { class: "seglab-count" });
  const text = h("div", { class: "seglab-text", role: "status", "aria-live": "polite" });
  const error = alertLine();
  const note = h("div", { class: "seglab-note" });
  const beside = h("div", { class: "seglab-beside" });
  const objective = model.get("objective");
  const chart = objective.some((v) => v != null)
    ? new Chart(objective, model.get("steps"), model.get("objective_name"), (i) => { stopPlaying(); go(i); }) : null;
  const plots = h("div", { class: "seglab-panels" });
  if (chart) beside.append(chart.svg);
  beside.append(plots);

  node.append(
    h("div", { class: "seglab-title" }, model.get("title")),
    h("div", { class: "seglab-main" },
      h("div", { class: "seglab-left" }, stage.node, text, error,
        h("div", { class: "seglab-row" }, h("div", { class: "seglab-buttons", role: "group", "aria-label": "player" }, buttons), slider),
        h("div", { class: "seglab-row" }, count, h("span", { class: "seglab-pair" }, h("label", { for: speedId }, "speed"), speed), look.node),
        note),
      beside));

  node.addEventListener("keydown", (event) => {
    const field = event.target.tagName;
    if (event.ctrlKey || event.metaKey || event.altKey || field === "SELECT") return;
    const range = field === "INPUT";
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step && !range) { stopPlaying(); go(model.get("index") + step); }
    else if (event.key === "Home" && !range) { stopPlaying(); go(0); }
    else if (event.key === "End" && !range) { stopPlaying(); go(n - 1); }
    else if (event.key === " " && field !== "BUTTON") toggle();
    else return;
    event.preventDefault(); event.stopPropagation();
  });
  node.tabIndex = 0;

  const paintPanels = (i) => {
    const known = panels.get(i);
    plots.classList.toggle("seglab-stale", !known);
    if (!known) return;
    while (plots.children.length > known.length) plots.lastChild.remove();
    known.forEach(([title, url], k) => {
      const image = plots.children[k] || plots.appendChild(h("img", { class: "seglab-panel" }));
      if (image.src !== url) image.src = url || "";
      image.alt = `${title}: ${model.get("texts")[i]}`;
    });
  };
  const paint = () => {
    const i = model.get("index");
    const known = layers.get(i) || {};
    look.refresh();
    stage.look(model.get("show"), model.get("alpha"));
    if (have(i)) for (const name of ["fill", "mean", "edges", "lines"]) stage.set(name, known[name] || null);
    stage.node.dataset.frame = have(i) ? i : "";
    paintPanels(i);
    if (chart) chart.move(i);
    slider.value = i;
    slider.setAttribute("aria-valuetext", `${i + 1} of ${n}: ${model.get("texts")[i]}`);
    setText(count, `${i + 1} / ${n}`);
    setText(text, model.get("texts")[i]);
    setText(error, model.get("error"));
    setText(note, model.get("note"));
    buttons[0].disabled = buttons[1].disabled = i === 0;
    buttons[3].disabled = buttons[4].disabled = i === n - 1;
    play.disabled = n < 2;
  };
  const tick = () => { // never past a frame that has not come yet
    timer = null;
    if (!model.get("playing")) return;
    const i = model.get("index");
    if (i >= n - 1) { stopPlaying(); return; }
    if (have(i + 1) && panels.has(i + 1)) { go(i + 1); due = performance.now() + model.get("interval"); }
    timer = setTimeout(tick, Math.max(20, Math.min(due - performance.now(), model.get("interval"))));
  };
  const setPlaying = () => {
    const playing = model.get("playing");
    play.innerHTML = icon(playing ? "pause" : "play");
    play.setAttribute("aria-label", playing ? "pause (space)" : "play (space)");
    play.title = play.getAttribute("aria-label");
    node.classList.toggle("seglab-playing", playing);
    text.setAttribute("aria-live", playing ? "off" : "polite");
    clearTimeout(timer); timer = null;
    if (playing) { due = performance.now() + model.get("interval"); timer = setTimeout(tick, model.get("interval")); }
  };
  on("change:index", () => { paint(); askNext(); });
  on("change:show", () => { paint(); askNext(); });
  for (const name of ["alpha", "error", "note"]) on(`change:${name}`, paint);
  on("change:playing", setPlaying);
  on("change:interval", () => { speed.value = model.get("interval"); });
  speed.value = model.get("interval");
  setPlaying(); paint(); askNext();
  return () => {
    stop(); clearTimeout(timer); forget(baseUrl);
    for (const known of layers.values()) Object.values(known).forEach(forget);
    for (const known of panels.values()) known.forEach(([, url]) => forget(url));
  };
}
export default { render };
