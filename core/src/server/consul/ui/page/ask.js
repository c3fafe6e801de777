// Requests to the member: one GET, its answer, and its errors.

/** A failed request, with the member's message if it sent one. */
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    /** The HTTP status; 0 if there was no answer. */
    this.status = status;
  }
}

/** A name as a path segment. */
export function part(name) {
  // A browser resolves these as relative segments, however they are escaped, and would request another path.
  if (name === "." || name === "..") {
    throw new Refused(`A browser cannot request the name “${name}”; use curl --path-as-is.`, 400);
  }
  return encodeURIComponent(name);
}

/**
 * The answer to GET of a path: `{ found, data, index }`, where a 404 is an answer too.
 * `also` lists further statuses whose body is an answer.
 */
export async function ask(path, signal, also = []) {
  let response;
  try {
    response = await fetch(path, {
      signal,
      cache: "no-store",
      credentials: "same-origin",
      // A path that is not canonical is redirected to another name's answer.
      redirect: "manual",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refused("The member does not answer.", 0);
  }
  if (response.type === "opaqueredirect") {
    throw new Refused("This name cannot be requested over HTTP.", 400);
  }
  let text;
  try {
    text = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refused("The member's answer ended early.", 0);
  }
  const index = Number(response.headers.get("X-Consul-Index")) || 0;
  if (response.status === 404) return { found: false, data: null, index };
  if (!response.ok && !also.includes(response.status)) {
    throw new Refused(text || `The member answers ${response.status}.`, response.status);
  }
  try {
    return { found: true, data: parse(text), index };
  } catch {
    throw new Refused("The member's answer is not valid JSON.", 0);
  }
}

/** JSON. Flags may have 64 bits, more than a JavaScript number holds, so they become text. */
function parse(text) {
  return JSON.parse(text.replace(/"Flags":(\d+)/g, '"Flags":"$1"'));
}
