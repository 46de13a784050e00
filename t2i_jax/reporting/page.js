"use strict";
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const one = (selector, within = document) => within.querySelector(selector);

// Tables: a click on a head sorts; cells without a value stay last.
function sortBy(head) {
  const table = head.closest("table");
  const place = [...head.parentNode.children].indexOf(head);
  const up = head.getAttribute("aria-sort") !== "ascending";
  all("thead th", table).forEach((th) => th.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const valueOf = (row) => row.children[place].dataset.value;
  const order = (a, b) => {
    const x = valueOf(a), y = valueOf(b);
    if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
    const difference = head.dataset.kind === "number" ? x - y : x.localeCompare(y, "en", { numeric: true });
    return up ? difference : -difference;
  };
  const body = table.tBodies[0];
  body.append(...[...body.rows].sort(order));
}
all("thead button").forEach((button) => button.addEventListener("click", () => sortBy(button.closest("th"))));

// Columns that are hidden.
all(".columns input").forEach((box) => box.addEventListener("change", () => {
  const table = document.getElementById(box.dataset.table);
  all("tr", table).forEach((row) => { row.children[box.dataset.column].hidden = !box.checked; });
}));
all("[data-toggles]").forEach((box) => box.addEventListener("change", () => {
  document.getElementById(box.dataset.toggles).classList.toggle(box.dataset.class, box.checked);
}));

// The filter: of all tables and of the curves.
const filter = one("#filter");
const passes = (point) => point.toLowerCase().includes(filter.value.trim().toLowerCase());
filter.addEventListener("input", () => {
  all("[data-point]").forEach((part) => { part.hidden = !passes(part.dataset.point); });
  draw();
});

// Pictures.
const size = one("#side");
if (size) size.addEventListener("input", () => document.documentElement.style.setProperty("--side", `${size.value}px`));
const dialog = one("#zoom");
all(".zoomable").forEach((button) => button.addEventListener("click", () => {
  const small = one("img", button), large = one("img", dialog);
  large.src = small.src;
  large.alt = small.alt;
  large.className = small.className;
  one("figcaption", dialog).textContent = button.title;
  dialog.showModal();
}));
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

// Curves.
const data = JSON.parse(one("#curves-data").textContent);
const chart = one("#chart"), tip = one("#tip"), metric = one("#metric"), axis = one("#axis"), smooth = one("#smooth");
const hiddenPoints = new Set();
let shown = null;  // what the last drawing put where, for the cursor

const make = (name, attributes, text = "") => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
  node.textContent = text;
  return node;
};
const short = (value) => Number(value.toPrecision(4)).toLocaleString("en", { maximumSignificantDigits: 4 });

function smoothed(values, keep) {  // a mean of what was, each value weighing `keep` of the next
  let sum = 0, weight = 0;
  return values.map((value) => {
    sum = keep * sum + (1 - keep) * value;
    weight = keep * weight + (1 - keep);
    return sum / weight;
  });
}

function ticks(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high + 1e-9 * step; i++) found.push(i * step);
  return found;
}

function visibleLines() {
  const lines = data.metrics[metric.value].filter((line) => line[axis.value] !== null
    && !hiddenPoints.has(line.point) && passes(data.points[line.point]));
  const averaged = new Set(lines.filter((line) => line.seed === null).map((line) => line.point));
  return lines.map((line) => ({
    ...line,
    x: data.grids[line[axis.value]],
    y: smoothed(line.values, Number(smooth.value)),
    strong: line.seed === null || !averaged.has(line.point),
  }));
}

