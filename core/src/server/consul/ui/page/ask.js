// Asking the member: one GET, its answer, and how it may fail.

/** A failure with what the member said, or that it said nothing. */
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    /** What HTTP called it; 0 if there was no answer. */
    this.status = status;
  }
}

/** A name as a part of a path. */
export function part(name) {
  // A browser takes these for folders, however they are escaped, and would ask for something else.
  if (name === "." || name === "..") {
    throw new Refused(`A browser cannot ask for what is called “${name}”; curl --path-as-is can.`, 400);
  }
  return encodeURIComponent(name);
}

/**
 * The answer to GET of a path: `{ found, data, index }`, where a 404 is an answer too.
 * `also` are statuses that come with a body all the same.
 */
export async function ask(path, signal, also = []) {
  let response;
  try {
    response = await fetch(path, {
      signal,
      cache: "no-store",
      credentials: "same-origin",
      // A path that is not clean leads to another name's answer.
      redirect: "manual",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refused("The member does not answer.", 0);
  }
  if (response.type === "opaqueredirect") {
    throw new Refused("A name like this cannot be asked for over HTTP.", 400);
  }
  let text;
  try {
    text = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refused("The member broke off its answer.", 0);
  }
  const index = Number(response.headers.get("X-Consul-Index")) || 0;
  if (response.status === 404) return { found: false, data: null, index };
  if (!response.ok && !also.includes(response.status)) {
    throw new Refused(text || `The member answers ${response.status}.`, response.status);
  }
  try {
    return { found: true, data: parse(text), index };
  } catch {
    throw new Refused("The member's answer cannot be read.", 0);
  }
}

/** JSON, whose flags may have 64 bits: more than a number here holds, so they become text. */
function parse(text) {
  return JSON.parse(text.replace(/"Flags":(\d+)/g, '"Flags":"$1"'));
}
