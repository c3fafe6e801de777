// The picture of the dependencies: a list of links, placed over lines. The
// links are HTML, so they work with keyboards and screen readers like any other.

import { SIGNS, kindOf, wordOf } from "./dependencies.js";
import { HEIGHT, WIDTH, place } from "./layout.js";
import { link, make, sync } from "./screen.js";

const LINES = new Set(["class", "d", "width", "height", "aria-hidden"]);

function drawn(name, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (!LINES.has(attribute)) throw new Error(`no attribute ${attribute} here`);
    element.setAttribute(attribute, value);
  }
  element.append(...children);
  return element;
}

/** `{ element, show(services, chosen) }`. */
export function picture() {
  const heads = make("div", { class: "heads" });
  const lines = drawn("svg", { class: "lines", "aria-hidden": "true" });
  const list = make("ul", { class: "places", "aria-label": "Services in start order" });
  const canvas = make("div", { class: "canvas" }, heads, lines, list);
  const element = make("div", { class: "picture", role: "region", tabindex: "0", "aria-label": "Picture of the dependencies" }, canvas);
  let services = new Map();
  let shape = "";
  let placed;
  const show = (now, chosen) => {
    services = now;
    const shapeNow = JSON.stringify([...now.values()].map(({ name, wave, needs }) => [name, wave, needs]));
    if (shapeNow !== shape) {
      placed = place(now);
      shape = shapeNow;
      canvas.classList.toggle("crowded", placed.crowded);
      canvas.style.width = `${placed.width}px`;
      canvas.style.height = `${placed.height}px`;
      lines.setAttribute("width", placed.width);
      lines.setAttribute("height", placed.height);
      heads.replaceChildren(...placed.heads.map(head));
    }
    lines.replaceChildren(...placed.lines.map((item) => line(item, now)));
    const ofPlace = (a, b) => a.x - b.x || a.y - b.y;
    const items = [...now.values()].map(({ name, status, effective, because }) => ({
      name, status, effective, because, chosen: name === chosen, ...placed.at.get(name),
    }));
    sync(list, items.sort(ofPlace), (item) => item.name, service);
  };
  const nameOf = (event) => event.target.closest?.(".places li")?.syncKey;
  const light = (event) => follow(canvas, lines, list, placed, services.get(nameOf(event)));
  const dim = () => follow(canvas, lines, list, placed, undefined);
  for (const [event, does] of [["pointerover", light], ["focusin", light], ["pointerleave", dim], ["focusout", dim]]) {
    element.addEventListener(event, does);
  }
  element.addEventListener("keydown", (event) => {
    const service = services.get(nameOf(event));
    const to = service && neighbour(event.key, service, placed.at, services);
    if (!to) return;
    event.preventDefault();
    [...list.children].find((item) => item.syncKey === to)?.querySelector("a").focus();
  });
  return { element, show };
}

function head({ text, x, y }) {
  const element = make("p", {}, text);
  Object.assign(element.style, { left: `${x - WIDTH / 2}px`, top: `${y}px`, width: `${WIDTH}px` });
  return element;
}

function service(item) {
  const kind = kindOf(item.effective);
  const about = item.because.length ? `${wordOf(item.effective)}: ${item.because.join(", ")}` : wordOf(item.effective);
  const element = make(
    "li",
    { class: item.chosen ? "chosen" : "" },
    link(
      [
        make("span", { class: "sign", "aria-hidden": "true" }, SIGNS[kind]),
        make("span", { class: "name" }, item.name),
        make("span", { class: "about" }, " ", about),
      ],
      "services",
      { name: item.name },
      { class: `place ${kind}`, title: `${item.name} · ${about}`, "aria-current": item.chosen ? "true" : null },
    ),
  );
  Object.assign(element.style, {
    left: `${item.x - WIDTH / 2}px`,
    top: `${item.y - HEIGHT / 2}px`,
    width: `${WIDTH}px`,
    height: `${HEIGHT}px`,
  });
  return element;
}

/** From the needed service, where the arrow ends, to its dependent. */
function line({ from, to, optional, points }, services) {
  const [first, ...rest] = points;
  let path = `M${first.x + 7} ${first.y}`;
  let last = first;
  for (const next of rest) {
    const middle = (last.x + next.x) / 2;
    path += next.y === last.y ? `H${next.x}` : `C${middle} ${last.y} ${middle} ${next.y} ${next.x} ${next.y}`;
    last = next;
  }
  const kind = kindOf(services.get(from).effective);
  const hurts = kind === "passing" ? "" : optional ? "warning" : kind === "missing" ? "critical" : kind;
  const element = drawn(
    "g",
    { class: `line ${optional ? "optional" : ""} ${hurts}` },
    drawn("path", { d: path }),
    drawn("path", { class: "tip", d: `M${first.x} ${first.y}l9-4.5v9z` }),
  );
  Object.assign(element.dataset, { from, to });
  return element;
}

/** Highlights one service with its dependencies and dependents; without one, nothing is highlighted. */
function follow(canvas, lines, list, placed, service) {
  canvas.classList.toggle("following", Boolean(service));
  const near = new Set(service ? [service.name] : []);
  for (const element of lines.children) {
    const { from, to } = element.dataset;
    const lit = Boolean(service) && (from === service.name || to === service.name);
    element.classList.toggle("lit", lit);
    if (lit) near.add(from).add(to);
  }
  for (const element of list.children) element.classList.toggle("lit", near.has(element.syncKey));
}

/** The target of an arrow key: a dependency, a dependent, or the next in the wave. */
function neighbour(key, { name, needs, neededBy }, at, services) {
  const own = at.get(name);
  const nearest = (names) =>
    names.sort((a, b) => Math.abs(at.get(a).y - own.y) - Math.abs(at.get(b).y - own.y))[0];
  const column = () => [...services.keys()].filter((other) => at.get(other).x === own.x);
  switch (key) {
    case "ArrowLeft": return nearest(needs.map((need) => need.name));
    case "ArrowRight": return nearest(neededBy.map((other) => other.name));
    case "ArrowUp": return nearest(column().filter((other) => at.get(other).y < own.y));
    case "ArrowDown": return nearest(column().filter((other) => at.get(other).y > own.y));
    default: return undefined;
  }
}

/** The meaning of colours, symbols and lines. */
export function legend() {
  const sample = (optional) =>
    drawn("svg", { class: "lines", width: 44, height: 12, "aria-hidden": "true" },
      drawn("g", { class: `line ${optional ? "optional" : ""}` },
        drawn("path", { d: "M8 6H44" }), drawn("path", { class: "tip", d: "M1 6l9-4.5v9z" })));
  const signs = Object.entries(SIGNS).map(([kind, sign]) =>
    make("li", {}, make("span", { class: `place sign ${kind}`, "aria-hidden": "true" }, sign), wordOf(kind)));
  return make(
    "ul",
    { class: "legend", "aria-label": "Legend" },
    signs,
    make("li", {}, sample(false), "points to a required service"),
    make("li", {}, sample(true), "points to an optional service"),
  );
}
