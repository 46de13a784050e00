"use strict";
// One step is one question of one item. Everything a rater did is in `answers`, by step; it is
// written to the browser's store at every answer.

const data = JSON.parse(document.getElementById("data").textContent);
const element = (id) => document.getElementById(id);
const count = data.items[0].images.length;
const perItem = data.questions.length;
const steps = data.items.length * perItem;
const STORE = `t2i_jax-rating-${data.page}`;

let rater = "";
let answers = {}; // step -> {choice, seconds}
let at = 0; // the step that is shown
let picked = []; // places of images, the best first, of an order that is not finished
let since = 0; // when the step was shown, or shown again
let spent = 0; // milliseconds on it before that

// --- keeping -----------------------------------------------------------------------------------

function stored(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    element("warning").hidden = false;
    return null;
  }
}

function store(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    element("warning").hidden = false;
  }
}

function enter(name) {
  rater = name;
  answers = JSON.parse(stored(`${STORE}/${rater}`) || "{}");
  store(STORE, rater);
  show(firstOpen());
}

function firstOpen() {
  for (let step = 0; step < steps; step++) if (!(step in answers)) return step;
  return steps;
}

// --- answering ---------------------------------------------------------------------------------

// "2>1" is image 2 before image 1; "2>1=3" image 2 before the others, between which none is better.
function choice() {
  const rest = [];
  for (let place = 1; place <= count; place++) if (!picked.includes(place)) rest.push(place);
  return [...picked, rest.join("=")].join(">");
}

function answer() {
  const seconds = (spent + performance.now() - since) / 1000;
  answers[at] = { choice: choice(), seconds: Math.round(seconds * 100) / 100 };
  store(`${STORE}/${rater}`, JSON.stringify(answers));
  show(at + 1 in answers ? firstOpen() : at + 1);
}

function pick(place) {
  if (place > count || picked.includes(place)) return;
  picked.push(place);
  if (picked.length === count - 1) answer();
  else mark();
}

function back() {
  if (picked.length) {
    picked = [];
    mark();
  } else if (at > 0) {
    show(at - 1);
  }
}

function forward() {
  if (at in answers) show(at + 1);
}

// --- showing -----------------------------------------------------------------------------------

function only(id) {
  for (const screen of ["start", "rating", "end"]) element(screen).hidden = screen !== id;
}

function show(step) {
  at = step;
  picked = [];
  spent = 0;
  since = performance.now();
  if (at >= steps) return finish();
  only("rating");
  const question = at % perItem;
  const item = data.items[Math.floor(at / perItem)];
  const [name, text] = data.questions[question];
  document.body.className = `question-${question}`;
  element("bar").max = steps;
  element("bar").value = at;
  element("progress").textContent = `${at + 1} of ${steps}`;
  element("question").textContent = text;
  element("caption").textContent = name === "caption" ? item.caption : "";
  element("images").replaceChildren(...item.images.map(picture));
  element("forward").disabled = !(at in answers);
  mark();
}

function picture(index, i) {
  const button = document.createElement("button");
  button.type = "button";
  const image = document.createElement("img");
  image.src = data.images[index];
  image.alt = `Image ${i + 1}`;
  const rank = document.createElement("span");
  rank.className = "rank";
  const key = document.createElement("span");
  key.className = "key";
  key.textContent = String(i + 1);
  button.append(image, rank, key);
  button.addEventListener("click", () => pick(i + 1));
  return button;
}

// Which images are chosen: now, or by the answer that is looked at again.
function mark() {
  const kept = picked.length || !(at in answers) ? "" : answers[at].choice;
  const before = kept ? kept.split(">").filter((part) => !part.includes("=")) : picked.map(String);
  [...element("images").children].forEach((button, i) => {
    const rank = before.indexOf(String(i + 1));
    button.classList.toggle("chosen", rank >= 0 && (count > 2 || rank === 0));
    button.children[1].hidden = rank < 0 || count === 2;
    button.children[1].textContent = `${rank + 1}${["st", "nd", "rd"][rank] || "th"}`;
  });
  element("back").disabled = at === 0 && picked.length === 0;
  element("tie").textContent = picked.length ? "The others are equal (0)" : "Cannot tell (0)";
  element("tie").classList.toggle("chosen", kept !== "" && before.length === 0);
}

function finish() {
  only("end");
  const missing = steps - Object.keys(answers).length;
  element("end_title").textContent = missing
    ? `${missing} of ${steps} questions are open` : "Done: thank you";
  element("resume").textContent = missing ? "Go on" : "Look through the answers";
  element("csv").value = csv();
}

// --- the file ----------------------------------------------------------------------------------

function csv() {
  const quoted = `"${rater.replaceAll('"', '""')}"`;
  const lines = ["page,rater,item,question,choice,seconds"];
  for (let step = 0; step < steps; step++) {
    if (!(step in answers)) continue;
    const question = data.questions[step % perItem][0];
    const item = Math.floor(step / perItem) + 1;
    const given = answers[step];
    lines.push([data.page, quoted, item, question, given.choice, given.seconds].join(","));
  }
  return lines.join("\r\n") + "\r\n";
}

function download() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  link.download = `rating_${rater.replace(/[^\p{L}\p{N}]+/gu, "_")}.csv`;
  link.click();
  URL.revokeObjectURL(link.href);
}

// --- events ------------------------------------------------------------------------------------

element("start").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = element("rater").value.trim();
  if (name) enter(name);
});
element("tie").addEventListener("click", answer);
element("back").addEventListener("click", back);
element("forward").addEventListener("click", forward);
element("pause").addEventListener("click", finish);
element("download").addEventListener("click", download);
element("resume").addEventListener("click", () => show(firstOpen() % steps));
element("other").addEventListener("click", () => {
  element("rater").value = "";
  only("start");
  element("rater").focus();
});
document.addEventListener("keydown", (event) => {
  if (element("rating").hidden || event.repeat) return;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "0") answer();
  else if (/^[1-9]$/.test(event.key)) pick(Number(event.key));
  else if (event.key === "ArrowLeft") back();
  else if (event.key === "ArrowRight") forward();
  else return;
  event.preventDefault();
});
// The time that the page is out of sight is not counted.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) spent += performance.now() - since;
  since = performance.now();
});

// All images at one size: one row of up to four, two of more, above the buttons where that fits.
const columns = Math.min(count, 4);
const height = `(100vh - 350px) / ${Math.ceil(count / columns)}`;
element("images").style.setProperty(
  "--side", `min(${Math.floor(92 / columns)}vw - 32px, max(160px, ${height}), 512px)`);
element("what").textContent = (count === 2
  ? `You will see ${data.items.length} pairs of images` :
  `You will see ${data.items.length} groups of ${count} images`)
  + (perItem === 2 ? " and answer two questions about each." : ".");
const last = stored(STORE);
if (last) enter(last);
else only("start");
