// The review page. Text of documents reaches the page through textContent alone.
const $ = (id) => document.getElementById(id);
const FILTERS = [["waiting", "Waiting"], ["", "All"], ["failed", "Failed"], ["satisfied", "Satisfied"]];
const state = {
  fields: [], at: 0, filter: "waiting", one: null, page: 1, lines: [], from: -1, to: -1, box: null,
  boxing: false, last: null, busy: false, wanted: null, total: 0};

// an exported file: all of it is here, to be read only
const inside = $("data") && JSON.parse($("data").textContent);
function kept(path, body) {
  if (body) throw new Error("This is a copy to read: reviews are made with layoutllm view.");
  if (path.includes("/pages/")) return {lines: []};
  if (path.includes("/fields/")) { return inside.fields.find((f) => place(f) === path); }
  const q = new URLSearchParams(path.split("?")[1]), text = q.get("text").toLowerCase();
  const fields = inside.fields.filter((f) => (!q.get("waiting") || f.waiting)
    && (!q.get("verdict") || f.verdict === q.get("verdict")) && (f.confidence ?? 0) <= q.get("most")
    && `${f.document} ${f.name} ${f.answer ?? ""}`.toLowerCase().includes(text));
  return {fields, total: fields.length};
}
async function call(path, body) {
  if (inside) return kept(path, body);
  const options = body
    ? {method: "POST", headers: {"content-type": "application/json"}, body: JSON.stringify(body)} : {};
  const reply = await fetch(path, options), data = await reply.json().catch(() => ({}));
  if (!reply.ok) throw new Error(`${data.message ?? "Refused."} ${data.hint ?? ""}`);
  return data;
}
const say = (text) => { $("status").textContent = text; };
const place = (one) => `api/documents/${one.key}/fields/${encodeURIComponent(one.name)}`;
function element(tag, text, kind) {
  const made = document.createElement(tag); made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

const LIMIT = 200;  // fields that are fetched at once; the service gives at most 1000
function asked(offset, limit) {
  const query = new URLSearchParams({
    text: $("search").value, most: $("most").value, offset, limit: Math.min(limit, 1000)});
  if (state.filter === "waiting") query.set("waiting", "true");
  else if (state.filter) query.set("verdict", state.filter);
  return query;
}
async function more() {
  const length = state.fields.length, data = await call(`api/fields?${asked(length, LIMIT)}`);
  if (state.fields.length !== length) return;
  state.fields.push(...data.fields); state.total = data.total; list();
}
// Afterwards the first of the fields in ``next`` (as api paths) that the list still holds is open, or none;
// without them, the first.
async function load(next) {
  const data = await call(`api/fields?${asked(0, Math.max(LIMIT, next ? state.fields.length : 0))}`);
  state.fields = data.fields; state.total = data.total; $("count").textContent = `${data.total} fields`;
  const at = next?.map((path) => data.fields.findIndex((f) => place(f) === path)).find((found) => found >= 0);
  await choose(next ? at ?? data.fields.length : 0);
}
function list() {
  $("fields").replaceChildren(...state.fields.map((one, at) => {
    const item = element("li", "", one.waiting ? "waiting" : one.verdict);
    item.setAttribute("role", "option"); item.id = `field-${at}`;
    item.setAttribute("aria-selected", String(at === state.at));
    item.append(
      element("b", one.name), element("span", one.answer ?? "not in the document"),
      element("div", `${one.document.split("/").pop()} · ${(one.confidence ?? 0).toFixed(2)}`, "small"));
    item.addEventListener("click", () => run(() => choose(at)));
    return item;
  }));
  if (state.fields.length < state.total) {
    const item = element("li", `${state.total - state.fields.length} more`, "small"); item.id = "more";
    item.addEventListener("click", () => run(more)); $("fields").append(item);
  }
  $("fields").setAttribute("aria-activedescendant", `field-${state.at}`);
  $(`field-${state.at}`)?.scrollIntoView({block: "nearest"});
}
async function choose(at) {
  state.at = Math.max(0, at); list();
  const field = state.fields[state.at];
  state.one = state.wanted = null;  // until the new one is here, no key may reach the old one
  document.body.setAttribute("aria-busy", String(Boolean(field)));
  if (!field) { reset(); show({}); marks(); return; }
  await open(field);
}
async function open(field) {
  state.wanted = field;
  const one = await call(place(field));
  if (state.wanted !== field) return;
  state.one = one; document.body.setAttribute("aria-busy", "false"); reset(); show(one);
  await turn(one.page ?? one.cot?.areas[0]?.page ?? one.asked ?? 1);
}
function show(one) {
  $("document").textContent = one.document ?? "";
  $("question").textContent = one.question ?? "Nothing left here.";
  $("answer").textContent = one.key ? one.error ?? one.answer ?? "not in the document" : "";
  $("verdict").textContent = one.key
    ? `${one.verdict} · by ${one.by} · confidence ${(one.confidence ?? 0).toFixed(2)}` : "";
  $("steps").replaceChildren(...Object.values(one.cot?.steps ?? {}).map((text) => element("li", text)));
  $("reasons").replaceChildren(...(one.reasons ?? []).map((text) => element("li", text)));
  $("tried").replaceChildren(...(one.attempts ?? []).map((a) => element("li", `${
    a.cot.answer ?? "not in the document"}${
    a.correction ? ` (after a correction of the ${a.correction.step})` : ""}`)));
}
async function turn(page) {
  const one = state.one; state.page = page; state.lines = []; state.from = -1;
  $("where").textContent = one.pages ? `page ${page} of ${one.pages}` : `page ${page}`;
  $("picture").src = inside
    ? inside.pictures[`${one.key}/${page}`] ?? "" : `api/documents/${one.key}/pages/${page}.webp`;
  marks();
  const data = await call(`api/documents/${one.key}/pages/${page}`);
  if (state.one === one && state.page === page) { state.lines = data.lines; marks(); }
}
function rectangle(box, kind) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  for (const [name, value] of Object.entries({
    x: box[0], y: box[1], width: box[2] - box[0], height: box[3] - box[1], class: kind
  })) made.setAttribute(name, value);
  return made;
}
function marks() {
  const drawn = [], [low, high] = [Math.min(state.from, state.to), Math.max(state.from, state.to)];
  for (const area of state.one?.cot?.areas ?? [])
    if (area.page === state.page) drawn.push(rectangle(area.box, "area"));
  for (const found of state.one?.cot?.evidence ?? [])
    if (found.page === state.page) drawn.push(rectangle(found.box, "answer"));
  state.lines.forEach((line, at) => {
    const made = rectangle(line.box, state.from >= 0 && at >= low && at <= high ? "line picked" : "line");
    made.dataset.at = at; drawn.push(made);
  });
  if (state.box) drawn.push(rectangle(state.box, "drawn"));
  $("marks").replaceChildren(...drawn); $("marks").classList.toggle("boxing", state.boxing);
}
function reset() {
  state.from = state.to = -1; state.box = null; state.boxing = false; $("edit").hidden = true; say("");
}