function draw() {
  if (!chart) return;
  const svg = one("svg", chart);
  svg.replaceChildren();
  tip.hidden = true;
  shown = null;
  const lines = visibleLines();
  const width = svg.clientWidth, height = svg.clientHeight;
  const left = 58, right = width - 24, top = 10, bottom = height - 40;
  if (!lines.length) {
    svg.append(make("text", { x: left, y: height / 2 }, "nothing to draw: no point is chosen, or none has this"));
    return;
  }
  const xs = lines.flatMap((line) => line.x), ys = lines.flatMap((line) => line.y);
  const range = (values) => {
    const low = values.reduce((a, b) => Math.min(a, b)), high = values.reduce((a, b) => Math.max(a, b));
    return low < high ? [low, high] : [low - 0.5, high + 0.5];
  };
  const [x0, x1] = range(xs), [y0, y1] = range(ys);
  const toX = (x) => left + (x - x0) / (x1 - x0) * (right - left);
  const toY = (y) => bottom - (y - y0) / (y1 - y0) * (bottom - top);
  ticks(y0, y1, 7).forEach((y) => svg.append(
    make("line", { class: "axis", x1: left, x2: right, y1: toY(y), y2: toY(y) }),
    make("text", { x: left - 6, y: toY(y) + 4, "text-anchor": "end" }, short(y))));
  ticks(x0, x1, width / 110).forEach((x) => svg.append(
    make("line", { class: "axis", x1: toX(x), x2: toX(x), y1: bottom, y2: bottom + 4 }),
    make("text", { x: toX(x), y: bottom + 17, "text-anchor": "middle" }, short(x))));
  svg.append(make("text", { x: (left + right) / 2, y: height - 4, "text-anchor": "middle" }, axis.selectedOptions[0].text));
  lines.sort((a, b) => a.strong - b.strong).forEach((line) => svg.append(make("path", {
    d: line.x.map((x, i) => `${i ? "L" : "M"}${toX(x).toFixed(1)} ${toY(line.y[i]).toFixed(1)}`).join(""),
    stroke: data.colours[line.point],
    "stroke-dasharray": data.dashes[line.point],
    "stroke-width": line.strong ? 2 : 1,
    "stroke-opacity": line.strong ? 1 : 0.4,
    "data-point": data.points[line.point],
  })));
  const strong = lines.filter((line) => line.strong);
  const stops = [...new Set(strong.flatMap((line) => line.x))].sort((a, b) => a - b);
  shown = { strong, stops, toX, toY, x0, x1, left, right, top, bottom, at: stops.length - 1 };
}

function point(at) {  // puts the cursor at a stop
  const svg = one("svg", chart), x = shown.stops[at];
  shown.at = at;
  all(".cursor", svg).forEach((node) => node.remove());
  svg.append(make("line", { class: "cursor", x1: shown.toX(x), x2: shown.toX(x), y1: shown.top, y2: shown.bottom }));
  const reached = shown.strong.filter((line) => x >= line.x[0] && x <= line.x[line.x.length - 1]);
  const rows = reached.map((line) => {
    const i = line.x.reduce((best, value, k) => Math.abs(value - x) < Math.abs(line.x[best] - x) ? k : best, 0);
    svg.append(make("circle", { class: "cursor", cx: shown.toX(line.x[i]), cy: shown.toY(line.y[i]), r: 3 }));
    return { name: data.points[line.point], value: line.y[i], colour: data.colours[line.point] };
  }).sort((a, b) => b.value - a.value);
  tip.replaceChildren(...[null, ...rows].map((row) => {
    const div = document.createElement("div");
    if (!row) {
      div.textContent = `${axis.selectedOptions[0].text} ${short(x)}`;
      return div;
    }
    const mark = document.createElement("span");
    mark.className = "mark";
    mark.style.background = row.colour;
    div.append(mark, `${short(row.value)}  ${row.name}`);
    return div;
  }));
  tip.hidden = false;
  const place = shown.toX(x);
  tip.style.top = `${shown.top}px`;
  const onLeft = place > (shown.left + shown.right) / 2;
  tip.style.left = onLeft ? "" : `${place + 12}px`;
  tip.style.right = onLeft ? `${chart.clientWidth - place + 12}px` : "";
}

if (chart) {
  const svg = one("svg", chart);
  svg.addEventListener("pointermove", (event) => {
    if (!shown) return;
    const x = shown.x0 + (event.clientX - svg.getBoundingClientRect().left - shown.left)
      / (shown.right - shown.left) * (shown.x1 - shown.x0);
    point(shown.stops.reduce((best, stop, k) => Math.abs(stop - x) < Math.abs(shown.stops[best] - x) ? k : best, 0));
  });
  const leave = () => { tip.hidden = true; all(".cursor", svg).forEach((node) => node.remove()); };
  svg.addEventListener("pointerleave", leave);
  svg.addEventListener("blur", leave);
  svg.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!move || !shown) return;
    event.preventDefault();
    point(Math.min(Math.max(shown.at + move, 0), shown.stops.length - 1));
  });
  [metric, axis].forEach((choice) => choice.addEventListener("change", draw));
  smooth.addEventListener("input", draw);
  all(".legend button").forEach((button, place) => button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", on);
    if (on) hiddenPoints.delete(place); else hiddenPoints.add(place);
    draw();
  }));
  window.addEventListener("resize", draw);
  draw();
}
