// What the server tells of the worklist: its stream of events, and where no stream comes
// through, the whole worklist every few seconds.

const FIRST = 10_000; // milliseconds until something comes; a proxy may hold a stream back
const SILENT = 22_000; // the server says something every 15 s; after this the line is dead
const AGAIN = 1_000; // before the stream is opened again that had told something
const POLL_EVERY = 4_000;
const POLL_FOR = 60_000; // then the stream is tried again
const HIDDEN = 60_000; // a page that nobody sees for so long is told nothing

let heard = new Date(); // when the server said something last

/**
 * Call `take` with each change, and `say` with how we know: "live", "again" (a stream has ended, and
 * is opened again), "polling" or "lost", and when the server was heard last. Never returns.
 */
export async function follow(take, say) {
  const tell = (state) => {
    if (state === "live" || state === "polling") heard = new Date();
    say(state, heard);
  };
  for (;;) {
    await shown();
    if (await stream(take, tell)) {
      tell("again");
      await pause(AGAIN);
    } else await poll(take, tell);
  }
}

/** Follow the stream to its end; say whether it told anything. */
async function stream(take, say) {
  const end = new AbortController();
  const watch = new Deadline(() => end.abort(), FIRST);
  const unhide = onceHiddenFor(HIDDEN, () => end.abort());
  let told = false;
  try {
    const answer = await ask("/api/v1/events", end.signal);
    for await (const { data } of events(answer.body, () => {
      heard = new Date();
      watch.start(told ? SILENT : FIRST);
    })) {
      take(JSON.parse(data));
      if (!told) say("live");
      told = true;
      watch.start(SILENT);
    }
  } catch {
    // Whatever ended it, it is tried again.
  } finally {
    end.abort();
    watch.stop();
    unhide();
  }
  return told;
}

/** Ask for the whole worklist for a while; return at once when the server is back. */
async function poll(take, say) {
  const until = Date.now() + POLL_FOR;
  let lost = false, last = "";
  while (Date.now() < until) {
    await shown();
    const end = new AbortController(), watch = new Deadline(() => end.abort(), FIRST);
    try {
      const answer = await ask("/api/v1/events?once=true", end.signal, { "Last-Event-ID": last });
      if (answer.status !== 204) {
        for await (const { id, data } of events(answer.body, () => watch.start(FIRST))) {
          take(JSON.parse(data));
          last = id;
        }
      }
      say("polling");
      if (lost) return;
    } catch {
      say("lost");
      lost = true;
    } finally {
      watch.stop();
    }
    await pause(POLL_EVERY);
  }
}

async function ask(url, signal, headers = {}) {
  const answer = await fetch(url, { signal, headers, cache: "no-store" });
  if (answer.status === 401) location.reload(); // to where one logs in
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return answer;
}

/** Yield {id, data} of each server-sent event; `heard` is called for whatever comes. */
async function* events(body, heard) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let line = [], data = [], id = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    heard();
    const lines = value.split("\n");
    for (const [index, piece] of lines.entries()) {
      line.push(piece);
      if (index === lines.length - 1) break; // its end has not come yet
      const full = line.join("").replace(/\r$/, "");
      line = [];
      if (full.startsWith("data:")) data.push(full.slice(5));
      else if (full.startsWith("id: ")) id = full.slice(4);
      else if (full === "" && data.length) {
        yield { id, data: data.join("\n") };
        data = [];
      }
    }
  }
}

class Deadline {
  #run;
  #timer;

  constructor(run, milliseconds) {
    this.#run = run;
    this.start(milliseconds);
  }

  start(milliseconds) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#run, milliseconds);
  }

  stop() {
    clearTimeout(this.#timer);
  }
}

function onceHiddenFor(milliseconds, run) {
  let timer;
  const look = () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(run, milliseconds);
  };
  document.addEventListener("visibilitychange", look);
  look();
  return () => {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", look);
  };
}

function shown() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    document.addEventListener("visibilitychange", resolve, { once: true });
  });
}

function pause(milliseconds) {
  return new Promise((resolve) => { setTimeout(resolve, milliseconds); });
}