// ``stay``: with the field, whose new answer is to be looked at.
async function send(body, stay) {
  if (!state.one || state.busy) return;
  state.busy = true; say("Working …");
  try {
    const sent = state.one, at = state.fields.findIndex((f) => place(f) === place(sent));
    // On to what no person has spoken of yet: the list is sorted anew, and a reviewed field may come after
    // this one by then.
    const next = [
      ...state.fields.slice(at + 1),
      ...(state.filter === "waiting" ? state.fields.slice(0, Math.max(at, 0)) : [])];
    const paths = next.filter((f) => f.by !== "person").map(place), data = await call(place(sent), body);
    const after = data.fields.find((one) => one.name === sent.name);
    state.last = sent; await load(stay ? [place(sent)] : paths);
    if (stay && !state.one) await open(sent);
    say(`${after.name}: ${after.answer ?? "not in the document"}`);
  } finally { state.busy = false; }
}
function correct() {
  const low = Math.min(state.from, state.to), high = Math.max(state.from, state.to);
  const boxes = state.box ? [state.box]
    : state.from >= 0 ? state.lines.slice(low, high + 1).map((line) => line.box) : [];
  if (boxes.length) return send({correction: {step: "area", page: state.page, boxes}});
}

// The plan of the open document, as it is edited. What has no control here (columns, paths, pages) is kept.
let plan = null;
function control(tag, item, key, label) {
  const made = element(tag, "", key);
  made.setAttribute("aria-label", label); made.value = item[key] ?? "";
  made.addEventListener("input", () => { item[key] = made.value; });
  return made;
}
function choice(item, key, label, values) {
  const made = control("select", item, key, label);
  made.replaceChildren(...values.map((value) => element("option", value)));
  made.value = item[key];
  return made;
}
function does(text, label, act) {
  const made = element("button", text);
  made.setAttribute("aria-label", label); made.addEventListener("click", act);
  return made;
}
function moved(list, at, by) {
  const to = at + by;
  if (to >= 0 && to < list.length) { [list[at], list[to]] = [list[to], list[at]]; drawPlan(); }
}
const dropped = (list, at) => does("✕", "Drop it", () => { list.splice(at, 1); drawPlan(); });
function row(...parts) { const made = document.createElement("li"); made.append(...parts); return made; }
function planned(question, at) {
  const {questions} = plan.plan, name = control("input", question, "name", "Name");
  const text = control("input", question, "text", "Question");
  name.maxLength = 64; text.maxLength = 500;
  return row(
    name, text, choice(question, "type", "Type", plan.types),
    does("↑", "Move up", () => moved(questions, at, -1)),
    does("↓", "Move down", () => moved(questions, at, 1)), dropped(questions, at));
}
function constrained(constraint, at) {
  const terms = element("input", "", "text"), total = control("input", constraint, "total", "The sum");
  terms.value = constraint.terms.join(", "); terms.setAttribute("aria-label", "Names, with commas between");
  terms.addEventListener("input", () => {
    constraint.terms = terms.value.split(",").map((name) => name.trim()).filter(Boolean);
  });
  const kind = choice(constraint, "kind", "Kind", plan.constraints);
  kind.addEventListener("input", drawPlan);
  total.hidden = constraint.kind !== "sum"; total.placeholder = "total";
  return row(kind, terms, total, dropped(plan.plan.constraints, at));
}
function drawPlan() {
  const {questions, constraints, operations} = plan.plan;
  $("questions").replaceChildren(...questions.map(planned));
  $("constraints").replaceChildren(...constraints.map(constrained));
  $("operations").replaceChildren(...operations.map((one, at) => row(
    element("span", `${one.name}: ${one.op} of ${one.of.join(", ")}`), dropped(operations, at))));
  $("computed").hidden = !operations.length;
}
async function openPlan() {
  const one = state.one;
  if (!one) return;
  const data = await call(`api/documents/${one.key}/plan`);
  if (state.one !== one) return;
  plan = {...data, key: one.key}; $("planned").textContent = one.document; $("fault").textContent = "";
  drawPlan(); $("plan").showModal();
}
// Answers to what the plan leaves as it was are kept.
async function carryOut() {
  if (state.busy) return;
  state.busy = true; $("fault").textContent = ""; $("carry").disabled = true;
  try {
    const {plan: edited, key} = plan;
    for (const one of edited.constraints) one.total = one.kind === "sum" ? one.total || null : null;
    const data = await call(`api/documents/${key}/plan`, {plan: edited});
    $("plan").close();
    await load(data.fields.map(place));
    say(`The plan was carried out: ${data.fields.length} answers`);
  } catch (error) { $("fault").textContent = error.message; }
  finally { state.busy = false; $("carry").disabled = false; }
}
$("carry").addEventListener("click", carryOut);
$("leave").addEventListener("click", () => $("plan").close());
$("ask").addEventListener("click", () => {
  const {questions} = plan.plan;
  questions.push({name: `field_${questions.length + 1}`, text: "", type: "text"}); drawPlan();
  $("questions").lastElementChild.querySelector(".text").focus();
});
$("constrain").addEventListener("click", () => {
  plan.plan.constraints.push({kind: plan.constraints[0], terms: [], total: null}); drawPlan();
});

