// One control for each parameter, from its description. `send(name, value)` tells the kernel.
function makeControl(about, send) {
  const id = freshId(), helpId = `${id}-help`;
  const unit = about.unit ? ` (${about.unit})` : "";
  const common = { "aria-describedby": helpId, title: about.help, "data-name": about.name };
  const help = h("span", { class: "seglab-help", id: helpId }, about.help);
  if (about.kind === "bool") {
    const box = h("input", { type: "checkbox", id, ...common, onchange: () => send(about.name, box.checked) });
    const node = h("div", { class: "seglab-control seglab-check" }, box, h("label", { for: id }, about.label), help);
    return { node, inputs: [box], set: (value) => { box.checked = value; } };
  }
  if (about.kind === "choice") {
    const select = h("select", { id, ...common, onchange: () => send(about.name, about.choices[select.selectedIndex]) },
      about.choices.map((choice) => h("option", {}, choice === null ? "none" : String(choice))));
    const node = h("div", { class: "seglab-control" }, h("label", { for: id }, about.label + unit), select, help);
    return { node, inputs: [select], set: (value) => { select.selectedIndex = about.choices.indexOf(value); } };
  }
  if (about.kind === "text") {
    const field = h("input", { type: "text", id, ...common, onchange: () => send(about.name, field.value === "" && about.optional ? null : field.value) });
    const node = h("div", { class: "seglab-control" }, h("label", { for: id }, about.label + unit), field, help);
    return { node, inputs: [field], set: (value) => { field.value = value ?? ""; } };
  }
  return makeNumber(about, send, { id, common, help, unit });
}

function makeNumber(about, send, { id, common, help, unit }) {
  const log = about.scale === "log", whole = about.kind === "int";
  const bounded = about.low != null && about.high != null;
  const toValue = (position) => {
    let value = log ? about.low * Math.pow(about.high / about.low, position / 1000) : position;
    return whole ? Math.round(value) : Number(value.toPrecision(log ? 3 : 6));
  };
  const toPosition = (value) => (log ? (1000 * Math.log(value / about.low)) / Math.log(about.high / about.low) : value);
  const range = h("input", { type: "range", ...common, "aria-label": `${about.label}${unit}`,
    min: log ? 0 : about.low, max: log ? 1000 : about.high, step: log ? 1 : about.step });
  const number = h("input", { type: "number", id, ...common, step: whole ? 1 : "any" });
  const own = bounded ? [range, number] : [number];
  let last = about.default ?? about.low ?? 0;
  const use = about.optional ? h("input", { type: "checkbox", id: `${id}-use`, "data-name": `${about.name}-use`, "aria-label": `set ${about.label}` }) : null;
  const say = (value) => { last = value; send(about.name, value); };
  range.addEventListener("input", () => { const value = toValue(Number(range.value)); number.value = value; range.setAttribute("aria-valuetext", value + unit); say(value); });
  const typed = () => { if (number.value !== "" && Number(number.value) !== last) say(Number(number.value)); };
  number.addEventListener("change", typed);
  number.addEventListener("keydown", (event) => { if (event.key === "Enter") typed(); });
  if (use) use.addEventListener("change", () => say2(use.checked));
  const say2 = (checked) => { own.forEach((input) => { input.disabled = !checked; }); send(about.name, checked ? last : null); };
  const head = h("div", { class: "seglab-name" }, h("label", { for: id, style: "margin: 0; font-weight: 600" }, about.label + unit),
    use ? h("label", { for: use.id }, use, " set") : null);
  const node = h("div", { class: "seglab-control" }, head, own, help);
  return { node, inputs: [...own, ...(use ? [use] : [])],
    set: (value) => {
      if (use) use.checked = value !== null;
      if (value !== null) last = value;
      if (document.activeElement !== number) number.value = last;
      if (bounded && document.activeElement !== range) range.value = toPosition(last);
      range.setAttribute("aria-valuetext", last + unit);
      if (use) own.forEach((input) => { input.disabled = input.disabled || value === null; });
    } };
}

