// The study page: the reader's keys, the views, and what changes while the page is open.

import { isHeard, switchBy } from "./keys.js";
import { ACTS, perform } from "./reading.js";
import { Stage } from "./study-stage.js";
import { tellTimes } from "./times.js";

const LOOK_EVERY = 5_000; // milliseconds; of a page that is seen
const DONE = {
  claim: "Claimed.",
  release: "Released.",
  normal: "Read: normal. W leads to the worklist.",
  abnormal: "Read: abnormal. W leads to the worklist.",
  unread: "Back on the worklist.",
};
const page = document.getElementById("study");
const stage = new Stage(document.getElementById("stage"));
const said = { done: document.getElementById("done"), refused: document.getElementById("refused") };
const served = new Map(); // by id: each live part as the server sent it
let tag = null; // of the page as it was last seen
let acting = false;

function say(where, words) {
  said.done.textContent = said.refused.textContent = "";
  said[where].textContent = words;
}

/** Remember each live part before anything of ours changes it. */
function remember(root) {
  for (const part of root.querySelectorAll("[data-live]")) served.set(part.id, part.outerHTML);
}

/** Look whether the study has changed, and show what has: the rest stays as it is. */
async function refresh() {
  let answer;
  try {
    answer = await fetch(location.pathname, {
      headers: { "Triage-Refresh": "1", ...(tag && { "If-None-Match": tag }) },
      redirect: "manual",
      signal: AbortSignal.timeout(LOOK_EVERY * 2),
    });
  } catch {
    return stale("No answer from the server: this page may be out of date.");
  }
  if (answer.type === "opaqueredirect" || answer.status === 401) return location.reload(); // to where one logs in
  if (answer.status !== 304 && !answer.ok) return stale("This page may be out of date: the server cannot say how the study is.");
  stale("");
  if (answer.status === 304) return;
  tag = answer.headers.get("ETag");
  const now = new DOMParser().parseFromString(await answer.text(), "text/html");
  const before = document.querySelectorAll("#history li").length;
  stage.take(now.querySelector(".tiles"), now.getElementById("numbers")); // with captions of its own
  replaceParts(now);
  const news = [...document.querySelectorAll("#history li span")].slice(before).map((line) => line.textContent.trim());
  if (news.length && !acting) say("done", news.join("; "));
  tellTimes(document);
}

function stale(words) {
  const told = document.getElementById("stale");
  if (told.textContent !== words) told.textContent = words; // said again only where it changes
}

function replaceParts(now) {
  for (const part of now.querySelectorAll("[data-live]")) {
    const old = document.getElementById(part.id);
    if (!old || served.get(part.id) === part.outerHTML) continue;
    served.set(part.id, part.outerHTML);
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    old.replaceWith(document.adoptNode(part));
    if (focused) document.getElementById(focused)?.focus();
  }
}

async function act(name, button = document.getElementById(`act-${name}`)) {
  if (acting || !button || button.disabled) {
    if (!acting) say("refused", document.getElementById("claimed")?.textContent.trim() ?? "The study is not claimed.");
    return;
  }
  acting = true;
  const problem = await perform(ACTS[name], page.dataset.study, button.dataset.reader);
  if (problem) say("refused", `${ACTS[name].failed}: ${problem}`);
  else say("done", DONE[name]);
  await refresh();
  acting = false;
}

/** Copy the preliminary reading; without the right to the clipboard (no TLS), as one would by hand. */
async function copy() {
  const text = document.getElementById("report-text");
  try {
    await navigator.clipboard.writeText(text.textContent);
  } catch {
    getSelection().selectAllChildren(text);
    if (!document.execCommand("copy")) return say("refused", "The browser does not copy: press Ctrl C now.");
  }
  say("done", "Copied. It is preliminary: confirm it.");
}

const KEYS = {
  c: () => act("claim"),
  r: () => act("release"),
  n: () => act("normal"),
  a: () => act("abnormal"),
  u: () => act("unread"),
  m: () => stage.toggleMap(),
  x: () => stage.whole(),
  w: () => location.assign("/"),
  0: () => stage.fit(),
  "+": () => stage.zoom(1.25),
  "=": () => stage.zoom(1.25),
  "-": () => stage.zoom(0.8),
  Escape: () => stage.showAll(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (!isHeard(key) || (key.length === 1 && event.target.matches("input"))) return;
  if (/^[1-9]$/.test(key)) stage.showOne(Number(key));
  else if (!(key in KEYS) || (event.repeat && "crnaum".includes(key))) return;
  else KEYS[key]();
  event.preventDefault();
});

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-act]"), name = button?.dataset.act;
  if (name === "copy") copy();
  else if (name) act(name, button);
});

switchBy(document.getElementById("keys-on"));
remember(document);
tellTimes(document);
setInterval(() => tellTimes(document), 30_000);
setInterval(() => document.hidden || acting || refresh(), LOOK_EVERY);
document.addEventListener("visibilitychange", () => document.hidden || acting || refresh());
