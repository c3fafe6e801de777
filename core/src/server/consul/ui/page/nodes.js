// Nodes of the catalog: all of them, or one with its services, checks and sessions.

import { part } from "./ask.js";
import {
  address, badge, badges, check, facts, link, make, meta, narrowed, sync, table, tags, verdicts,
  worstFirst,
} from "./screen.js";

export function nodes() {
  let known = [];
  const list = table("Nodes", ["Node", "Health", "Address", "Metadata"]);
  const draw = () => {
    const shown = box.pick(known, (item) => `${item.Node} ${item.Address}`, "node", "nodes");
    sync(list.body, shown, (item) => item.Node, (item) =>
      list.row(
        link(item.Node, "nodes", { name: item.Node }),
        badges(item.Checks),
        address(item.Address),
        meta(item.Meta),
      ),
    );
  };
  const box = narrowed("Filter by name or address", draw);
  return {
    title: "Nodes",
    content: [box.bar, list.element, box.more],
    question: { path: "/v1/health/state/any", more: withHealth, wait_s: 5 },
    shown(answer) {
      known = answer;
      draw();
    },
  };
}

async function withHealth(checks, get) {
  const of = new Map();
  for (const item of checks.data ?? []) of.set(item.Node, [...(of.get(item.Node) ?? []), item]);
  const { data } = await get("/v1/catalog/nodes");
  return (data ?? []).map(({ Node, Address, Meta }) => ({
    Node, Address, Meta, Checks: verdicts(of.get(Node) ?? []),
  }));
}

export function node(name) {
  const none = make("p", {}, "No such node is registered.");
  none.hidden = true;
  const about = make("div");
  const services = table("Services of the node", ["Service", "Instance", "Address", "Tags"]);
  const checks = make("ul", { class: "checks" });
  const sessions = table("Sessions of the node", ["Session", "Name", "TTL", "Behaviour"]);
  const rest = make(
    "div",
    {},
    about,
    make("h2", {}, "Services"), services.element,
    make("h2", {}, "Checks"), checks,
    make("h2", {}, "Sessions"), sessions.element,
  );
  return {
    title: name,
    above: make("p", { class: "above" }, link("Nodes", "nodes")),
    content: [none, rest],
    question: {
      get path() { return `/v1/health/node/${part(name)}`; },
      more: async (health, get) => ({
        checks: health.data ?? [],
        catalog: (await get(`/v1/catalog/node/${part(name)}`)).data,
        sessions: (await get(`/v1/session/node/${part(name)}`)).data ?? [],
      }),
      wait_s: 5,
    },
    shown(answer) {
      none.hidden = answer.catalog !== null;
      rest.hidden = answer.catalog === null;
      if (!answer.catalog) return;
      const { Node, Services } = answer.catalog;
      sync(about, [Node], () => "", (item) =>
        facts([
          ["Address", item.Address],
          ["Datacenter", item.Datacenter],
          ["ID", item.ID],
          ["Metadata", Object.keys(item.Meta ?? {}).length ? meta(item.Meta) : null],
        ]),
      );
      const byName = (a, b) => (`${a.Service}\0${a.ID}` < `${b.Service}\0${b.ID}` ? -1 : 1);
      sync(services.body, Object.values(Services).sort(byName), (item) => item.ID, (item) =>
        services.row(
          link(item.Service, "services", { name: item.Service }),
          item.ID,
          address(item.Address || Node.Address, item.Port),
          tags(item.Tags),
        ),
      );
      const idOf = (item) => JSON.stringify([item.ServiceID, item.CheckID]);
      sync(checks, worstFirst(answer.checks), idOf, check);
      sync(sessions.body, answer.sessions, (item) => item.ID, (item) =>
        sessions.row(
          link(item.ID, "sessions", { id: item.ID }),
          item.Name || make("span", { class: "quiet" }, "none"),
          item.TTL || "none",
          badge(item.Behavior),
        ),
      );
    },
  };
}
