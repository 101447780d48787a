// The worklist as the server tells it: the whole, and then what changes.

import { causes } from "./worklist-words.js";

const REMEMBER = 180_000; // milliseconds for which a row says what has changed

export class Worklist {
  #byUid = new Map();
  #marks = new Map(); // UID -> {causes: Map of kind to words, moved, at}
  #left = new Set(); // UIDs that were on the list and are not
  rows = []; // in reading order

  get(uid) {
    return this.#byUid.get(uid);
  }

  /** What has lately changed about a study: {words, moved, at}; undefined where nothing has. */
  mark(uid, now = Date.now()) {
    const mark = this.#marks.get(uid);
    if (!mark || now - mark.at > REMEMBER) return undefined;
    return { words: [...mark.causes.values()].join(", "), moved: mark.moved, at: mark.at };
  }

  /**
   * Take in what the server said: take out `gone` and the studies of `rows`, then put each of
   * `rows` in at its position, the first before the others (`triage.store.watch.Difference`).
   * Return the rows that are new or have changed, none of them at the first time.
   */
  take(change, now = Date.now()) {
    const before = this.#byUid, first = this.rows.length === 0 && before.size === 0 && !this.known;
    this.known = true;
    for (const row of change.rows) row.since = now - row.waiting_seconds * 1000;
    this.rows = change.all ? change.rows : this.#merged(change);
    const places = new Map(this.rows.map((row, index) => [row.study_instance_uid, index + 1]));
    const changed = first ? [] : change.rows.filter(
      (row) => this.#note(before.get(row.study_instance_uid), row, places, now),
    );
    this.rows.forEach((row, index) => { row.position = index + 1; });
    this.#byUid = new Map(this.rows.map((row) => [row.study_instance_uid, row]));
    for (const uid of before.keys()) if (!this.#byUid.has(uid)) this.#left.add(uid);
    for (const uid of this.#marks.keys()) if (!this.#byUid.has(uid)) this.#marks.delete(uid);
    return changed;
  }

  #merged(change) {
    const out = new Set([...change.gone, ...change.rows.map((row) => row.study_instance_uid)]);
    const rows = this.rows.filter((row) => !out.has(row.study_instance_uid));
    for (const row of change.rows) rows.splice(row.position - 1, 0, row);
    return rows;
  }

  /** Remember why a row has changed; say whether there was a reason. */
  #note(old, row, places, now) {
    const uid = row.study_instance_uid, former = this.#marks.get(uid);
    const found = causes(old, row, this.#left.delete(uid));
    if (found.length === 0) return false;
    const fresh = former && now - former.at <= REMEMBER;
    const mark = {
      causes: new Map([...(fresh ? former.causes : []), ...found]),
      moved: fresh ? former.moved : 0, // places up; down is less than 0
      at: now,
    };
    // Others that come and go push a study up and down; only its own change is a move.
    if (old && found.some(([kind]) => kind === "order")) mark.moved += old.position - places.get(uid);
    this.#marks.set(uid, mark);
    return true;
  }
}