// Points for a method that takes them: clicks on the picture, and the same by keyboard.
function makePoints(model, stage) {
  const name = model.get("points_name"), one = name.replace(/s$/, "");
  const id = freshId();
  const marks = h("div", { class: "seglab-marks", role: "group", "aria-label": name });
  stage.node.append(marks);
  stage.node.classList.add("seglab-clicked");
  stage.node.addEventListener("click", (event) => {
    const box = stage.node.getBoundingClientRect();
    model.send({ kind: "click", x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height,
      serial: Number(stage.node.dataset.result) });
  });
  const count = h("span", { class: "seglab-points-count", role: "status", "aria-live": "polite" });
  const button = (text, title, message) => h("button", { type: "button", title, "aria-label": title, onclick: () => model.send(message) }, text);
  const undo = button("undo", `take back the last of the ${name}`, { kind: "undo" });
  const clear = button("clear", `take back all ${name}`, { kind: "place", text: "" });
  let told = ""; // Enter tells at once; leaving the field, only what is new
  const place = () => { told = field.value; model.send({ kind: "place", text: told }); };
  const field = h("input", { type: "text", id, spellcheck: "false", autocomplete: "off",
    onchange: () => { if (field.value !== told) place(); },
    onkeydown: (event) => { if (event.key === "Enter") place(); } });
  const node = h("div", { class: "seglab-points", role: "group", "aria-label": name },
    h("div", { class: "seglab-row" }, h("strong", {}, name[0].toUpperCase() + name.slice(1)), count, undo, clear),
    h("div", { class: "seglab-help" }, "click the picture to place one"),
    h("label", { for: id }, "or write row, column; row, column"), field);
  const paint = () => {
    const points = model.get("points"), width = model.get("width"), height = model.get("height");
    marks.replaceChildren(...points.map(([row, col], k) => h("span", { class: "seglab-mark", role: "img",
      "aria-label": `${one} ${k + 1}: row ${row}, column ${col}`,
      style: `left: ${(100 * (col + 0.5)) / width}%; top: ${(100 * (row + 0.5)) / height}%` })));
    setText(count, points.length ? `${points.length} ${points.length === 1 ? one : name}` : "none: found automatically");
    undo.disabled = clear.disabled = !points.length;
    told = field.value = points.map(([row, col]) => `${row}, ${col}`).join("; ");
  };
  return { node, paint };
}

