// Building blocks of the views. Untrusted data is inserted as text, never as
// markup, and only the attributes listed here are set.

const ATTRIBUTES = new Set([
  "class", "href", "id", "for", "type", "placeholder", "role", "scope", "tabindex", "title",
  "value", "autocomplete", "spellcheck", "aria-label", "aria-live", "aria-pressed",
  "aria-current", "aria-hidden", "data-label", "datetime",
]);

/** An element; children are elements, text, or nothing. */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (attribute === "click") element.addEventListener("click", value);
    else if (!ATTRIBUTES.has(attribute)) throw new Error(`no attribute ${attribute} here`);
    else if (value !== undefined && value !== null) element.setAttribute(attribute, value);
  }
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

/** The address of a view. Names go into the query: in a path a browser would resolve `..`. */
export function place(view, names = {}) {
  const query = new URLSearchParams(names).toString();
  return `/ui/${view}${query ? `?${query}` : ""}`;
}

/** A link to a view. */
export function link(text, view, names, attributes = {}) {
  return make("a", { href: place(view, names), ...attributes }, text);
}

/**
 * Updates the children of `parent` to match `items`. Unchanged items keep their
 * element, so that focus, selection and scroll position survive updates.
 */
export function sync(parent, items, keyOf, draw) {
  const known = new Map();
  for (const child of parent.children) known.set(child.syncKey, child);
  const wanted = items.map((item) => {
    const key = keyOf(item);
    const look = JSON.stringify(item);
    const old = known.get(key);
    if (old && old.syncLook === look) return old;
    const element = draw(item);
    element.syncKey = key;
    element.syncLook = look;
    if (old) keepFocus(old, element);
    return element;
  });
  const keep = new Set(wanted);
  for (const child of [...parent.children]) {
    if (!keep.has(child)) child.successor && parent.contains(child) ? child.replaceWith(child.successor) : child.remove();
  }
  wanted.forEach((element, at) => {
    if (parent.children[at] !== element) parent.insertBefore(element, parent.children[at] ?? null);
  });
  for (const element of wanted) {
    element.focusLater?.();
    delete element.focusLater;
  }
}

/** If the third link of the old element had the focus, that of the new one gets it. */
function keepFocus(old, element) {
  old.successor = element;
  if (!old.contains(document.activeElement)) return;
  const focusable = "a[href], button, input, [tabindex]";
  const at = [...old.querySelectorAll(focusable)].indexOf(document.activeElement);
  element.focusLater = () => element.querySelectorAll(focusable)[at]?.focus({ preventScroll: true });
}

/** A table that becomes cards on narrow screens; `columns` are its headings. */
export function table(label, columns) {
  const body = make("tbody", { role: "rowgroup" });
  const cells = columns.map((column) => make("th", { scope: "col", role: "columnheader" }, column));
  const head = make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, cells));
  const element = make("table", { role: "table", "aria-label": label }, head, body);
  const row = (...contents) =>
    make(
      "tr",
      { role: "row" },
      contents.map((content, at) =>
        make("td", { role: "cell", "data-label": columns[at] }, make("div", {}, content)),
      ),
    );
  return { element, body, row };
}

/** A list of names and values. */
export function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== undefined && value !== null && value !== "");
  return make(
    "dl",
    { class: "facts" },
    shown.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))),
  );
}

const STATES = ["critical", "warning", "passing"];

/** The status of a check, as text and colour. */
export function badge(status, count) {
  const kind = STATES.includes(status) ? status : "other";
  const text = count === undefined ? status : `${count} ${status}`;
  return make("span", { class: `badge ${kind}` }, text);
}

/** The number of checks per status. */
export function verdicts(checks) {
  const count = { critical: 0, warning: 0, passing: 0 };
  for (const check of checks) if (check.Status in count) count[check.Status] += 1;
  return count;
}

/** The same as elements. */
export function badges(count) {
  const shown = STATES.filter((status) => count[status]);
  if (!shown.length) return make("span", { class: "quiet" }, "no checks");
  return make("span", { class: "badges" }, shown.map((status) => [badge(status, count[status]), " "]).flat());
}

/** Tags. */
export function tags(list) {
  if (!list?.length) return make("span", { class: "quiet" }, "none");
  return make("span", { class: "tags" }, list.map((tag) => [make("span", { class: "tag" }, tag), " "]).flat());
}

/** `key=value` of metadata, sorted. */
export function meta(map) {
  const pairs = Object.entries(map ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return tags(pairs.map(([key, value]) => `${key}=${value}`));
}

/** One check with its output. */
export function check(item) {
  const about = [item.Type, item.CheckID, item.ServiceName].filter(Boolean).join(" · ");
  return make(
    "li",
    { class: "check" },
    make("p", {}, badge(item.Status), " ", make("strong", {}, item.Name || item.CheckID), " ",
      make("span", { class: "quiet" }, about)),
    item.Notes ? make("p", { class: "quiet" }, item.Notes) : null,
    item.Output ? make("pre", { tabindex: "0", "aria-label": `Output of ${item.Name || item.CheckID}` }, item.Output) : null,
  );
}

/** Worst first, then by name. */
export function worstFirst(checks) {
  const rank = (item) => (STATES.indexOf(item.Status) + STATES.length + 1) % (STATES.length + 1);
  const name = (item) => `${item.Name}\0${item.CheckID}\0${item.ServiceID}`;
  return [...checks].sort((a, b) => rank(a) - rank(b) || (name(a) < name(b) ? -1 : 1));
}

/** `host:port`, with brackets if the host has colons. */
export function address(host, port) {
  if (!host) return "";
  const bracketed = host.includes(":") ? `[${host}]` : host;
  return make("span", { class: "whole" }, port ? `${bracketed}:${port}` : host);
}

/** A search box that filters a list, and a list that is shown in pieces. */
export function narrowed(label, redraw, step = 200) {
  const input = make("input", {
    type: "search", placeholder: label, "aria-label": label, autocomplete: "off", spellcheck: "false",
  });
  const more = make("button", { type: "button" });
  const count = make("p", { class: "quiet", role: "status" });
  let limit = step;
  input.addEventListener("input", () => {
    limit = step;
    redraw();
  });
  more.addEventListener("click", () => {
    limit += step;
    redraw();
  });
  const word = () => input.value.trim().toLowerCase();
  /** The items whose text contains the word, up to the limit. */
  const pick = (items, textOf, one, many) => {
    const sought = word();
    const fitting = sought ? items.filter((item) => textOf(item).toLowerCase().includes(sought)) : items;
    const shown = fitting.slice(0, limit);
    const of = sought ? ` of ${items.length}` : "";
    const cut = shown.length < fitting.length ? `, ${shown.length} shown` : "";
    const told = `${fitting.length}${of} ${items.length === 1 ? one : many}${cut}`;
    // Setting the same text again would make a screen reader repeat it.
    if (count.textContent !== told) count.textContent = told;
    more.hidden = shown.length === fitting.length;
    more.textContent = `Show ${Math.min(step, fitting.length - shown.length)} more`;
    return shown;
  };
  return { bar: make("div", { class: "bar" }, input, count), more, pick, word };
}
