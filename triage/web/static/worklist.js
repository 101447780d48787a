// The worklist page: what the server tells is shown, what the reader does is done.

import { written } from "./address.js";
import { Filter } from "./worklist-filter.js";
import { Hold } from "./worklist-hold.js";
import { isHeard, switchBy } from "./keys.js";
import { ACTS, perform } from "./reading.js";
import { Worklist } from "./worklist-rows.js";
import * as say from "./worklist-say.js";
import { follow } from "./worklist-stream.js";
import { Table } from "./worklist-table.js";
import { title } from "./worklist-words.js";

const TICK = 5_000; // milliseconds after which waiting times are drawn again
const TWICE = 600; // milliseconds in which a second press means the study that has just left

const find = (selector) => document.querySelector(selector);
const list = find("#list"), grid = find("#list table"), help = find("#help");
const reader = list.dataset.reader;

const worklist = new Worklist();
const table = new Table(list, find("#study-row"), reader, (uid) => worklist.mark(uid));
const filter = new Filter(find("#filter"), reader, refilter);
const hold = new Hold(list, show, () => say.refused("The list has moved under the pointer. Press again."));
let place = filter.restore(); // where the reader was when the page was shown last
let cursor = -1; // the index of the chosen study, also when it has left
let moved = new Map(); // what has changed while the rows are held: UID -> the priority that it had
let busy = false, readAt = -TWICE;
const lately = []; // the studies that were marked as read here, {uid, title}, the last one last

function wanted() {
  const test = filter.test();
  return worklist.rows.filter((row) => !row.done && test(row));
}

/** Show the worklist as it is. */
function show() {
  moved = new Map();
  const under = table.uidAt(hold.y);
  table.show(wanted(), table.place);
  if (table.uidAt(hold.y) !== under) hold.moved = true; // until the reader moves the pointer
  settle();
}

/** Take in what the server says; rows under a reader's pointer stay where they are. */
function take(change) {
  const changed = worklist.take(change), rows = wanted();
  say.news(changed);
  if (hold.held && !table.wouldStay(rows)) {
    for (const row of changed) {
      const uid = row.study_instance_uid;
      if (!moved.has(uid)) moved.set(uid, table.rows[table.indexOf(uid)]?.priority);
    }
    table.renew((uid) => worklist.get(uid));
    settle();
  } else {
    show();
  }
  if (place) {
    table.scrollTo(place.top);
    if (worklist.get(place.chosen)) table.choose(place.chosen);
    place = null;
    settle();
  }
}

/** Bring everything beside the rows up to date. */
function settle() {
  settleChosen();
  say.summary(worklist.rows, table.rows, filter);
  say.held(hold.held ? table.rows : [], hold.held ? wanted() : [], moved);
}

/** Bring up to date what is said of the chosen study; of thousands of others nothing is asked. */
function settleChosen() {
  const index = table.indexOf(table.chosen);
  if (index >= 0) cursor = index;
  if (table.chosen !== null && !worklist.get(table.chosen)) {
    say.done("The chosen study has left the list.");
    table.choose(null);
  }
  say.chosen(worklist.get(table.chosen), reader);
}

function choose(uid) {
  readAt = -TWICE; // the reader has looked: what is pressed now is meant
  table.choose(uid);
  settleChosen();
}

/** Show what another filter leaves; a study that it leaves out is chosen no more. */
function refilter() {
  show();
  if (table.indexOf(table.chosen) < 0) choose(null);
}

/** Choose the study so many rows further. */
function step(by) {
  const from = table.indexOf(table.chosen);
  // The chosen study has left: what stands in its place now is the next.
  go(from >= 0 ? from + by : by > 0 && cursor >= 0 ? cursor : cursor + by);
}

function go(index) {
  const last = table.rows.length - 1;
  if (last >= 0) choose(table.rows[Math.min(last, Math.max(0, index))].study_instance_uid);
}

async function act(name) {
  const row = worklist.get(table.chosen), what = ACTS[name];
  if (!row || row.done) return say.refused("Choose a study first.");
  if (busy || performance.now() - readAt < TWICE) return undefined;
  busy = true;
  const problem = await perform(what, row.study_instance_uid);
  busy = false;
  if (problem) return say.refused(`${what.failed}: ${title(row)}: ${problem}.`);
  if (what.finding) lately.push({ uid: row.study_instance_uid, title: title(row) });
  say.done(`${title(row)}: ${what.done}.`, Boolean(what.finding));
  done(what, worklist.get(row.study_instance_uid));
  return undefined;
}