const acts = {
  a: () => send({accept: true}), x: () => send({absent: true}),
  w: () => send({wrong: true}, true), n: () => send({again: true}, true), p: openPlan,
  e: () => {
    if (state.one) {
      $("edit").hidden = false; $("written").value = state.one.answer ?? "";
      $("written").focus(); $("written").select();
    }
  },
  b: () => {
    state.boxing = true; say("Drag a box, or go over the lines with the arrow keys; Enter sends."); marks();
  },
  j: async () => {
    if (state.at + 1 >= state.fields.length && state.fields.length < state.total) await more();
    await choose(Math.min(state.at + 1, state.fields.length - 1));
  },
  k: () => choose(state.at - 1),
  u: async () => {
    if (!state.last) return;
    const at = state.fields.findIndex((f) => place(f) === place(state.last));
    if (at >= 0) await choose(at); else await open(state.last);
  },
  Enter: correct, Escape: () => { reset(); marks(); },
  "?": () => $("help").showModal(),
};
async function run(act) { try { await act(); } catch (error) { say(error.message); } }

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open || $("plan").open) return;
  if (event.target.matches("input")) { if (event.key === "Escape") { event.target.blur(); reset(); } return; }
  if (event.target.matches("button") && event.key === "Enter") return;
  if (state.boxing && /^Arrow/.test(event.key) && state.lines.length) {
    const next = Math.max(0, Math.min(
      state.lines.length - 1, state.to + (/Down|Right/.test(event.key) ? 1 : -1)));
    state.to = next; if (!event.shiftKey || state.from < 0) state.from = next;
    state.box = null; say(state.lines[next].text); event.preventDefault(); return marks();
  }
  if (/^[1-4]$/.test(event.key)) { event.preventDefault(); return filter(FILTERS[event.key - 1][0]); }
  if (acts[event.key]) { event.preventDefault(); run(acts[event.key]); }
});
$("edit").addEventListener("submit", (event) => {
  event.preventDefault();
  const answer = $("written").value.trim(); $("written").blur();
  if (answer) run(() => send({answer}));
});
for (const button of document.querySelectorAll("[data-act]"))
  button.addEventListener("click", () => { button.blur(); run(acts[button.dataset.act]); });
