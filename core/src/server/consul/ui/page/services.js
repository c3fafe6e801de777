// Services: all of them, or one with its instances.

import { part } from "./ask.js";
import {
  address, badges, check, facts, link, make, meta, narrowed, sync, table, tags, verdicts, worstFirst,
} from "./screen.js";

export function services() {
  let known = [];
  const list = table("Services", ["Service", "Health", "Instances", "Tags"]);
  const draw = () => {
    const shown = box.pick(known, (item) => [item.Name, ...item.Tags].join(" "), "service", "services");
    sync(list.body, shown, (item) => item.Name, (item) =>
      list.row(
        link(item.Name, "services", { name: item.Name }),
        badges(verdictsOf(item)),
        item.InstanceCount,
        tags(item.Tags),
      ),
    );
  };
  const box = narrowed("Filter by name or tag", draw);
  return {
    title: "Services",
    content: [box.bar, list.element, box.more],
    question: { path: "/v1/internal/ui/services" },
    shown({ data }) {
      known = data.map((item) => ({ ...item, Tags: item.Tags ?? [] }));
      draw();
    },
  };
}

function verdictsOf({ ChecksCritical, ChecksWarning, ChecksPassing }) {
  return { critical: ChecksCritical, warning: ChecksWarning, passing: ChecksPassing };
}

export function service(name) {
  const none = make("p", {}, "No instance of it is registered.");
  none.hidden = true;
  const list = make("ul", { class: "cards" });
  return {
    title: name,
    above: make("p", { class: "above" }, link("Services", "services"), " · ", link("Its dependencies", "graph", { name })),
    content: [none, list],
    question: { get path() { return `/v1/health/service/${part(name)}`; } },
    shown({ data }) {
      none.hidden = data.length > 0;
      const idOf = (item) => JSON.stringify([item.Node.Node, item.Service.ID]);
      const sorted = [...data].sort((a, b) => (idOf(a) < idOf(b) ? -1 : 1));
      sync(list, sorted, idOf, instance);
    },
  };
}

function instance({ Node, Service, Checks }) {
  return make(
    "li",
    { class: "card" },
    make("h2", {}, Service.ID),
    badges(verdicts(Checks)),
    facts([
      ["Address", address(Service.Address || Node.Address, Service.Port)],
      ["Node", link(Node.Node, "nodes", { name: Node.Node })],
      ["Tags", tags(Service.Tags)],
      ["Metadata", Object.keys(Service.Meta ?? {}).length ? meta(Service.Meta) : null],
    ]),
    make("ul", { class: "checks" }, worstFirst(Checks).map(check)),
  );
}