function render({ model, el }) {
  const { on, stop } = listener(model);
  const node = root(el, "seglab-explorer", `${model.get("title")}, to explore`);
  const stage = new Stage("the picture with the segments found");
  const urls = {};
  const keep = (name, data) => { forget(urls[name]); urls[name] = address(data); return urls[name]; };
  const status = h("div", { class: "seglab-status", role: "status", "aria-live": "polite" });
  const error = alertLine();
  const note = h("div", { class: "seglab-note" });
  const look = lookControls(model);
  const plots = h("div", { class: "seglab-panels" });
  const points = model.get("points_name") ? makePoints(model, stage) : null;

  // the parameters; values are sent together, the kernel takes the latest
  const send = (name, value) => { model.set("values", { ...model.get("values"), [name]: value }); model.save_changes(); };
  const controls = new Map(model.get("controls").map((about) => [about.name, makeControl(about, send)]));
  const reset = h("button", { type: "button", class: "seglab-reset", title: "all parameters back to where they began",
    onclick: () => model.send({ kind: "reset" }) }, "reset");

  // the picture
  const pictureId = freshId(), fileId = freshId();
  const picture = h("select", { id: pictureId, class: "seglab-picture", onchange: () => { model.set("picture", picture.value); model.save_changes(); } });
  const file = h("input", { type: "file", id: fileId, class: "seglab-file", accept: "image/*", onchange: async () => {
    const chosen = file.files[0];
    if (!chosen) return;
    if (chosen.size > model.get("max_bytes")) { model.set("error", `${chosen.name} is larger than ${Math.round(model.get("max_bytes") / 1e6)} MB`); model.save_changes(); }
    else model.send({ kind: "upload", name: chosen.name }, undefined, [await chosen.arrayBuffer()]);
    file.value = "";
  } });

  // the code
  const code = h("textarea", { class: "seglab-code", readonly: true, rows: 5, spellcheck: "false", "aria-label": "the same in Python" });
  const copied = h("span", { class: "seglab-copied", role: "status", "aria-live": "polite" });
  const copy = h("button", { type: "button", class: "seglab-copy", onclick: async () => {
    code.focus(); code.select();
    let done = false;
    try { await navigator.clipboard.writeText(code.value); done = true; } catch { done = document.execCommand("copy"); }
    setText(copied, done ? "copied" : "selected: press Ctrl+C");
  } }, "copy as code");

  node.append(
    h("div", { class: "seglab-title" }, model.get("title")),
    h("div", { class: "seglab-main" },
      h("div", { class: "seglab-left" }, stage.node, status, error, note, h("div", { class: "seglab-row" }, look.node), plots),
      h("div", { class: "seglab-beside" },
        h("div", { class: "seglab-row" },
          h("span", { class: "seglab-pair" }, h("label", { for: pictureId }, "picture"), picture),
          model.get("upload") ? h("span", { class: "seglab-pair" }, h("label", { for: fileId }, "your own"), file) : null),
        h("div", { class: "seglab-controls" }, [...controls.values()].map((c) => c.node)),
        points ? points.node : null,
        h("div", { class: "seglab-row" }, reset, copy, copied), code)));

  const paintPicture = () => {
    stage.size(model.get("width"), model.get("height"));
    for (const name of ["base", "fill", "mean", "edges", "lines"]) stage.set(name, keep(name, model.get(name)));
    stage.node.dataset.result = model.get("serial");
  };
  const paintPanels = () => {
    const known = model.get("panels");
    plots.replaceChildren(...known.map(({ title, png }, k) => h("img", { class: "seglab-panel", alt: title, src: keep(`panel${k}`, png) })));
  };
  const paintValues = () => {
    const values = model.get("values"), enabled = model.get("enabled");
    for (const [name, control] of controls) {
      const off = enabled[name] === false;
      control.node.classList.toggle("seglab-off", off);
      control.inputs.forEach((input) => { input.disabled = off; });
      control.set(values[name]);
    }
  };
  const paintPictures = () => {
    picture.replaceChildren(...model.get("pictures").map((name) => h("option", { value: name }, name)));
    picture.value = model.get("picture");
  };
  const paintText = () => {
    setText(status, model.get("status")); setText(error, model.get("error")); setText(note, model.get("note"));
    if (code.value !== model.get("code")) { code.value = model.get("code"); code.rows = code.value.split("\n").length + 1; setText(copied, ""); }
    node.classList.toggle("seglab-busy", model.get("busy"));
  };
  const paintLook = () => { look.refresh(); stage.look(model.get("show"), model.get("alpha")); };
  on("change:serial", paintPicture);
  on("change:panels", paintPanels);
  if (points) for (const name of ["points", "width", "height"]) on(`change:${name}`, points.paint);
  on("change:values", paintValues); on("change:enabled", paintValues);
  on("change:pictures", paintPictures); on("change:picture", paintPictures);
  for (const name of ["status", "error", "note", "code", "busy"]) on(`change:${name}`, paintText);
  on("change:show", paintLook); on("change:alpha", paintLook);
  paintPicture(); paintPanels(); paintPictures(); paintValues(); paintText(); paintLook();
  if (points) points.paint();
  return () => { stop(); Object.values(urls).forEach(forget); };
}
export default { render };
