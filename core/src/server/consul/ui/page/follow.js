// Polls the member, one request at a time.
//
// A request with an index is a blocking query (`index=`, `wait=`); one without
// is repeated every few seconds. After failures the pauses grow. While the page
// is hidden nothing is requested: a browser has six connections to a member for
// all its tabs together.

import { Refused, ask } from "./ask.js";

const WAIT_S = 55;
/** The member may add a sixteenth to the wait; past this the connection is dead. */
const SILENCE_MS = 75_000;
/** Blocking queries may return unchanged, so a busy member is not asked faster than this. */
const PAUSE_MS = 300;
const POLL_MS = 2_000;
/** After a slow request comes a pause this many times as long, so that the member is not kept busy. */
const PAUSE_PART = 5;
const RETRY_MS = 500;
const RETRY_MAX_MS = 15_000;

/**
 * Passes every answer to `shown` until `signal` aborts.
 *
 * `question` is `{ path, more }`: the path of the blocking query, and a function
 * that requests related data. Without `path` there is only `more`; with both,
 * the wait is at most `wait_s`, because changes to the related data do not wake it.
 * `standing` receives `{ state: "live" | "lost" | "refused", text, again_ms }`.
 */
export async function follow(question, signal, shown, standing) {
  let index = 0;
  let failures = 0;
  while (!signal.aborted) {
    const round = whileLooked(signal);
    try {
      await round.begun;
      const first = question.path ? await waited(question, index, round.signal) : null;
      const began = performance.now();
      const data = question.more
        ? await question.more(first, (path, also) => ask(path, round.signal, also))
        : first;
      failures = 0;
      // An index that went back is useless; without an index the answer is immediate.
      index = !first || first.index < index ? 0 : Math.max(1, first.index);
      if (signal.aborted) return;
      standing({ state: "live" });
      shown(data);
      const took = performance.now() - began;
      await pause(Math.max(question.path ? PAUSE_MS : POLL_MS, PAUSE_PART * took), signal);
    } catch (error) {
      if (signal.aborted) return;
      // The page was hidden, so the request was cancelled.
      if (round.signal.aborted && !round.late()) continue;
      index = 0;
      const again_ms = Math.min(RETRY_MS * 2 ** failures, RETRY_MAX_MS);
      failures = Math.min(failures + 1, 10);
      standing(told(error, again_ms));
      await pause(again_ms, signal);
    } finally {
      round.end();
    }
  }
}

function waited(question, index, signal) {
  const joint = question.path.includes("?") ? "&" : "?";
  const wait = question.more ? Math.min(WAIT_S, question.wait_s ?? WAIT_S) : WAIT_S;
  const path = index ? `${question.path}${joint}index=${index}&wait=${wait}s` : question.path;
  return ask(path, signal);
}

function told(error, again_ms) {
  if (error instanceof Refused && error.status) {
    return { state: "refused", text: error.message, again_ms };
  }
  const text = error instanceof Refused ? error.message : "The member does not answer.";
  if (!(error instanceof Refused) && error.name !== "AbortError") console.error(error);
  return { state: "lost", text, again_ms };
}

/** One round: it begins once the page is visible, and ends when it is hidden. */
function whileLooked(outer) {
  const inner = new AbortController();
  let late = false;
  let begin;
  const begun = new Promise((resolve) => (begin = resolve));
  const stop = () => inner.abort();
  let silence;
  const look = () => {
    if (document.visibilityState === "hidden") return silence && stop();
    silence ??= setTimeout(() => {
      late = true;
      stop();
    }, SILENCE_MS);
    begin();
  };
  const leave = () => {
    stop();
    begin();
  };
  document.addEventListener("visibilitychange", look);
  outer.addEventListener("abort", leave);
  look();
  return {
    begun,
    signal: inner.signal,
    late: () => late,
    end() {
      clearTimeout(silence);
      document.removeEventListener("visibilitychange", look);
      outer.removeEventListener("abort", leave);
    },
  };
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
