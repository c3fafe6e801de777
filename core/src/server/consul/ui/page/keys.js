// Keys: one level of them, or one key with its value.

import { part } from "./ask.js";
import { facts, link, make, narrowed, sync, table } from "./screen.js";
import { bytes, shown } from "./value.js";

export function keys(prefix, key) {
  return key === null ? level(prefix) : one(key);
}

/** A path of keys as links to the levels above. */
function steps(path) {
  const names = path.split("/");
  const last = names.pop();
  let prefix = "";
  const links = names.map((name) => {
    prefix += `${name}/`;
    return [" ", link(`${name}/`, "keys", { prefix })];
  });
  return make("p", { class: "above" }, link("Keys", "keys"), links.flat(), last ? ` ${last}` : "");
}

function level(prefix) {
  let known = [];
  const list = make("ul", { class: "keys" });
  const draw = () => {
    const found = box.pick(known, (name) => name.slice(prefix.length), "entry", "entries");
    sync(list, found, (name) => name, (name) => {
      const own = name.slice(prefix.length);
      const below = name.endsWith("/") && name !== prefix;
      const to = below ? { prefix: name } : { key: name };
      // A key may have the name of its folder, which leaves an empty own name.
      return make("li", {}, link(own || name, "keys", to, { class: below ? "folder" : "leaf" }));
    });
  };
  const box = narrowed("Filter by name", draw);
  return {
    title: prefix || "Keys",
    above: prefix ? steps(prefix) : undefined,
    content: [box.bar, list, box.more],
    question: { get path() { return `/v1/kv/${prefix ? part(prefix) : ""}?keys&separator=/`; } },
    shown({ data }) {
      known = data ?? [];
      draw();
    },
  };
}

function one(key) {
  const chosen = { kind: "text" };
  const about = make("div");
  const value = make("div");
  const missing = make("p", {}, "There is no such key. It will appear here once it is written.");
  missing.hidden = true;
  return {
    title: key,
    above: steps(key),
    content: [missing, about, value],
    question: {
      get path() { return `/v1/kv/${part(key)}`; },
    },
    shown({ data }) {
      const entry = data?.[0];
      missing.hidden = Boolean(entry);
      sync(about, entry ? [entry] : [], () => "", (item) =>
        facts([
          ["Size", `${bytes(item.Value).length} bytes`],
          ["Flags", flags(item.Flags)],
          ["Held by", item.Session ? link(item.Session, "sessions", { id: item.Session }) : "nobody"],
          ["Acquired", item.LockIndex ? (item.LockIndex === 1 ? "once" : `${item.LockIndex} times`) : null],
          ["Created at", `index ${item.CreateIndex}`],
          ["Changed at", `index ${item.ModifyIndex}`],
        ]),
      );
      sync(value, entry ? [entry.Value] : [], () => "", (base64) => shown(bytes(base64), chosen));
    },
  };
}

/** Flags in decimal and in hexadecimal. */
function flags(text) {
  const number = BigInt(text);
  return number > 9n ? `${number} (0x${number.toString(16)})` : text;
}
