// Shared by the widgets; each widget's module is this file followed by its own.

// JupyterLab's commands by key must not fire while somebody works here. It looks from the focused element outward, and
// its own rules match many of them before it comes to the widget's root: so each carries the mark.
const KEYS = "data-lm-suppress-shortcuts", FOCUSABLE = "input, select, button, textarea, [tabindex]";

const h = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value != null) node.setAttribute(key, value);
  }
  node.append(...children.flat().filter((child) => child != null));
  if (node.matches(FOCUSABLE)) node.setAttribute(KEYS, "true");
  return node;
};

// Bytes from the kernel (DataView) or a data: address from a stand-alone page -> something for <img src>.
const address = (data, kind = "image/png") => {
  if (data == null || typeof data === "string") return data || null;
  return data.byteLength ? URL.createObjectURL(new Blob([data], { type: kind })) : null;
};
const forget = (url) => { if (url && url.startsWith("blob:")) URL.revokeObjectURL(url); };

let serial = 0;
const freshId = () => `seglab-${Date.now().toString(36)}-${serial++}`;

const SHOW = [
  ["labels", "labels"], ["both", "labels and boundaries"], ["edges", "boundaries only"],
  ["mean", "mean colors"], ["none", "picture only"],
];
const WANTS = { labels: ["fill"], both: ["fill", "edges"], edges: ["edges"], mean: ["mean"], none: [] };

// The picture with its layers on top; which are seen, and how strongly, is decided here, without the kernel.
class Stage {
  constructor(alt) {
    this.images = {};
    this.node = h("div", { class: "seglab-stage" });
    for (const name of ["base", "fill", "mean", "edges", "lines"]) {
      this.images[name] = h("img", { class: `seglab-layer seglab-${name}`, alt: name === "base" ? alt : "", draggable: "false" });
      this.images[name].style.visibility = "hidden";
      this.node.append(this.images[name]);
    }
    this.urls = {};
    this.mode = "labels";
  }
  size(width, height) {
    this.node.style.aspectRatio = `${width} / ${height}`;
    this.node.style.setProperty("--seglab-ratio", width / height);
    this.node.classList.toggle("seglab-pixels", Math.max(width, height) <= 200);
  }
  set(name, url) {
    this.urls[name] = url;
    const image = this.images[name];
    if (url) image.src = url; else image.removeAttribute("src");
    this.refresh();
  }
  look(mode, alpha) {
    this.mode = mode;
    this.images.fill.style.opacity = alpha;
    this.refresh();
  }
  refresh() {
    for (const [name, image] of Object.entries(this.images)) {
      const wanted = name === "base" || name === "lines" || WANTS[this.mode].includes(name);
      image.style.visibility = wanted && this.urls[name] ? "visible" : "hidden";
    }
  }
}

// "show" and "opacity", for any widget with those two traits.
const lookControls = (model) => {
  const ids = [freshId(), freshId()];
  const show = h("select", { id: ids[0], class: "seglab-show", onchange: () => { model.set("show", show.value); model.save_changes(); } },
    SHOW.map(([value, text]) => h("option", { value }, text)));
  const alpha = h("input", { id: ids[1], class: "seglab-alpha", type: "range", min: 0, max: 1, step: 0.05,
    oninput: () => { model.set("alpha", Number(alpha.value)); model.save_changes(); } });
  const refresh = () => {
    show.value = model.get("show");
    alpha.value = model.get("alpha");
    alpha.disabled = !["labels", "both"].includes(show.value);
  };
  refresh();
  const pair = (id, text, control) => h("span", { class: "seglab-pair" }, h("label", { for: id }, text), control);
  return { refresh, node: h("span", { class: "seglab-look" }, pair(ids[0], "show", show), pair(ids[1], "opacity", alpha)) };
};

const alertLine = () => h("div", { class: "seglab-error", role: "alert" });
const setText = (node, text) => { if (node.textContent !== text) node.textContent = text; };

// Listen to the model and stop when the view goes.
const listener = (model) => {
  const heard = [];
  return {
    on: (event, what) => { model.on(event, what); heard.push([event, what]); },
    stop: () => heard.forEach(([event, what]) => model.off(event, what)),
  };
};

const root = (el, name, label) => {
  const node = h("div", { class: `seglab ${name}`, role: "group", "aria-label": label, [KEYS]: "true" });
  el.append(node);
  return node;
};
