// The frame of the page: the current view and the state of the connection.
//
// A view returns `{ title, content, question, shown }`: its heading, the content
// below it, the request it polls, and the function that shows an answer.

import { ask } from "./ask.js";
import { follow } from "./follow.js";
import { graph } from "./graph.js";
import { keys } from "./keys.js";
import { members } from "./members.js";
import { node, nodes } from "./nodes.js";
import { link, make } from "./screen.js";
import { service, services } from "./services.js";
import { sessions } from "./sessions.js";

const VIEWS = [
  ["services", "Services"],
  ["nodes", "Nodes"],
  ["graph", "Dependencies"],
  ["keys", "Keys"],
  ["sessions", "Sessions"],
  ["members", "Members"],
];

function view() {
  const { pathname, searchParams } = new URL(location.href);
  const name = searchParams.get("name");
  switch (pathname.slice("/ui/".length).replace(/\/$/, "")) {
    case "":
    case "services":
      return { tab: "services", ...(name === null ? services() : service(name)) };
    case "nodes":
      return { tab: "nodes", ...(name === null ? nodes() : node(name)) };
    case "graph":
      return { tab: "graph", ...graph(name) };
    case "keys":
      return { tab: "keys", ...keys(searchParams.get("prefix") ?? "", searchParams.get("key")) };
    case "sessions":
      return { tab: "sessions", ...sessions(searchParams.get("id")) };
    case "members":
      return { tab: "members", ...members() };
    default:
      return { title: "Page not found", content: [make("p", {}, "There is no such view. ", link("Services", "services"))] };
  }
}

let leave = new AbortController();

function show(focus) {
  leave.abort();
  leave = new AbortController();
  const now = view();
  document.title = `${now.title} · coord`;
  for (const tab of document.querySelectorAll("#views a")) {
    if (tab.dataset.view === now.tab) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
  const heading = make("h1", { tabindex: "-1" }, now.title);
  const trouble = make("p", { class: "trouble", role: "alert" });
  trouble.hidden = true;
  const content = make("div", { class: "view" }, now.content);
  const main = document.getElementById("content");
  main.replaceChildren(now.above ?? "", heading, trouble, content);
  scrollTo(0, 0);
  if (focus) heading.focus({ preventScroll: true });
  if (!now.question) return;
  content.setAttribute("aria-busy", "true");
  follow(
    now.question,
    leave.signal,
    (data) => {
      content.removeAttribute("aria-busy");
      now.shown(data);
    },
    (standing) => stand(standing, trouble, content),
  );
}

function stand({ state, text, again_ms }, trouble, content) {
  const told = document.getElementById("standing");
  const words = { live: "live", lost: "not connected", refused: "refused" }[state];
  // Setting the same text again would make a screen reader repeat it.
  if (told.textContent !== words) told.textContent = words;
  told.className = state;
  trouble.hidden = state === "live";
  content.classList.toggle("old", state !== "live");
  if (state === "live") return;
  const what = content.hasAttribute("aria-busy") ? text : `${text} The data below may be outdated.`;
  if (trouble.dataset.what !== what) {
    trouble.dataset.what = what;
    trouble.replaceChildren(what, " ", make("span", { class: "quiet" }, "Retrying."));
  }
  trouble.title = `Next attempt in ${Math.round(again_ms / 1000)} s`;
}

function followLinks(event) {
  const anchor = event.target.closest?.("a[href]");
  const special = event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;
  if (!anchor || special || event.defaultPrevented || anchor.target) return;
  const to = new URL(anchor.href);
  if (to.origin !== location.origin || !to.pathname.startsWith("/ui/") || to.hash) return;
  event.preventDefault();
  if (to.href !== location.href) history.pushState(null, "", to);
  show(true);
}

async function name() {
  try {
    const { data } = await ask("/v1/agent/self");
    const { NodeName, Datacenter } = data.Config;
    document.getElementById("member").textContent = `${NodeName} · ${Datacenter}`;
  } catch {
    setTimeout(name, 3_000);
  }
}

document.getElementById("views").append(
  make("ul", {}, VIEWS.map(([view, title]) => {
    const tab = link(title, view);
    tab.dataset.view = view;
    return make("li", {}, tab);
  })),
);
document.addEventListener("click", followLinks);
addEventListener("popstate", () => show(true));
show(false);
name();
