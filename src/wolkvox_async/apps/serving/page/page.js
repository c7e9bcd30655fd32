// The page of `watch`: reads the board once (/outline.json), then follows what changes (/events).
//
// Everything that comes from a tenants file or the vendor becomes text by `textContent`, never HTML, and
// stands in a <bdi>: its direction stays its own. Only what is visible has elements: the squares are drawn
// on a canvas as large as its window, the list keeps a handful of rows. How good a reading still is (its condition)
// is worked out here each second, by the rule of `conditions.py`: a page that has lost the connection goes on ageing.
"use strict";

// What conditions are called, and their shapes in a square of 16: colour is never the only sign. The worst first.
const CONDITIONS = {
  refused: {
    word: "Refused", says: "the vendor does not take the token",
    path: "M8 .6a7.400 7.400 0 1 1 0 14.800A7.400 7.400 0 0 1 8 .6zM3.600 6.600v2.800h8.800V6.600z",
  },
  never: { word: "Never read", says: "nothing was read since it is watched", path: "M1 1h14v14H1zM3.800 3.800v8.400h8.400V3.800z" },
  stale: { word: "Stale", says: "no reading for three intervals or more", path: "M8 .2 15.800 8 8 15.800.2 8z" },
  failed: {
    word: "Failed", says: "the last call failed",
    path: "M3.100.7 8 5.600 12.900.7l2.400 2.400L10.400 8l4.900 4.900-2.400 2.400L8 10.400l-4.900 4.900L.7 12.900 5.600 8 .7 3.100z",
  },
  late: { word: "Late", says: "no reading for one and a half intervals", path: "M8 1 15.600 15H.4z" },
  pending: { word: "Pending", says: "its first reading is still to come", path: "M8 4.400a3.600 3.600 0 1 1 0 7.200 3.600 3.600 0 0 1 0-7.200z" },
  fresh: {
    word: "Fresh", says: "read within one and a half intervals",
    path: "M4 1h8a3 3 0 0 1 3 3v8a3 3 0 0 1-3 3H4a3 3 0 0 1-3-3V4a3 3 0 0 1 3-3z",
  },
};
const SEVERITY = Object.fromEntries(Object.keys(CONDITIONS).map((name, rank) => [name, rank]));
const WELL = new Set(["fresh", "pending"]);
const REASONS = {
  overrun: ["Overrun", "what is before it takes too long"],
  down: ["Server down", "its server does not answer"],
  held: ["Token refused", "the vendor refuses the token"],
  quota: ["Quota used up", "the quota of the token is used up"],
  busy: ["Other process", "another process has the token"],
  sink: ["Output", "the output takes nothing"],
  suspended: ["Suspended", "the machine or the program stood still, or its clock was set forward"],
  stopped: ["Stopped", "the program did not run"],
  infeasible: ["Too much asked", "more is asked than may be in flight"],
  closing: ["Closing", "a closing reading was taken less than an interval before"],
};
const REFUSALS = new Set(["unauthorized", "forbidden", "held"]);
const LATE = 1.5, STALE = 3;
const OVERSCAN = 6, RETRY_FIRST = 2, RETRY_MOST = 30, SILENCE = 40, HIDDEN = 60, MOST_MISSED = 6, MOST_MACHINES = 40;

const $ = id => document.getElementById(id);
const numbers = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const local = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const clockTime = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

const board = {
  mark: "", run: null, since: null, offset: 0, totals: null, cluster: null, posts: [], lines: new Map(), names: null, loaded: false,
};
const filters = { words: [], conditions: new Set(), server: "", api: "", reason: "", problems: false, missed: false, order: "problems" };
const view = { lines: [], posts: [], counts: {}, active: 0, row: 0, rowHeight: 60, pool: [] };

// ---- Elements -------------------------------------------------------------------------------------------------

/** Make an element; strings among `children` become text. */
function make(tag, attributes = {}, ...children) {
  const made = tag === "svg" || tag === "path" || tag === "line" || tag === "circle"
    ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter(child => child !== null));
  return made;
}

/** Set an element's text, if it is another one. */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function show(element, isShown) {
  if (element.hidden === isShown) element.hidden = !isShown;
}

/** A name that somebody else chose: isolated, and cut to what anybody would read. */
function named(text, most = 200) {
  return make("bdi", { dir: "auto" }, clipped(text, most));
}

function clipped(text, most = 200) {
  return text.length > most ? text.slice(0, most) + "…" : text;
}

