// The dependency graph of services: what needs what, the start order, and which
// services an outage affects. The whole graph, or the part around one service.

import { part } from "./ask.js";
import { among, around, kindOf, read, wordOf } from "./dependencies.js";
import { legend, picture } from "./picture.js";
import { badge, facts, link, make, narrowed, sync, table } from "./screen.js";

/** A larger picture is unreadable, and slow to lay out. */
const DRAWN_MAX = 600;
/** Around one service everything is shown up to this many, above that only its neighbours. */
const AROUND_MAX = 60;

const PATH = "/v1/coord/graph";
const TITLE = "Dependencies";

export function graph(name) {
  return name === null ? all() : one(name);
}

function all() {
  let services = new Map();
  const view = drawing();
  const rows = listing();
  const redraw = () => {
    const known = [...services.values()].sort(worstFirst);
    rows.show(box.pick(known, textOf, "name", "names"));
    const word = box.word();
    const fitting = known.filter((item) => !word || textOf(item).toLowerCase().includes(word));
    const near = new Set();
    // The services that match, and their neighbours.
    for (const item of fitting) for (const other of word ? around(services, item.name, 1) : [item.name]) near.add(other);
    view.show(among(services, near), undefined, word ? "Filter the list further to see a picture." : "Filter the list, or open one service, to see a picture.");
  };
  const box = narrowed("Filter by name or status", redraw);
  const summary = make("p", { class: "summary" });
  const none = make("p", {}, "No service is registered. A registration declares dependencies with DependsOn, or with the key depends-on in its Meta.");
  none.hidden = true;
  return {
    title: TITLE,
    content: [none, box.bar, summary, view.element, make("h2", {}, "All services"), rows.element, box.more],
    question: { path: PATH },
    shown({ data }) {
      services = read(data);
      none.hidden = services.size > 0;
      tell(summary, summed(services));
      redraw();
    },
  };
}

function one(asked) {
  let name = asked;
  let services = new Map();
  let wide;
  const view = drawing();
  const about = make("div");
  const none = make("p", {}, "No service of this name is registered, and no service depends on it.");
  none.hidden = true;
  const rows = listing();
  const choices = [["Direct and indirect", true], ["Direct only", false]].map(([text, value]) => {
    const button = make("button", { type: "button", click: () => { wide = value; redraw(); } }, text);
    return { button, value };
  });
  const rest = make(
    "div", {}, about,
    make("div", { class: "bar" }, choices.map(({ button }) => button)),
    view.element,
    make("h2", {}, "Services in the picture"), rows.element,
  );
  const redraw = () => {
    const here = services.get(name);
    none.hidden = Boolean(here);
    rest.hidden = !here;
    if (!here) return;
    const everything = around(services, name);
    wide ??= everything.size <= AROUND_MAX;
    const chosen = among(services, wide ? everything : around(services, name, 1));
    for (const { button, value } of choices) button.setAttribute("aria-pressed", String(value === wide));
    view.show(chosen, name, "Choose “Direct only”.");
    rows.show([...chosen.values()].sort(worstFirst).slice(0, DRAWN_MAX));
    sync(about, [here], () => "", ({ effective, status, because, needs, neededBy }) =>
      facts([
        ["Status", make("span", {}, verdict(effective), status === effective ? null : ` (itself ${wordOf(status)})`)],
        ["Because of", because.length ? names(because) : null],
        ["Needs", needs.length ? needed(needs) : "nothing"],
        ["Needed by", neededBy.length ? names(neededBy.map((other) => other.name)) : "nobody"],
      ]),
    );
  };
  return {
    title: asked,
    above: make("p", { class: "above" }, link(TITLE, "graph"), " · ", link("Instances", "services", { name })),
    content: [none, rest],
    question: { get path() { return `${PATH}/${part(asked)}`; } },
    shown({ data }) {
      services = read(data);
      // It may be spelled differently.
      name = data?.Name ?? asked;
      redraw();
    },
  };
}

/** The picture with its legend, or the reason why there is none. */
function drawing() {
  const { element, show } = picture();
  const signs = legend();
  const instead = make("p", { class: "quiet" });
  const hint = make("p", { class: "quiet" }, "Use the arrow keys to move from a service to its dependencies and dependents.");
  instead.hidden = true;
  return {
    element: make("div", {}, signs, instead, element, hint),
    show(services, chosen, advice) {
      const many = services.size > DRAWN_MAX;
      instead.hidden = !many;
      tell(instead, `${services.size} services are too many for a picture. ${advice}`);
      for (const part of [element, signs, hint]) part.hidden = many || services.size === 0;
      if (!many) show(services, chosen);
    },
  };
}

function listing() {
  const list = table("Services and what they need", ["Service", "Status", "Because of", "Needs", "Needed by", "Wave"]);
  return {
    element: list.element,
    show(items) {
      sync(list.body, items, (item) => item.name, (item) =>
        list.row(
          link(item.name, "graph", { name: item.name }),
          make("span", {}, verdict(item.effective), item.status === item.effective ? null : ` itself ${wordOf(item.status)}`),
          item.because.length ? names(item.because) : "",
          item.needs.length ? needed(item.needs) : "",
          item.neededBy.length ? names(item.neededBy.map((other) => other.name)) : "",
          item.wave || "",
        ),
      );
    },
  };
}

/** The beginning of a long list: the rest is a click away. */
const LISTED_MAX = 12;

function joined(items, draw) {
  const shown = items.slice(0, LISTED_MAX).map((item, at) => [at ? ", " : "", draw(item)]).flat();
  return make("span", {}, shown, items.length > LISTED_MAX ? `, and ${items.length - LISTED_MAX} more` : null);
}

function names(list) {
  return joined(list, (name) => link(name, "graph", { name }));
}

function needed(needs) {
  return joined(needs, ({ name, optional, tags }) =>
    make(
      "span", {},
      link(name, "graph", { name }),
      tags.length ? ` (${tags.join(", ")})` : null,
      optional ? make("span", { class: "quiet" }, " optional") : null,
    ));
}

function verdict(status) {
  return badge(status === "missing" ? wordOf(status) : status);
}

function textOf({ name, effective }) {
  return `${name} ${wordOf(effective)}`;
}

const RANK = ["critical", "missing", "warning", "passing"];

function worstFirst(a, b) {
  const rank = (item) => RANK.indexOf(kindOf(item.effective));
  return rank(a) - rank(b) || (a.name < b.name ? -1 : 1);
}

/** The number of services, and how many are critical by themselves and because of others. */
function summed(services) {
  const all = [...services.values()];
  const registered = all.filter((item) => item.effective !== "missing");
  const ill = registered.filter((item) => kindOf(item.status) === "critical").length;
  const suffering = registered.filter((item) => kindOf(item.effective) === "critical").length - ill;
  const parts = [`${registered.length} services`];
  if (ill) parts.push(`${ill} critical`);
  if (suffering) parts.push(`${suffering} critical because of a dependency`);
  if (all.length > registered.length) parts.push(`${all.length - registered.length} needed but not registered`);
  return parts.join(", ");
}

/** Setting the same text again would make a screen reader repeat it. */
function tell(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