/** Put the study back that was marked as read last, and then the one before. */
async function undo() {
  const last = lately.at(-1);
  if (busy || !last) return last ? undefined : say.refused("Nothing was marked as read here.");
  busy = true;
  const { uid, title: named } = last, problem = await perform(ACTS.unread, uid, reader);
  busy = false;
  lately.pop(); // also where it was refused: the one before is not barred by it
  if (problem) return say.refused(`${ACTS.unread.failed}: ${named}: ${problem}.`);
  say.done(`${named}: ${ACTS.unread.done}.`);
  const row = worklist.get(uid); // the stream may have had no time to tell that it had left
  if (row?.done) Object.assign(row, { done: false, left: undefined, claimed_by: null });
  show();
  return undefined;
}

/** Show at once what the stream will tell in a moment. */
function done(what, row) {
  if (!row) return;
  if (what === ACTS.claim) row.claimed_by = reader;
  if (what === ACTS.release) row.claimed_by = null;
  if (what.finding) {
    readAt = performance.now();
    row.done = true;
    row.left = `Read: ${what.finding}`;
    const index = table.indexOf(row.study_instance_uid);
    const next = table.rows.slice(index + 1).find((other) => !other.left) ?? table.rows[index - 1];
    if (table.chosen === row.study_instance_uid) table.choose(next?.study_instance_uid ?? null);
  }
  if (hold.held) {
    table.draw();
    settle();
  } else {
    show();
  }
}

function open() {
  const row = worklist.get(table.chosen);
  if (row) location.assign(`/studies/${written(row.study_instance_uid)}`);
}

const KEYS = {
  ArrowDown: () => step(1), j: () => step(1),
  ArrowUp: () => step(-1), k: () => step(-1),
  PageDown: () => step(table.visible), PageUp: () => step(-table.visible),
  Home: () => go(0), End: () => go(Infinity),
  Enter: open,
  "/": () => find("[name=text]").select(),
  ".": () => hold.end(),
  "?": () => help.showModal(),
  Escape: () => clear(),
};
const ONCE = {
  c: () => act("claim"), r: () => act("release"),
  n: () => act("normal"), a: () => act("abnormal"),
  u: undo,
};

function clear() {
  filter.clear();
  grid.focus({ preventScroll: true });
  show();
}

document.addEventListener("keydown", (event) => {
  const { target } = event, key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey || event.altKey || help.open || !isHeard(key)) return;
  if (target.matches("input, select, textarea")) {
    if (key === "Escape") clear();
    else if (target.name === "text" && (key === "Enter" || key === "ArrowDown")) {
      grid.focus();
      choose(table.rows[0]?.study_instance_uid ?? null);
    } else return;
  } else if (key in ONCE) {
    if (!event.repeat) ONCE[key](); // held down, it would read one study after the other
  } else if (key in KEYS && !(key === "Enter" && target.matches("a, button"))) KEYS[key]();
  else return;
  event.preventDefault();
});

list.addEventListener("click", (event) => {
  const tr = event.target.closest("tr[data-study]");
  if (!tr || event.target.closest("a")) return;
  grid.focus({ preventScroll: true });
  choose(tr.dataset.study);
});
list.addEventListener("dblclick", (event) => {
  if (event.target.closest("tr[data-study]")) open();
});
for (const button of document.querySelectorAll("#chosen .acts button, #undo")) {
  // The keys go on to work: the list keeps the focus.
  button.addEventListener("pointerdown", (event) => event.preventDefault());
  button.addEventListener("mousedown", (event) => event.preventDefault());
  button.addEventListener("click", () => (button.id === "undo" ? undo() : act(button.dataset.act)));
}
switchBy(find("#keys-on"));
find("#help-button").addEventListener("click", () => help.showModal());
find("#show-now").addEventListener("click", () => hold.end());
find("#clear").addEventListener("click", clear);
find(".top .out")?.addEventListener("submit", () => filter.forget());
addEventListener("pagehide", () => filter.keep({ top: table.place, chosen: table.chosen }));

setInterval(() => { table.draw(); settle(); }, TICK);
grid.focus({ preventScroll: true });
await follow(take, say.connection);