function icon(condition) {
  const made = make("svg", { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true" });
  made.append(make("path", { d: CONDITIONS[condition].path }));
  return made;
}

function badge(condition) {
  return make("span", { class: `badge is-${condition}`, title: CONDITIONS[condition].says }, icon(condition), CONDITIONS[condition].word);
}

// ---- Words ----------------------------------------------------------------------------------------------------

function nowSeconds() {
  return Date.now() / 1000 + board.offset;
}

function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min${whole < 600 && whole % 60 > 0 ? ` ${whole % 60} s` : ""}`;
  if (whole < 172800) return `${Math.floor(whole / 3600)} h ${Math.floor(whole % 3600 / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor(whole % 86400 / 3600)} h`;
}

const ago = (at, now) => now - at < 1 ? "just now" : `${duration(now - at)} ago`;
const until = (at, now) => at >= now ? `in ${duration(at - now)}` : `${duration(now - at)} overdue`;
const exactly = at => `${local.format(at * 1000)} · ${new Date(at * 1000).toISOString().replace(".000Z", "Z")} UTC`;
const seconds = text => text === null ? null : Date.parse(text) / 1000;
const plural = (count, one, many) => `${numbers.format(count)} ${count === 1 ? one : many}`;
const reasonWord = reason => REASONS[reason] ? REASONS[reason][0] : reason;

function monthWord(month) {
  const [year, number] = month.split("-").map(Number);
  return new Date(Date.UTC(year, number - 1)).toLocaleDateString("en", { month: "short", year: "numeric", timeZone: "UTC" });
}

/** A time for people: the viewer's own, with UTC when pointed at. */
function time(at, text) {
  return make("time", { datetime: new Date(at * 1000).toISOString(), title: exactly(at) }, text ?? local.format(at * 1000));
}

// ---- The board ------------------------------------------------------------------------------------------------

function conditionOf(line, now) {
  if (line.waits === "held" || line.gap === "held" || REFUSALS.has(line.error)) return "refused";
  if (line.error !== null) return "failed";
  let intervals = (now - (line.good ?? line.added)) / line.interval;
  if (line.gap === "closing") intervals -= 1;
  if (line.good === null) return intervals < LATE ? "pending" : "never";
  return intervals < LATE ? "fresh" : intervals < STALE ? "late" : "stale";
}

function takeBoard(told) {
  Object.assign(board, { mark: told.mark, run: told.run, since: seconds(told.since), totals: told.totals, cluster: told.cluster, names: told.names, loaded: true });
  const kept = new Map([...board.lines.values()].map(line => [line.number, line.slots]));
  board.posts = told.posts.map(([key, tenant, name, server, zone, token], index) => postOf({
    key, tenant: told.names.tenants[tenant], name, server: told.names.servers[server], zone: told.names.zones[zone], token, index,
  }));
  board.lines = new Map();
  for (const [post, api, interval, added, ...rest] of told.lines) {
    const line = { post: board.posts[post], api: told.names.apis[api], interval, added, slots: null };
    takeLine(line, rest);
    if (kept.get(line.number)?.count === line.count) line.slots = kept.get(line.number);
    line.text = `${line.post.text} ${line.api}`.toLowerCase();
    line.post.lines.push(line);
    board.lines.set(line.number, line);
  }
  reckon(nowSeconds());
}

function postOf(post) {
  return { ...post, text: `${post.tenant} ${post.name} ${post.server} ${post.token}`, lines: [], condition: "pending", missed: false };
}

function takeLine(line, values) {
  [line.number, line.at, line.outcome, line.items, line.rows, line.good, line.error, line.gap,
    line.due, line.waits, line.flying, line.gaps, line.closing, line.count, line.last] = values;
  line.missed = line.closing !== null && line.closing[1] === 0;
  line.missing = line.gaps === null ? 0 : Object.values(line.gaps).reduce((sum, count) => sum + count, 0);
}

/** Take a line that has changed; what is known of its slots grows by the last one, or is asked for again. */
function changeLine(values) {
  const line = board.lines.get(values[0]);
  if (line === undefined) return;
  const before = line.count;
  takeLine(line, values);
  if (line.slots === null || line.count === before) return;
  if (line.count === before + 1) addSlot(line.slots, line.last);
  else line.slots = null;
}

function addSlot(slots, [at, ending, items]) {
  slots.count += 1;
  for (const [name, value] of Object.entries({ at, ending, items })) {
    slots[name].push(value);
    if (slots[name].length > 48) slots[name].shift();
  }
}

/** Work out all conditions; tell whether one has changed. */
function reckon(now) {
  let changed = false;
  const counts = Object.fromEntries(Object.keys(CONDITIONS).map(name => [name, 0]));
  for (const post of board.posts) {
    let worst = "fresh", missed = false;
    for (const line of post.lines) {
      const condition = conditionOf(line, now);
      if (condition !== line.condition) { line.condition = condition; changed = true; }
      if (SEVERITY[condition] < SEVERITY[worst]) worst = condition;
      if (line.missed) missed = true;
    }
    if (worst !== post.condition || missed !== post.missed) { post.condition = worst; post.missed = missed; changed = true; }
    counts[worst] += 1;
  }
  view.counts = counts;
  return changed;
}

// ---- Filters --------------------------------------------------------------------------------------------------

function fits(line) {
  const { post } = line;
  if (filters.problems && WELL.has(line.condition) && !line.missed) return false;
  if (filters.missed && !line.missed) return false;
  if (filters.conditions.size > 0 && !filters.conditions.has(line.condition)) return false;
  if (filters.server !== "" && post.server !== filters.server) return false;
  if (filters.api !== "" && line.api !== filters.api) return false;
  if (filters.reason !== "" && line.waits !== filters.reason && !line.gaps?.[filters.reason]) return false;
  return filters.words.every(word => line.text.includes(word) || line.condition === word || line.waits === word);
}

function isFiltered() {
  return filters.problems || filters.missed || filters.conditions.size > 0 || filters.words.length > 0
    || filters.server !== "" || filters.api !== "" || filters.reason !== "";
}

/** Choose what is shown, and in which order. */
function choose() {
  const fitting = [];
  for (const line of board.lines.values()) if (fits(line)) fitting.push(line);
  view.posts = isFiltered() ? [...new Set(fitting.map(line => line.post))] : board.posts;
  view.lines = ordered(fitting);
  view.sorted = Date.now();
  view.row = Math.min(view.row, Math.max(0, view.lines.length - 1));
  view.active = Math.min(view.active, Math.max(0, view.posts.length - 1));
}

function ordered(lines) {
  if (filters.order === "file") return lines;
  if (filters.order === "gaps") return [...lines].sort((a, b) => b.missing - a.missing);
  const shelves = Array.from({ length: Object.keys(CONDITIONS).length + 1 }, () => []);
  for (const line of lines) shelves[line.missed ? 0 : SEVERITY[line.condition] + 1].push(line);
  return shelves.flat();
}

function clearFilters() {
  Object.assign(filters, { words: [], server: "", api: "", reason: "", problems: false, missed: false });
  filters.conditions.clear();
  for (const id of ["search", "server", "api", "reason"]) $(id).value = "";
  $("problems").checked = false;
  refilter();
}

function refilter() {
  view.row = 0;
  view.active = 0;
  $("cells").scrollTop = 0;
  choose();
  render();
  say($("announce"), shownWords());
}

function shownWords() {
  return `${plural(view.posts.length, "operation", "operations")} shown, ${plural(view.lines.length, "endpoint", "endpoints")}`;
}

function fillSelect(id, first, values) {
  const select = $(id), chosen = select.value;
  select.replaceChildren(make("option", { value: "" }, first), ...values.map(([value, text]) => make("option", { value }, text)));
  select.value = values.some(([value]) => value === chosen) ? chosen : "";
}

function fillSelects() {
  fillSelect("server", "all", [...board.names.servers].sort().map(name => [name, name]));
  fillSelect("api", "all", [...board.names.apis].sort().map(name => [name, name]));
  fillSelect("reason", "any", Object.entries(REASONS).map(([reason, [word]]) => [reason, word]));
  for (const id of ["server", "api", "reason"]) filters[id] = $(id).value;
}

// ---- Totals, chips, notices -----------------------------------------------------------------------------------

const PARTS = [drawTotals, drawCluster, drawChips, drawMissed, drawCells, drawRows, drawNothing];
const dirty = new Set();
let drawing = 0;

/** Draw parts anew at the next chance, all of them if none is named; many changes make one drawing. */
function render(...parts) {
  for (const part of parts.length > 0 ? parts : PARTS) dirty.add(part);
  if (drawing === 0) drawing = requestAnimationFrame(draw);
}

function draw() {
  drawing = 0;
  if (!board.loaded) return;
  const name = !view.drawn ? "first draw" : dirty.size === PARTS.length ? "redraw" : "tick";
  view.drawn = true;
  measured(name, () => { for (const part of PARTS) if (dirty.delete(part)) part(); });
}

/** Do something, and note how long it takes: the first hundreds of times, for whoever measures the page. */
function measured(name, work) {
  const start = performance.now();
  work();
  view.measured = (view.measured ?? 0) + 1;
  if (view.measured <= 400) performance.measure(name, { start });
}

function drawTotals() {
  const { totals, posts, lines } = board;
  const well = view.counts.fresh, due = posts.length - view.counts.pending;
  say($("tile-operations"), numbers.format(posts.length));
  say($("tile-operations-more"), plural(lines.size, "endpoint watched", "endpoints watched"));
  say($("tile-fresh"), due > 0 ? `${(Math.floor(well / due * 1000) / 10).toFixed(1)} %` : "–");
  say($("tile-fresh-more"), due > 0 ? `${numbers.format(well)} of ${numbers.format(due)} fresh` : "no first readings yet");
  say($("tile-calls"), compactly(totals.ok + totals.empty + totals.failed));
  say($("tile-calls-more"), `${numbers.format(totals.failed)} failed, ${numbers.format(totals.empty)} empty`);
  const gaps = Object.entries(totals.gaps).sort((a, b) => b[1] - a[1]);
  say($("tile-gaps"), compactly(gaps.reduce((sum, [, count]) => sum + count, 0)));
  say($("tile-gaps-more"), gaps.slice(0, 2).map(([reason, count]) => `${compactly(count)} ${reason}`).join(", ") || "none");
  say($("tile-rows"), compactly(totals.rows));
  say($("tile-rows-more"), board.since === null ? "" : `in ${duration(nowSeconds() - board.since)}`);
  drawClosings(totals);
  say($("shown"), isFiltered() ? `${numbers.format(view.posts.length)} of ${plural(posts.length, "operation", "operations")}` : "");
  show($("clear"), isFiltered());
}

const compactly = count => count < 100000 ? numbers.format(count) : compact.format(count);

function drawClosings({ taken, missed }) {
  say($("tile-closings"), taken + missed === 0 ? "–" : numbers.format(taken));
  const more = $("tile-closings-more");
  say(more, taken + missed === 0 ? "none due yet" : missed === 0 ? "taken, none missed" : `taken, ${numbers.format(missed)} missed`);
  more.className = missed === 0 ? "quiet" : "quiet is-missed";
}

/** The machines that share the work, if there are any. */
function drawCluster() {
  const { cluster } = board;
  if (cluster === view.cluster) return;
  view.cluster = cluster;
  show($("cluster"), cluster !== null);
  if (cluster === null) return;
  const { workers, ours, partitions, unstored } = cluster, more = workers.length - MOST_MACHINES;
  say($("cluster-title"), plural(workers.length, "machine", "machines"));
  const waiting = unstored > 0 ? ` · ${plural(unstored, "call or gap", "calls and gaps")} not stored yet` : "";
  say($("cluster-text"), `this one has ${numbers.format(ours)} of ${plural(partitions, "partition", "partitions")}${waiting}`);
  $("cluster-troubles").replaceChildren(...clusterTroubles(cluster).map(text => make("li", {}, text)));
  const items = workers.slice(0, MOST_MACHINES).map(machineItem);
  if (more > 0) items.push(make("li", { class: "quiet" }, `and ${numbers.format(more)} more`));
  $("cluster-machines").replaceChildren(...items);
}

function clusterTroubles({ current, stuck, nobody }) {
  const troubles = [];
  if (!current) troubles.push("The store does not answer. Calls stop when the leases end; records wait until it is back.");
  if (stuck > 0) troubles.push(`The store is full: ${plural(stuck, "token is", "tokens are")} not called.`);
  if (current && nobody > 0) troubles.push(`No machine has ${plural(nobody, "partition", "partitions")}: tokens in there are not called.`);
  return troubles;
}

function machineItem({ id, name, able, partitions }) {
  const said = make("span", { class: "quiet" }, plural(partitions, "partition", "partitions"));
  const trouble = able ? null : make("span", { class: "warn" }, "cannot reach the vendor");
  return make("li", { title: clipped(id) }, make("span", { class: "clip" }, named(name)), said, trouble);
}

function drawAbout() {
  const about = $("about");
  if (board.since === null) return say(about, "Starting");
  about.replaceChildren("Watching since ", time(board.since), make("span", {}, ` · run ${board.run}`));
}

function makeChips() {
  const chips = Object.entries(CONDITIONS).map(([name, { word, says }]) => {
    const button = make("button", { type: "button", class: `is-${name}`, title: says, "aria-pressed": "false", onclick: () => press(name) },
      icon(name), word, make("b"));
    return [name, button];
  });
  const missed = make("button", { type: "button", class: "is-missed", "aria-pressed": "false", onclick: pressMissed }, icon("failed"), "Closing missed", make("b"));
  view.chips = new Map([...chips.reverse(), ["missed", missed]]);
  $("chips").append(...view.chips.values());
  view.bars = new Map([...view.chips.keys()].filter(name => name !== "missed").map(name => [name, make("i", { class: `is-${name}` })]));
  $("bar").append(...view.bars.values());
}

function press(name) {
  if (!filters.conditions.delete(name)) filters.conditions.add(name);
  refilter();
}

function pressMissed() {
  filters.missed = !filters.missed;
  refilter();
}

function drawChips() {
  const missed = board.posts.reduce((sum, post) => sum + post.missed, 0);
  for (const [name, button] of view.chips) {
    const count = name === "missed" ? missed : view.counts[name];
    say(button.lastChild, numbers.format(count));
    button.dataset.count = count;
    button.setAttribute("aria-pressed", String(name === "missed" ? filters.missed : filters.conditions.has(name)));
    if (name === "missed") show(button, count > 0 || filters.missed);
  }
  const troubled = board.posts.reduce((sum, post) => sum + (post.missed || !WELL.has(post.condition)), 0);
  const title = `${troubled > 0 ? `(${numbers.format(troubled)}) ` : ""}wolkvox-async watch`;
  if (document.title !== title) document.title = title;
  for (const [name, bar] of view.bars) {
    bar.style.flexGrow = view.counts[name];
    show(bar, view.counts[name] > 0);
  }
}

function drawMissed() {
  const missed = [];
  for (const line of board.lines.values()) if (line.missed) missed.push(line);
  const state = missed.map(line => `${line.number} ${line.closing}`).join();
  if (state === view.missedState) return;
  view.missedState = state;
  show($("missed"), missed.length > 0);
  say($("missed-title"), missed.length === 1 ? "A closing reading was missed" : `${numbers.format(missed.length)} closing readings were missed`);
  const items = missed.slice(0, MOST_MISSED).map(line => make("li", {}, missedButton(line)));
  if (missed.length > MOST_MISSED) items.push(make("li", {}, make("button", { type: "button", onclick: pressMissed }, `and ${numbers.format(missed.length - MOST_MISSED)} more`)));
  $("missed-list").replaceChildren(...items);
}

function missedButton(line) {
  const [month, , reason] = line.closing;
  const name = make("span", { class: "clip" }, named(line.post.tenant), " / ", named(line.post.name), ` · ${line.api}`);
  return make("button", { type: "button", onclick: () => openDetail(line.post) }, name, make("span", {}, `${monthWord(month)}, ${reasonWord(reason)}`));
}

// ---- The squares ----------------------------------------------------------------------------------------------

const shapes = Object.fromEntries(Object.entries(CONDITIONS).map(([name, { path }]) => [name, new Path2D(path)]));
const stamps = new Map();
let colours = {};

function readColours() {
  const style = getComputedStyle(document.documentElement);
  colours = Object.fromEntries(Object.keys(CONDITIONS).map(name => [name, style.getPropertyValue(`--cell-${name}`).trim()]));
  colours.missed = style.getPropertyValue("--failed").trim();
  stamps.clear();
  view.cellState = "";
  view.rowHeight = parseInt(style.getPropertyValue("--row"), 10);
}

/** How far squares are apart: large while there are few of them, and so that they fill whole lines. */
function layCells() {
  const box = $("cells"), width = box.clientWidth, count = view.posts.length;
  const pitch = count <= 80 ? 36 : count <= 400 ? 26 : count <= 1600 ? 18 : count <= 4000 ? 14 : 11;
  const columns = Math.max(1, Math.floor(width / pitch));
  return { pitch, columns, rows: Math.ceil(count / columns), width, height: Math.min(316, box.clientHeight || 316) };
}

function drawCells() {
  const box = $("cells");
  show(box, view.posts.length > 0);
  if (view.posts.length === 0) return;
  const lay = view.lay = layCells();
  const tall = lay.rows * lay.pitch, seen = Math.min(tall, parseInt(getComputedStyle(box).maxHeight, 10));
  $("space").style.height = `${Math.max(0, tall - seen)}px`;
  const top = Math.min(box.scrollTop, tall - seen), context = sizedCanvas(lay.width, seen);
  const state = [lay.width, seen, lay.pitch, top, view.posts.length, devicePixelRatio].join();
  if (state !== view.cellState) {
    context.clearRect(0, 0, lay.width, seen);
    view.cellState = state;
    view.cellLooks = [];
  }
  const first = Math.floor(top / lay.pitch), last = Math.min(lay.rows, Math.ceil((top + seen) / lay.pitch));
  for (let row = first; row < last; row += 1) drawCellRow(context, lay, row, row * lay.pitch - top);
  box.setAttribute("aria-rowcount", lay.rows);
  box.setAttribute("aria-colcount", lay.columns);
  placeCell();
}

function sizedCanvas(width, height) {
  const canvas = $("canvas"), ratio = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

/** Draw those squares of a line that look different from what is there. */
function drawCellRow(context, lay, row, y) {
  const { pitch, columns } = lay, end = Math.min(view.posts.length, (row + 1) * columns);
  for (let index = row * columns; index < end; index += 1) {
    const post = view.posts[index], looks = stamp(post.condition, post.missed, pitch);
    if (view.cellLooks[index] === looks) continue;
    view.cellLooks[index] = looks;
    context.clearRect((index % columns) * pitch, y, pitch, pitch);
    context.drawImage(looks, (index % columns) * pitch, y, pitch, pitch);
  }
}

/** A square, drawn once for all that look alike. */
function stamp(condition, missed, pitch) {
  const name = `${condition}${missed}${pitch}${devicePixelRatio}`;
  if (!stamps.has(name)) stamps.set(name, drawStamp(condition, missed, pitch, devicePixelRatio || 1));
  return stamps.get(name);
}

function drawStamp(condition, missed, pitch, ratio) {
  const canvas = document.createElement("canvas"), context = canvas.getContext("2d");
  const room = pitch > 20 ? 5 : pitch > 12 ? 3 : 2, scale = (pitch - room) / 16 * ratio, edge = room / 2 * ratio;
  canvas.width = canvas.height = Math.round(pitch * ratio);
  context.setTransform(scale, 0, 0, scale, edge, edge);
  context.fillStyle = colours[condition];
  context.fill(shapes[condition], "evenodd");
  if (!missed) return canvas;
  context.strokeStyle = colours.missed;
  context.lineWidth = 2.4;
  context.strokeRect(-.4, -.4, 16.8, 16.8);
  return canvas;
}

function placeCell() {
  const cell = $("cell"), post = view.posts[view.active], { pitch, columns } = view.lay;
  show(cell, post !== undefined);
  if (post === undefined) return;
  const row = Math.floor(view.active / columns), column = view.active % columns;
  Object.assign(cell.style, { width: `${pitch}px`, height: `${pitch}px`, transform: `translate(${column * pitch}px, ${row * pitch}px)` });
  cell.setAttribute("aria-colindex", column + 1);
  $("cell-row").setAttribute("aria-rowindex", row + 1);
  cell.setAttribute("aria-label", postWords(post));
}

function postWords(post) {
  const missed = post.missed ? ", closing reading missed" : "";
  return `${clipped(post.tenant)} / ${clipped(post.name)}, server ${post.server}: ${CONDITIONS[post.condition].word}${missed}`;
}

function moveCell(step) {
  view.active = Math.max(0, Math.min(view.posts.length - 1, view.active + step));
  const box = $("cells"), { pitch, columns } = view.lay, top = Math.floor(view.active / columns) * pitch;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (top + pitch > box.scrollTop + box.clientHeight) box.scrollTop = top + pitch - box.clientHeight;
  placeCell();
}

function cellKey(event) {
  const { columns } = view.lay ?? { columns: 1 };
  const steps = {
    ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, PageDown: columns * 8, PageUp: -columns * 8,
    Home: -view.posts.length, End: view.posts.length,
  };
  if (event.key === "Enter" || event.key === " ") openDetail(view.posts[view.active]);
  else if (event.key in steps) moveCell(steps[event.key]);
  else return;
  event.preventDefault();
}

function postAt(event) {
  const box = $("cells").getBoundingClientRect(), { pitch, columns } = view.lay;
  const column = Math.floor((event.clientX - box.left) / pitch), row = Math.floor((event.clientY - box.top + $("cells").scrollTop) / pitch);
  return column < columns && column >= 0 ? row * columns + column : -1;
}

function cellClick(event) {
  const index = postAt(event);
  if (view.posts[index] === undefined) return;
  view.active = index;
  placeCell();
  openDetail(view.posts[index]);
}

function cellHover(event) {
  const post = event.pointerType === "touch" ? undefined : view.posts[postAt(event)], tip = $("tip");
  show(tip, post !== undefined);
  if (post === undefined) return;
  tip.replaceChildren(make("span", { class: "clip" }, named(post.tenant), " / ", named(post.name)),
    `${CONDITIONS[post.condition].word}${post.missed ? " · closing reading missed" : ""} · server ${post.server}`);
  const x = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8), y = Math.min(event.clientY + 16, innerHeight - tip.offsetHeight - 8);
  tip.style.transform = `translate(${Math.max(8, x)}px, ${y}px)`;
}

// ---- The list -------------------------------------------------------------------------------------------------

function makeRow() {
  const two = label => make("span", { class: "two", role: "cell", "data-label": label.toLowerCase() }, make("span", { class: "clip" }), make("small", { class: "clip" }));
  const state = make("span", { class: "badge", role: "cell" });
  const open = make("button", { class: "open", type: "button", tabindex: "-1" },
    make("strong", {}, named(""), "/", named("")), make("small", { class: "clip" }));
  const spark = make("span", { role: "cell" });
  const row = make("div", { class: "row", role: "row" }, state, make("span", { role: "cell", class: "two" }, open), two("Last reading"), spark,
    two("Next due"), two("Waits for"), two("Gaps"), two("Closing"));
  row.addEventListener("click", () => openDetail(row.line.post));
  open.addEventListener("focus", () => { view.row = row.index; });
  return Object.assign(row, { state, open, spark, drawn: null });
}

/** Give the rows in sight their lines; rows that were there are used again. */
function drawRows() {
  const box = $("rows"), height = view.rowHeight, total = view.lines.length;
  box.style.height = `${total * height}px`;
  $("list").setAttribute("aria-rowcount", total + 1);
  const above = -box.getBoundingClientRect().top;
  const first = Math.max(0, Math.floor(above / height) - OVERSCAN);
  const last = Math.min(total, Math.ceil((above + innerHeight) / height) + OVERSCAN);
  const count = Math.max(0, last - first);
  while (view.pool.length < count) view.pool.push(box.appendChild(makeRow()));
  while (view.pool.length > count) view.pool.pop().remove();
  const now = nowSeconds();
  // Which row has which line is by its number, so that a row in sight stays the element it is.
  for (let index = first; index < last; index += 1) drawRow(view.pool[index % count], index, now);
  askForSlots(first, last);
}

function drawRow(row, index, now) {
  const line = view.lines[index];
  if (row.index !== index) {
    row.index = index;
    row.style.transform = `translateY(${index * view.rowHeight}px)`;
    row.setAttribute("aria-rowindex", index + 2);
  }
  row.open.tabIndex = index === view.row ? 0 : -1;
  if (row.line !== line) nameRow(row, line);
  drawState(row, line);
  drawReading(row.children[2], line, now);
  drawDue(row.children[4], line, now);
  drawWaits(row.children[5], line);
  drawGaps(row.children[6], line);
  drawClosing(row.children[7], line);
  drawSlots(row, line);
}

function nameRow(row, line) {
  row.line = line;
  const [strong, small] = row.open.children;
  strong.children[0].textContent = clipped(line.post.tenant);
  strong.children[1].textContent = clipped(line.post.name);
  small.textContent = `${line.api} · ${line.post.server}`;
}

function drawState(row, line) {
  const name = line.missed ? `row is-missed` : "row";
  if (row.className !== name) row.className = name;
  if (row.state.condition === line.condition) return;
  row.state.condition = line.condition;
  row.state.className = `badge is-${line.condition}`;
  row.state.title = CONDITIONS[line.condition].says;
  row.state.replaceChildren(icon(line.condition), CONDITIONS[line.condition].word);
}

/** Set the two lines of a cell. */
function pair(cell, first, second, { tone = "", title = "" } = {}) {
  say(cell.firstChild, first);
  say(cell.lastChild, second);
  if (cell.firstChild.className !== `clip ${tone}`) cell.firstChild.className = `clip ${tone}`;
  if (cell.title !== title) cell.title = title;
}

function readingWords(line) {
  if (line.outcome === null) return "–";
  if (line.outcome === "failed") return line.error;
  if (line.outcome === "empty") return "empty";
  return line.items === null ? plural(line.rows, "row", "rows") : plural(line.items, "item", "items");
}

function drawReading(cell, line, now) {
  const tone = line.outcome === "failed" ? "bad" : "";
  pair(cell, readingWords(line), line.at === null ? "not yet" : ago(line.at, now), { tone, title: line.at === null ? "" : exactly(line.at) });
}

function drawDue(cell, line, now) {
  const overdue = line.due !== null && line.due < now - 5;
  const text = line.due === null ? "–" : line.flying ? "now" : Math.abs(line.due - now) < 5 ? "now" : until(line.due, now);
  pair(cell, text, line.flying ? "being asked" : `every ${duration(line.interval)}`,
    { tone: overdue && !line.flying ? "warn" : "", title: line.due === null ? "" : exactly(line.due) });
}

function drawWaits(cell, line) {
  if (line.waits === null) return pair(cell, "–", "");
  pair(cell, reasonWord(line.waits), REASONS[line.waits]?.[1] ?? "", { tone: "warn", title: line.waits });
}

function drawGaps(cell, line) {
  if (line.gaps === null) return pair(cell, "–", "");
  const sorted = Object.entries(line.gaps).sort((a, b) => b[1] - a[1]);
  const words = sorted.map(([reason, count]) => `${count} ${reason}`).join(", ");
  pair(cell, numbers.format(line.missing), sorted.length > 1 ? `mostly ${sorted[0][0]}` : sorted[0][0], { title: words });
}

function drawClosing(cell, line) {
  if (line.closing === null) return pair(cell, "–", "");
  const [month, taken, reason] = line.closing;
  if (taken) pair(cell, "Taken", monthWord(month));
  else pair(cell, "Missed", monthWord(month), { tone: "bad", title: reasonWord(reason) });
}

function moveRow(step) {
  view.row = Math.max(0, Math.min(view.lines.length - 1, view.row + step));
  const box = $("rows").getBoundingClientRect(), top = box.top + view.row * view.rowHeight, head = 46;
  if (top < head) scrollBy(0, top - head);
  else if (top + view.rowHeight > innerHeight) scrollBy(0, top + view.rowHeight - innerHeight);
  drawRows();
  view.pool.find(row => row.index === view.row)?.open.focus({ preventScroll: true });
}

function rowKey(event) {
  const page = Math.max(1, Math.floor(innerHeight / view.rowHeight) - 2);
  const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -view.lines.length, End: view.lines.length };
  if (!(event.key in steps)) return;
  event.preventDefault();
  moveRow(steps[event.key]);
}

function drawNothing() {
  const nothing = view.lines.length === 0;
  show($("nothing"), nothing);
  show($("list"), !nothing);
  show($("nothing-clear"), board.lines.size > 0);
  say($("nothing-text"), board.lines.size > 0 ? "Nothing that is watched fits these filters."
    : "Nothing is watched yet. What the tenants file asks for appears here as soon as the watch has begun.");
}

// ---- Slots: sparklines ----------------------------------------------------------------------------------------

let asking = false;

/** Ask for the slots of what is in sight and has none. */
async function askForSlots(first, last) {
  const missing = view.lines.slice(first, last).filter(line => line.slots === null && line.count > 0).map(line => line.number);
  if (missing.length === 0 || asking) return;
  asking = true;
  try {
    const answer = await fetch(`/history.json?n=${missing.slice(0, 200).join()}`);
    if (answer.ok) for (const [number, slots] of Object.entries(await answer.json())) takeSlots(Number(number), slots);
  } catch { /* the stream says when the connection is lost */ } finally {
    setTimeout(() => { asking = false; render(drawRows); }, 120);
  }
}

function takeSlots(number, slots) {
  const line = board.lines.get(number);
  if (line !== undefined) line.slots = slots;
}

function drawSlots(row, line) {
  if (line.slots === null || line.slots === undefined) {
    if (row.drawn !== null) { row.spark.replaceChildren(); row.drawn = null; }
    return;
  }
  const state = `${line.number} ${line.slots.count}`;
  if (row.drawn === state) return;
  row.drawn = state;
  row.spark.replaceChildren(sparkline(line.slots, 34));
}

/** Draw slots as a line of their items; where one brought nothing, a mark at the bottom says what kind. */
function sparkline(slots, height) {
  const made = make("svg", { class: "spark", viewBox: `0 0 192 ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": slotWords(slots) });
  const known = slots.items.filter(items => items !== null);
  const low = Math.min(...known), spread = Math.max(...known) - low;
  const x = index => (index + 48 - slots.items.length) * 4 + 2;
  const y = items => spread === 0 ? height * .45 : 3 + (1 - (items - low) / spread) * (height - 12);
  for (const run of runs(slots.items)) made.append(...trace(run.map(index => [x(index), y(slots.items[index])]), height));
  slots.ending.forEach((ending, index) => {
    if (ending === "ok") return;
    const kind = ending === "failed" ? "fail" : ending === "empty" || ending === "closing" ? "none" : "miss";
    made.append(make("line", { class: kind, x1: x(index), x2: x(index), y1: height - (kind === "none" ? 3 : 6), y2: height }));
  });
  return made;
}

/** The stretches of indices at which there are items. */
function runs(items) {
  const found = [];
  items.forEach((value, index) => {
    if (value === null) return;
    if (index > 0 && items[index - 1] !== null && found.length > 0) found[found.length - 1].push(index);
    else found.push([index]);
  });
  return found;
}

function trace(points, height) {
  if (points.length === 1) points = [[points[0][0] - 1.5, points[0][1]], [points[0][0] + 1.5, points[0][1]]];
  const line = points.map(([x, y], index) => `${index === 0 ? "M" : "L"}${x} ${y.toFixed(1)}`).join("");
  const area = `${line}L${points[points.length - 1][0]} ${height}L${points[0][0]} ${height}z`;
  return [make("path", { class: "area", d: area }), make("path", { class: "trace", d: line })];
}

function slotWords(slots) {
  const counts = {};
  for (const ending of slots.ending) counts[ending] = (counts[ending] ?? 0) + 1;
  return `The last ${slots.ending.length} slots: ${Object.entries(counts).map(([ending, count]) => `${count} ${ending}`).join(", ")}`;
}

// ---- One operation --------------------------------------------------------------------------------------------

let opened = null, openedState = "", readingDetail = false;

function openDetail(post) {
  if (post === undefined) return;
  opened = post;
  openedState = "";
  $("detail-title").replaceChildren(named(post.tenant, 80), " / ", named(post.name, 80));
  say($("detail-about"), `Server ${post.server} · ${post.zone} · token ${post.token}`);
  $("detail-body").replaceChildren(make("p", { class: "quiet endpoint" }, "Reading…"));
  if (!$("detail").open) $("detail").showModal();
  $("detail-title").focus();
  history.replaceState(null, "", `#${post.key}`);
  readDetail();
}

/** Read what is opened again, if something of it has changed. */
async function readDetail() {
  if (opened === null || readingDetail) return;
  const post = opened, state = post.lines.map(line => `${line.count} ${line.condition} ${line.waits} ${line.due} ${line.flying}`).join();
  if (state === openedState) return;
  readingDetail = true;
  try {
    const answer = await fetch(`/operation.json?key=${post.key}`);
    if (opened !== post) return;
    openedState = state;
    if (answer.ok) drawDetail(await answer.json());
    else $("detail-body").replaceChildren(make("p", { class: "quiet endpoint" }, "It is not watched any more."));
  } catch {
    if ($("detail-body").querySelector(".figure") === null) $("detail-body").replaceChildren(make("p", { class: "quiet endpoint" }, "Not reachable at present."));
  } finally {
    readingDetail = false;
    if (opened !== null && opened !== post) readDetail();
  }
}

function drawDetail(told) {
  const shut = told.closed === null ? [] : [make("p", { class: "notice lost" }, `The token is out of use (${told.closed.kind}) until `, time(seconds(told.closed.until)))];
  $("detail-body").replaceChildren(...shut, ...told.watched.map(endpoint));
}

function endpoint(watched) {
  return make("section", { class: "endpoint" },
    make("div", { class: "line" }, make("h3", {}, watched.api), badge(watched.condition)),
    figure(watched.history), facts(watched), ...closings(watched.closings), ...latestGaps(watched.gaps));
}

function figure(slots) {
  if (slots.at.length === 0) return make("p", { class: "quiet" }, "No slot has ended yet.");
  const known = slots.items.filter(items => items !== null), made = make("div", { class: "figure" }, sparkline(slots, 92));
  const low = Math.min(...known), high = Math.max(...known);
  const range = known.length === 0 ? "no items" : low === high ? plural(low, "item", "items") : `${numbers.format(low)} to ${numbers.format(high)} items`;
  made.append(make("div", { class: "axis" }, time(slots.at[0], clockTime.format(slots.at[0] * 1000)), make("span", {}, range),
    time(slots.at[slots.at.length - 1], clockTime.format(slots.at[slots.at.length - 1] * 1000))));
  made.append(strip(slots));
  return made;
}

/** A bar for each slot: full for a reading, lower for what brought none. */
function strip(slots) {
  const kinds = { ok: "is-fresh", empty: "is-fresh mid", failed: "is-failed mid", closing: "low" };
  const bars = slots.at.map((at, index) => {
    const ending = slots.ending[index];
    return make("i", { class: kinds[ending] ?? "is-stale low", title: `${local.format(at * 1000)}: ${slotWord(ending, slots.items[index])}` });
  });
  const missing = Array.from({ length: 48 - bars.length }, () => make("i", { class: "low" }));
  return make("div", { class: "strip", "aria-hidden": "true" }, ...missing, ...bars);
}

function slotWord(ending, items) {
  if (ending === "ok") return items === null ? "ok" : plural(items, "item", "items");
  return REASONS[ending] ? `gap, ${ending}` : ending;
}

function fact(name, ...values) {
  return [make("dt", {}, name), make("dd", {}, ...values)];
}

function facts(watched) {
  const { last } = watched, found = [];
  if (last === null) found.push(...fact("Last reading", "not yet"));
  else found.push(...fact("Last reading", lastWords(last)), ...fact("At", time(seconds(last.at)), ` (${ago(seconds(last.at), nowSeconds())})`));
  if (last?.error) found.push(...fact("Error", make("div", { class: "message bad" }, `${last.error.kind}: `, make("bdi", { dir: "auto" }, last.error.message))));
  if (last?.error && watched.read_at !== null) found.push(...fact("Last good one", time(seconds(watched.read_at))));
  found.push(...fact("Next due", watched.in_flight ? "being asked now" : watched.next_due === null ? "–" : time(seconds(watched.next_due))));
  found.push(...fact("Interval", duration(watched.interval)));
  found.push(...fact("Waits for", watched.waits_for === null ? "nothing" : `${reasonWord(watched.waits_for)}: ${REASONS[watched.waits_for]?.[1] ?? ""}`));
  const reasons = Object.entries(watched.gaps.by_reason).map(([reason, count]) => `${numbers.format(count)} ${reason}`).join(", ");
  found.push(...fact(`Gaps in ${monthWord(watched.gaps.month)}`, watched.gaps.total === 0 ? "none" : reasons));
  return make("dl", { class: "facts" }, ...found);
}

function lastWords(last) {
  if (last.outcome === "failed") return "failed";
  if (last.outcome === "empty") return `empty, took ${last.seconds} s`;
  const items = last.items === null ? "" : `${plural(last.items, "item", "items")} in `;
  return `${items}${plural(last.rows, "row", "rows")}, took ${last.seconds} s`;
}

function closings(told) {
  if (told.length === 0) return [];
  const items = [...told].reverse().map(({ month, slot, at, taken, reason }) => make("li", { class: taken ? "" : "bad" },
    make("span", {}, monthWord(month)), make("span", {}, taken ? "taken " : `missed (${reasonWord(reason)}), due `, time(seconds(taken ? at : slot)))));
  return [make("h4", {}, "Closing readings"), make("ul", { class: "plainlist" }, ...items)];
}

function latestGaps({ latest }) {
  if (latest.length === 0) return [];
  const items = latest.map(({ slot, reason, closing }) => make("li", { class: closing ? "bad" : "" }, time(seconds(slot)),
    make("span", { title: REASONS[reason]?.[1] ?? "" }, `${reasonWord(reason)}${closing ? ", closing reading" : ""}`)));
  return [make("h4", {}, "Latest gaps"), make("ul", { class: "plainlist" }, ...items)];
}

function closeDetail() {
  opened = null;
  history.replaceState(null, "", location.pathname);
}

// ---- The connection -------------------------------------------------------------------------------------------

const link = { source: null, heard: 0, pause: RETRY_FIRST, timer: 0, loading: false, held: [], hiddenTimer: 0, wasOpen: false };

function setLink(state, text) {
  if ($("link").dataset.state !== state) $("link").dataset.state = state;
  say($("link-text"), text);
  const lost = state === "lost" && board.loaded;
  document.body.classList.toggle("is-lost", lost);
  show($("lost"), lost);
  if (lost) say($("lost"), `Connection lost. What you see is from ${clockTime.format(link.heard)}; freshness goes on ageing. Trying again.`);
}

/** Read the whole board, then what has come in the meantime. */
async function load() {
  if (link.loading) return;
  link.loading = true;
  try {
    const answer = await fetch("/outline.json");
    if (answer.status === 401) return location.reload();
    if (!answer.ok) throw new Error(String(answer.status));
    $("sign-out").hidden = answer.headers.get("X-Signed-In") !== "1";
    board.offset = Number(answer.headers.get("X-Now")) - Date.now() / 1000;
    takeBoard(await answer.json());
    heard();
    fillSelects();
    drawAbout();
    for (const [mark, told] of link.held.splice(0)) takeLines(mark, told);
    choose();
    render();
    openFromAddress();
    if (link.source === null) follow();
  } catch {
    lose();
  } finally {
    link.loading = false;
  }
}

function follow() {
  if (document.hidden) return pause();
  link.source = new EventSource(`/events?after=${encodeURIComponent(board.mark)}`);
  link.source.addEventListener("open", () => { link.pause = RETRY_FIRST; link.wasOpen = true; heard(); });
  link.source.addEventListener("beat", heard);
  link.source.addEventListener("reset", () => { heard(); load(); });
  link.source.addEventListener("lines", event => {
    heard();
    if (link.loading) link.held.push([event.lastEventId, JSON.parse(event.data)]);
    else { takeLines(event.lastEventId, JSON.parse(event.data)); soon(); }
  });
  link.source.addEventListener("error", lose);
}

function tickOf(mark) {
  return Number(mark.slice(mark.lastIndexOf(".") + 1));
}

function takeLines(mark, told) {
  if (tickOf(mark) <= tickOf(board.mark) && mark.slice(0, mark.lastIndexOf(".")) === board.mark.slice(0, board.mark.lastIndexOf("."))) return;
  board.mark = mark;
  board.totals = told.totals;
  if (told.cluster !== undefined) board.cluster = told.cluster;
  board.offset = told.now - Date.now() / 1000;
  measured("take lines", () => told.lines.forEach(changeLine));
}

/** After a change: work out what it means, then draw. */
function soon() {
  reckon(nowSeconds());
  if (!isBusy()) choose();
  render();
  readDetail();
}

/** Somebody points at a row or has one in focus: it stays where it is. */
function isBusy() {
  return view.lines.length > 0 && $("rows").querySelector(".row:hover, .open:focus") !== null && Date.now() - view.sorted < 15000;
}

function heard() {
  link.heard = Date.now();
  setLink("live", "Live");
}

function lose() {
  link.source?.close();
  link.source = null;
  if (document.hidden) return;
  clearTimeout(link.timer);
  setLink("lost", `Trying again in ${Math.round(link.pause)} s`);
  link.timer = setTimeout(again, link.pause * 1000);
  link.pause = Math.min(RETRY_MOST, link.pause * 1.6);
}

/** Connect again: a stream that was open goes on where it was, or says that the board is to be read anew. */
function again() {
  setLink("lost", "Connecting");
  const resumes = link.wasOpen && board.loaded;
  link.wasOpen = false;
  if (resumes) follow();
  else load();
}

function pause() {
  link.source?.close();
  link.source = null;
  clearTimeout(link.timer);
  setLink("paused", "Paused");
}

function hide() {
  clearTimeout(link.hiddenTimer);
  if (document.hidden) link.hiddenTimer = setTimeout(pause, HIDDEN * 1000);
  else if (link.source === null) again();
}

/** Each second: time goes on, with news or without. */
function beat() {
  if (link.source !== null && Date.now() - link.heard > SILENCE * 1000) lose();
  if (!board.loaded || document.hidden) return;
  if (!reckon(nowSeconds())) return render(drawTotals, drawRows);
  if (!isBusy()) choose();
  render();
}

// ---- Beginning ------------------------------------------------------------------------------------------------

function openFromAddress() {
  const post = board.posts.find(one => `#${one.key}` === location.hash);
  if (post !== undefined && opened === null) openDetail(post);
}

function globalKey(event) {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName ?? "");
  if (event.key === "/" && !typing && !$("detail").open && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    $("search").focus();
    $("search").select();
  }
}

function searchKey(event) {
  if (event.key === "Escape") { event.preventDefault(); $("search").value = ""; takeSearch(); }
  else if (event.key === "ArrowDown" && view.lines.length > 0) { event.preventDefault(); moveRow(0); }
}

function takeSearch() {
  filters.words = $("search").value.toLowerCase().split(/\s+/).filter(word => word !== "");
  refilter();
}

function listen() {
  let typing = 0;
  $("search").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(takeSearch, 120); });
  $("search").addEventListener("keydown", searchKey);
  for (const id of ["server", "api", "reason", "order"]) $(id).addEventListener("change", () => { filters[id] = $(id).value; refilter(); });
  $("problems").addEventListener("change", () => { filters.problems = $("problems").checked; refilter(); });
  $("tools").addEventListener("submit", event => { event.preventDefault(); takeSearch(); });
  for (const id of ["clear", "nothing-clear"]) $(id).addEventListener("click", clearFilters);
  listenToCells();
  $("rows").addEventListener("keydown", rowKey);
  $("detail").addEventListener("close", closeDetail);
  $("detail").addEventListener("click", event => { if (event.target === $("detail")) $("detail").close(); });
  $("detail-close").addEventListener("click", () => $("detail").close());
  $("sign-out").addEventListener("click", signOut);
  listenToWindow();
}

function listenToCells() {
  const cells = $("cells");
  cells.addEventListener("keydown", cellKey);
  cells.addEventListener("click", cellClick);
  cells.addEventListener("pointermove", cellHover);
  cells.addEventListener("pointerleave", () => show($("tip"), false));
  cells.addEventListener("scroll", () => render(drawCells), { passive: true });
}

function listenToWindow() {
  addEventListener("keydown", globalKey);
  addEventListener("scroll", () => render(drawRows), { passive: true });
  addEventListener("resize", () => { readColours(); view.pool.forEach(row => { row.index = -1; }); render(); });
  document.addEventListener("visibilitychange", hide);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); render(); });
}

async function signOut() {
  await fetch("/logout", { method: "POST" });
  location.reload();
}

readColours();
makeChips();
listen();
load();
setInterval(beat, 1000);
