// What the page says beside the rows: sums, the chosen study, what was done, how we know.

import { written } from "./address.js";
import { moment, span } from "./times.js";
import * as words from "./worklist-words.js";

const LASTS = 12_000; // milliseconds for which a message stands
const NAMED = 3; // studies that are named when many change at once

const find = (selector) => document.querySelector(selector);
let clearing;

/** Say what was done, and whether it can be undone. */
export function done(text, undoable = false) {
  message(text, "", undoable);
}

/** Say, at once and to everybody, what was not done. */
export function refused(text) {
  message("", text);
}

function message(ok, problem, undoable = false) {
  clearTimeout(clearing);
  find("#done").textContent = ok;
  find("#refused").textContent = problem;
  find("#undo").hidden = !undoable;
  if (ok || problem) clearing = setTimeout(() => message("", ""), LASTS);
}

/** Tell who cannot see it what has come to the top. */
export function news(changed) {
  const high = changed.filter((row) => row.priority === "HIGH" && row.claimed_by === null);
  if (high.length === 0) return;
  const named = high.slice(0, NAMED).map((row) => `${words.title(row)}, position ${row.position}`);
  if (high.length > NAMED) named.push(`and ${high.length - NAMED} more`);
  find("#news").textContent = `High priority: ${named.join("; ")}`;
}

/** Say how the page knows what it shows (`follow`), and since when it knows no more. */
export function connection(state, heard) {
  const element = find("#connection");
  const text = {
    live: "Live",
    again: `Connecting again; heard last at ${moment(heard)}`,
    polling: "Updated every few seconds",
    lost: `Not connected since ${moment(heard)}: the list may be out of date`,
  }[state];
  if (element.textContent === text) return;
  element.textContent = text;
  element.dataset.state = state;
  document.body.classList.toggle("lost", state === "lost");
}

/** Say how many wait, and what of that the filter shows. */
export function summary(all, shown, filter) {
  const count = { HIGH: 0, MEDIUM: 0, LOW: 0 };
  let longest, overdue = 0;
  for (const row of all) {
    count[row.priority] += 1;
    overdue += row.overdue;
    longest = Math.min(longest ?? Infinity, row.since);
  }
  for (const [priority, number] of Object.entries(count)) {
    put(find(`[data-count=${priority}]`), String(number));
  }
  const said = [all.length === 1 ? "1 study waits" : `${all.length} studies wait`];
  if (all.length) said.push(`the longest ${span((Date.now() - longest) / 1000)}`);
  if (overdue) said.push(`${overdue} overdue`);
  if (!filter.isOpen) {
    const uids = new Set(shown.map((row) => row.study_instance_uid));
    const high = all.filter((row) => row.priority === "HIGH" && !uids.has(row.study_instance_uid));
    said.unshift(`${shown.length} shown${high.length ? `, ${high.length} of high priority not` : ""}`);
  }
  put(find("#summary"), said.join(" \u00B7 "));
  find("#clear").hidden = filter.isOpen;
  find("#empty").hidden = shown.length > 0;
  put(find("#empty span"), all.length ? "No study of this kind waits." : "No study waits.");
  const { text } = filter.wanted, elsewhere = find("#empty a");
  elsewhere.hidden = !text;
  if (text) elsewhere.href = `/studies/${written(text)}`;
  put(elsewhere, text && `Look for ${text} among those that were read`);
  document.title = `${count.HIGH ? `(${count.HIGH}) ` : ""}Reading worklist - Triage`;
}

/** Say what is held back while the pointer is on the list; `moved`: UID -> the priority it had. */
export function held(shown, wanted, moved) {
  const before = new Set(shown.map((row) => row.study_instance_uid));
  const after = new Set(wanted.map((row) => row.study_instance_uid));
  const came = wanted.filter((row) => !before.has(row.study_instance_uid));
  const changed = wanted.filter(({ study_instance_uid: uid }) => before.has(uid) && moved.has(uid));
  const rose = changed.filter(
    (row) => row.priority === "HIGH" && moved.get(row.study_instance_uid) !== "HIGH",
  );
  const parts = [
    [came.filter((row) => row.priority === "HIGH").length, "new of high priority"],
    [rose.length, "now of high priority"],
    [came.filter((row) => row.priority !== "HIGH").length, "new"],
    [shown.filter((row) => !after.has(row.study_instance_uid)).length, "gone"],
    [changed.length - rose.length, "changed"],
  ].filter(([number]) => number);
  const same = wanted.every((row, index) => row === shown[index]) && shown.length === wanted.length;
  find("#held").hidden = same;
  if (!same) {
    const what = parts.map(([number, word]) => `${number} ${word}`).join(", ");
    put(find("#held span"), `Held while you point: ${what || "the order"}`);
  }
}

/** Say which study is chosen, and what can be done with it. */
export function chosen(row, reader) {
  const bar = find("#chosen"), can = (act) => bar.querySelector(`[data-act=${act}]`);
  const free = row && !row.done && (row.claimed_by === null || row.claimed_by === reader);
  can("claim").disabled = !(free && row.claimed_by === null);
  can("release").disabled = !(free && row.claimed_by === reader);
  can("normal").disabled = can("abnormal").disabled = !free;
  if (row) can("open").href = `/studies/${written(row.study_instance_uid)}`;
  else can("open").removeAttribute("href");
  put(bar.querySelector("[data-field=title]"), row ? heading(row) : "No study is chosen.");
  put(bar.querySelector("[data-field=more]"), row
    ? more(row, reader)
    : "Choose one with the arrow keys or a click.");
}

function heading(row) {
  return [
    `${row.position}. ${words.studyType(row)}`,
    words.person(row.patient_name) || "No name",
    row.patient_id,
    row.accession_number && `accession ${row.accession_number}`,
  ].filter(Boolean).join(" \u00B7 ");
}

function more(row, reader) {
  const opinion = row.label === null
    ? words.opinion(row)
    : `${words.opinion(row)} ${words.probability(row.probability)}`;
  return [
    row.claimed_by === reader ? "Claimed by you" : row.claimed_by && `Claimed by ${row.claimed_by}`,
    opinion,
    words.progress(row),
    row.study_description,
    `arrived ${moment(row.received_at)}`,
    row.model && `model ${row.model}`,
  ].filter(Boolean).join(" \u00B7 ");
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
