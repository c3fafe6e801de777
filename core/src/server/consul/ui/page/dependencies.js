// The dependencies of services, from the member's answer to what the views show.

/** The severity of each status; statuses not listed, such as maintenance, count as critical. */
const KINDS = new Set(["passing", "warning", "critical", "missing"]);

/** The kind of a status, which selects colour and symbol. */
export function kindOf(status) {
  return KINDS.has(status) ? status : "critical";
}

/** Symbols beside the colours, for readers who cannot distinguish colours. */
export const SIGNS = { passing: "✓", warning: "!", critical: "✕", missing: "?" };

/** A status in words. */
export function wordOf(status) {
  return status === "missing" ? "not registered" : status;
}

/**
 * The services by name, each with `needs` and `neededBy`. Unregistered
 * dependencies are included, with status `missing` and in wave 0.
 */
export function read(told) {
  const services = new Map();
  for (const item of told?.Services ?? []) {
    services.set(item.Name, {
      name: item.Name,
      status: item.Status,
      effective: item.EffectiveStatus,
      because: [...(item.Because ?? [])],
      needs: merged(item.DependsOn ?? []),
      neededBy: [],
      wave: 1,
    });
  }
  (told?.Waves ?? []).forEach((names, at) => {
    for (const name of names) if (services.has(name)) services.get(name).wave = at + 1;
  });
  for (const name of told?.Missing ?? []) services.set(name, missing(name));
  for (const service of services.values()) {
    // If the answer covers only a part of the graph, the rest is left out.
    service.needs = service.needs.filter(({ name }) => services.has(name));
    for (const { name, optional } of service.needs) {
      services.get(name).neededBy.push({ name: service.name, optional });
    }
  }
  return services;
}

function missing(name) {
  return { name, status: "missing", effective: "missing", because: [], needs: [], neededBy: [], wave: 0 };
}

/** One entry per name: it may be needed with several tags, and is optional only if all of them are. */
function merged(list) {
  const needs = new Map();
  for (const { Name, Optional, Tag } of list) {
    const known = needs.get(Name) ?? { name: Name, optional: true, tags: [] };
    known.optional &&= Boolean(Optional);
    if (Tag) known.tags.push(Tag);
    needs.set(Name, known);
  }
  return [...needs.values()];
}

/** The names of a service's dependencies and dependents, and its own, up to some distance. */
export function around(services, name, steps = Infinity) {
  const found = new Set([name]);
  for (const direction of ["needs", "neededBy"]) {
    let edge = [name];
    for (let step = 0; step < steps && edge.length; step += 1) {
      const next = new Set();
      for (const from of edge) for (const to of services.get(from)?.[direction] ?? []) next.add(to.name);
      // Services found in one direction are not followed in the other.
      edge = [...next].filter((to) => !found.has(to));
      for (const to of edge) found.add(to);
    }
  }
  return found;
}

/** The services of these names only, with only the dependencies between them. */
export function among(services, names) {
  const inside = (list) => list.filter(({ name }) => names.has(name));
  const chosen = [...services.values()].filter(({ name }) => names.has(name));
  return new Map(
    chosen.map((item) => [item.name, { ...item, needs: inside(item.needs), neededBy: inside(item.neededBy) }]),
  );
}

/** The column of each service: its wave, and to the right of everything it needs. */
export function columns(services) {
  const known = new Map();
  const column = (name) => {
    if (known.has(name)) return known.get(name);
    const service = services.get(name);
    known.set(name, service.wave);
    const behind = service.needs.map((need) => column(need.name) + 1);
    known.set(name, Math.max(service.wave, ...behind));
    return known.get(name);
  };
  for (const name of services.keys()) column(name);
  return known;
}
