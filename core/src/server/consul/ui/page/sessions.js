// Consul sessions, which hold keys: all of them, or one.

import { part } from "./ask.js";
import { facts, link, make, narrowed, sync, table, tags } from "./screen.js";

const seconds = (nanoseconds) => `${nanoseconds / 1e9} s`;

export function sessions(id) {
  return id === null ? all() : one(id);
}

function all() {
  let known = [];
  const list = table("Sessions", ["Session", "Name", "Node", "TTL", "When it ends"]);
  const draw = () => {
    const textOf = (item) => `${item.ID} ${item.Name} ${item.Node}`;
    const shown = box.pick(known, textOf, "session", "sessions");
    sync(list.body, shown, (item) => item.ID, (item) =>
      list.row(
        link(item.ID, "sessions", { id: item.ID }),
        item.Name || make("span", { class: "quiet" }, "none"),
        link(item.Node, "nodes", { name: item.Node }),
        item.TTL || make("span", { class: "quiet" }, "none"),
        end(item.Behavior),
      ),
    );
  };
  const box = narrowed("Filter by id, name or node", draw);
  return {
    title: "Sessions",
    content: [
      make("p", { class: "quiet" }, "Consul sessions. For ZooKeeper sessions, use the four-letter word dump."),
      box.bar, list.element, box.more,
    ],
    question: { path: "/v1/session/list" },
    shown({ data }) {
      known = data ?? [];
      draw();
    },
  };
}

function end(behavior) {
  return behavior === "delete" ? "deletes its keys" : "releases its keys";
}

function one(id) {
  const content = make("div");
  return {
    title: "Session",
    above: make("p", { class: "above" }, link("Sessions", "sessions")),
    content: [content],
    question: { get path() { return `/v1/session/info/${part(id)}`; } },
    shown({ data }) {
      sync(content, [data?.[0] ?? null], () => "", (item) =>
        item
          ? facts([
              ["ID", item.ID],
              ["Name", item.Name],
              ["Node", link(item.Node, "nodes", { name: item.Node })],
              ["TTL", item.TTL || "none: lasts as long as its checks"],
              ["When it ends", end(item.Behavior)],
              ["Lock delay", seconds(item.LockDelay)],
              ["Node checks", tags(item.NodeChecks)],
              ["Service checks", tags((item.ServiceChecks ?? []).map((check) => check.ID))],
              ["Created at", `index ${item.CreateIndex}`],
            ])
          : make("p", {}, `There is no session ${id}: it has ended or never existed.`),
      );
    },
  };
}
