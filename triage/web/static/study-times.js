// Moments in the reader's own zone, and how long something has waited.

const MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR; // seconds
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dated = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

/** Write each moment below *root*, which the server gives in UTC, as the reader's clock shows it. */
export function tellTimes(root, now = new Date()) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const then = new Date(time.dateTime);
    time.textContent = (then.toDateString() === now.toDateString() ? clock : dated).format(then);
    time.title = whole.format(then);
  }
  for (const wait of root.querySelectorAll("[data-since]")) {
    wait.textContent = span((now - new Date(wait.dataset.since)) / 1000);
    wait.title = `since ${whole.format(new Date(wait.dataset.since))}`;
  }
}

function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < MINUTE) return "< 1 min";
  if (s < HOUR) return `${Math.floor(s / MINUTE)} min`;
  if (s < DAY) return `${Math.floor(s / HOUR)} h ${String(Math.floor(s % HOUR / MINUTE)).padStart(2, "0")} min`;
  return `${Math.floor(s / DAY)} d ${Math.floor(s % DAY / HOUR)} h`;
}
