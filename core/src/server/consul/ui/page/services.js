// Services: all of them, and one with its instances.

import { part } from "./ask.js";
import {
  address, badges, check, facts, link, make, meta, narrowed, sync, table, tags, verdicts, worstFirst,
} from "./screen.js";

/** So many are asked about one by one; a browser asks six at a time. */
const ASKED_MAX = 200;

export function services() {
  let known = [];
  const list = table("Services", ["Service", "Health", "Instances", "Tags"]);
  const draw = () => {
    const shown = box.pick(known, (item) => [item.Name, ...item.Tags].join(" "), "service", "services");
    sync(list.body, shown, (item) => item.Name, (item) =>
      list.row(
        link(item.Name, "services", { name: item.Name }),
        badges(item.Checks),
        item.Instances ?? "open it",
        tags(item.Tags),
      ),
    );
  };
  const box = narrowed("Narrow by name or tag", draw);
  return {
    title: "Services",
    content: [box.bar, list.element, box.more],
    question: { path: "/v1/health/state/any", more: summary, wait_s: 5 },
    shown(answer) {
      known = answer;
      draw();
    },
  };
}

/** Every service with its tags, and how its instances do. */
async function summary(_changed, get) {
  const names = Object.entries((await get("/v1/catalog/services")).data ?? {});
  names.sort(([a], [b]) => (a < b ? -1 : 1));
  return Promise.all(
    names.map(async ([Name, Tags], at) => {
      const item = { Name, Tags, Checks: {}, Instances: null };
      if (at >= ASKED_MAX || Name === "." || Name === "..") return item;
      const { data } = await get(`/v1/health/service/${part(Name)}`);
      item.Instances = data.length;
      item.Checks = verdicts(data.flatMap((instance) => instance.Checks));
      return item;
    }),
  );
}

export function service(name) {
  const none = make("p", {}, "No instance of it is registered.");
  none.hidden = true;
  const list = make("ul", { class: "cards" });
  return {
    title: name,
    above: make("p", { class: "above" }, link("Services", "services")),
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
