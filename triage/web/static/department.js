// Shows the days and weeks of the reader's own zone, and keeps the figures fresh.

const EVERY = 60_000; // milliseconds
const PATIENCE = 30_000; // milliseconds for figures that have to be made first

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const here = new URL(location.href);
if (zone && !here.searchParams.has("zone") && zone !== "UTC") {
  here.searchParams.set("zone", zone);
  location.replace(here);
}

async function renew() {
  if (document.hidden) return;
  const answer = await fetch(location.href, { signal: AbortSignal.timeout(PATIENCE) }).catch(() => null);
  const text = answer?.ok ? await answer.text().catch(() => null) : null; // may stay away after the head
  if (text === null) {
    if (answer?.status === 401 || answer?.status === 403) location.reload();
    // The line above it says how old what is shown is; fresh figures take these words away.
    document.querySelector("#stale").textContent = "No answer from the server: the figures are not renewed.";
    return;
  }
  const fresh = new DOMParser().parseFromString(text, "text/html");
  for (const part of document.querySelectorAll("main > [id]")) {
    const next = fresh.getElementById(part.id);
    // Who reads a table or has the focus in it is not disturbed.
    if (!next || part.contains(document.activeElement)) continue;
    const open = [...part.querySelectorAll("details")].map((each) => each.open);
    next.querySelectorAll("details").forEach((each, number) => { each.open = open[number] ?? false; });
    part.replaceWith(next);
  }
}

setInterval(renew, EVERY);
document.addEventListener("visibilitychange", renew); // it rested while nobody looked
