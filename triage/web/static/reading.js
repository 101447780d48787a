// The reader's side: claim, release, read, unread. The server decides; who comes second is told.

import { written } from "./address.js";
import { inZone } from "./times.js";

const PATIENCE = 10_000; // milliseconds

export const ACTS = {
  claim: { path: "claim", done: "claimed", failed: "Not claimed" },
  release: { path: "release", done: "released", failed: "Not released" },
  normal: { path: "read", finding: "normal", done: "read, normal", failed: "Not marked as read" },
  abnormal: { path: "read", finding: "abnormal", done: "read, abnormal", failed: "Not marked as read" },
  unread: { path: "unread", done: "back on the worklist", failed: "Not put back" },
};

/**
 * Do it to a study, by its UID. Return null when it is done, else the words that say why it is not.
 * `reader` is whose claim is given up, by an administrator, or whose reading is taken back.
 */
export async function perform(act, study, reader = undefined) {
  let answer;
  try {
    answer = await fetch(`/api/v1/studies/${written(study)}/${act.path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: act.finding || reader ? JSON.stringify({ finding: act.finding, reader }) : undefined,
      signal: AbortSignal.timeout(PATIENCE),
    });
  } catch {
    return "no answer came; look how the study is, and try again";
  }
  if (answer.ok) return null;
  if (answer.status === 401) location.reload(); // to where one logs in
  const problem = await answer.json().catch(() => ({}));
  // The message names the study, which is known.
  const detail = problem.detail ?? `the server answered ${answer.status}`;
  return inZone(detail.replace(study, "it"));
}