function filter(name) { state.filter = name; chips(); run(() => load()); }
function chips() {
  $("chips").replaceChildren(...FILTERS.map(([name, text]) => {
    const made = element("button", text); made.setAttribute("aria-pressed", String(state.filter === name));
    made.addEventListener("click", () => filter(name)); return made;
  }));
}
let start = null;
const point = (event) => {
  const r = $("marks").getBoundingClientRect();
  return [event.clientX - r.left, event.clientY - r.top].map(
    (v, i) => Math.round(Math.max(0, Math.min(1000, 1000 * v / (i ? r.height : r.width)))));
};
$("marks").addEventListener("pointerdown", (event) => {
  if (state.one) { start = point(event); $("marks").setPointerCapture(event.pointerId); }
});
$("marks").addEventListener("pointermove", (event) => {
  if (!start || !state.boxing) return;
  const [x, y] = point(event); state.from = -1;
  state.box = [Math.min(x, start[0]), Math.min(y, start[1]), Math.max(x, start[0]), Math.max(y, start[1])];
  marks();
});
$("marks").addEventListener("pointerup", (event) => {
  const [x, y] = point(event), still = start && Math.abs(x - start[0]) + Math.abs(y - start[1]) < 6;
  start = null;
  if (!still) return;
  const at = state.lines.findIndex(({box}) => x >= box[0] && x <= box[2] && y >= box[1] && y <= box[3]);
  state.box = null; state.from = state.to = at; state.boxing = true;
  if (at >= 0) say(`${state.lines[at].text} (Enter sends)`);
  marks();
});
$("before").addEventListener("click", () => {
  if (state.one?.pages && state.page > 1) run(() => turn(state.page - 1));
});
$("after").addEventListener("click", () => {
  if (state.one && state.page < (state.one.pages ?? 1)) run(() => turn(state.page + 1));
});
let timer;
for (const id of ["search", "most"]) $(id).addEventListener("input", () => {
  $("most-shown").textContent = Number($("most").value).toFixed(2);
  clearTimeout(timer); timer = setTimeout(() => run(() => load()), 150);
});
if (!inside) history.replaceState(null, "", location.pathname);  // the token is in a cookie by now
if (inside) {
  state.filter = "";
  for (const button of document.querySelectorAll("[data-act]")) button.hidden = true;
}
chips();
run(async () => { await load(); if (inside?.missing) say(`${inside.missing} pages without a picture`); });
