// The reader's side: claim, release, read. The server decides; who comes second is told.

const PATIENCE = 10_000; // milliseconds

export const CLAIM = { path: "claim", done: "claimed", failed: "Not claimed" };
export const RELEASE = { path: "release", done: "released", failed: "Not released" };
export const READ_NORMAL = { path: "read", body: { finding: "normal" }, done: "read, normal", failed: "Not marked as read" };
export const READ_ABNORMAL = { path: "read", body: { finding: "abnormal" }, done: "read, abnormal", failed: "Not marked as read" };

/** Do it. Return null when it is done, else the words that say why it is not. */
export async function perform(act, row) {
  let answer;
  try {
    answer = await fetch(`/api/v1/studies/${encodeURIComponent(row.study_instance_uid)}/${act.path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: act.body ? JSON.stringify(act.body) : undefined,
      signal: AbortSignal.timeout(PATIENCE),
    });
  } catch {
    return "no answer came. Look at its row, and try again";
  }
  if (answer.ok) return null;
  if (answer.status === 401) location.reload(); // to where one logs in
  const problem = await answer.json().catch(() => ({}));
  return inShort(problem.detail ?? `the server answered ${answer.status}`, row);
}

/** The message names the study already, and speaks to the reader, not to the command line. */
function inShort(detail, row) {
  return detail.replace(row.study_instance_uid, "it").split("; ")[0];
}
