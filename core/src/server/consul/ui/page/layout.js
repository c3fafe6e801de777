// Positions of services in the picture: each wave is a column, from left to
// right. Up to a certain size dagre orders the columns and routes the lines
// around services in between. Above that it would take seconds, so columns are
// ordered by the positions of dependencies and dependents.

import { Graph, layout } from "./dagre.esm.js";
import { columns } from "./dependencies.js";

export const WIDTH = 160;
export const HEIGHT = 48;
const BETWEEN_COLUMNS = 60;
const BETWEEN_ROWS = 14;
const MARGIN = 8;
/** Space above for the names of the waves. */
const TOP = 36;
/** Services without dependencies are put below, in at least as many columns as fit here. */
const ROW_WIDTH = 1080;

const DAGRE_SERVICES_MAX = 120;
const DAGRE_LINES_MAX = 300;
const SWEEPS = 4;

/**
 * `{ width, height, at, lines, heads, crowded }`: the centre of each service by
 * name, the points of each dependency from the needed service to its dependent,
 * the column heads, and whether lines had to be drawn across services.
 */
export function place(services) {
  const linked = new Map([...services].filter(([, { needs, neededBy }]) => needs.length || neededBy.length));
  const lines = [];
  for (const { name, needs } of linked.values()) {
    for (const need of needs) lines.push({ from: need.name, to: name, optional: need.optional });
  }
  const column = compact(columns(linked));
  const few = linked.size <= DAGRE_SERVICES_MAX && lines.length <= DAGRE_LINES_MAX;
  const placed = (few ? byDagre : byColumns)([...linked.keys()], lines, column.of);
  const at = placed.at;
  const width = Math.max(placed.width, linked.size < services.size ? ROW_WIDTH : 0);
  const height = below(services, linked, at, width, placed.height);
  for (const line of lines) {
    const [from, to] = [at.get(line.from), at.get(line.to)];
    line.points = [
      { x: from.x + WIDTH / 2, y: from.y },
      ...(placed.bends?.get(key(line.from, line.to)) ?? []),
      { x: to.x - WIDTH / 2, y: to.y },
    ];
  }
  const heads = column.waves.map((wave, place) => ({ text: wave ? `Wave ${wave}` : "Not registered", x: middle(place), y: 0 }));
  if (linked.size < services.size) heads.push({ text: "On their own", x: middle(0), y: placed.height });
  return { width, height, at, lines, heads, crowded: !few };
}

/** The centre of a column. */
function middle(place) {
  return MARGIN + WIDTH / 2 + place * (WIDTH + BETWEEN_COLUMNS);
}

const key = (from, to) => JSON.stringify([from, to]);

/** Without empty columns. */
function compact(of) {
  const waves = [...new Set(of.values())].sort((a, b) => a - b);
  const places = new Map(waves.map((wave, place) => [wave, place]));
  return { waves, of: new Map([...of].map(([name, wave]) => [name, places.get(wave)])) };
}

function byDagre(names, lines, column) {
  const graph = new Graph();
  graph.setGraph({
    rankdir: "LR",
    ranksep: BETWEEN_COLUMNS,
    nodesep: BETWEEN_ROWS,
    edgesep: 6,
    // dagre inserts a rank for edge labels between any two others.
    ranker: (inner) => {
      for (const name of inner.nodes()) inner.node(name).rank = 2 * (column.get(name.slice(1)) ?? 0);
    },
  });
  graph.setDefaultEdgeLabel(() => ({}));
  // A letter before each name: dagre keeps names in plain objects, beside its own.
  for (const name of names) graph.setNode(`n${name}`, { width: WIDTH, height: HEIGHT });
  for (const { from, to } of lines) graph.setEdge(`n${from}`, `n${to}`);
  if (names.length) layout(graph, { disableOptimalOrderHeuristic: true });
  const at = new Map();
  for (const name of names) at.set(name, { x: middle(column.get(name)), y: TOP + graph.node(`n${name}`).y });
  const bends = new Map();
  for (const { from, to } of lines) {
    const { points } = graph.edge(`n${from}`, `n${to}`);
    bends.set(key(from, to), passages(points, column.get(from) + 1, column.get(to)));
  }
  return { ...size(at), at, bends };
}

/** Where a line crosses the columns between its ends: straight through each, at the height of dagre's point there. */
function passages(points, first, end) {
  const found = [];
  for (let place = first; place < end; place += 1) {
    const x = middle(place);
    const near = points.reduce((a, b) => (Math.abs(a.x + MARGIN - x) <= Math.abs(b.x + MARGIN - x) ? a : b));
    found.push({ x: x - WIDTH / 2, y: TOP + near.y }, { x: x + WIDTH / 2, y: TOP + near.y });
  }
  return found;
}

function byColumns(names, lines, column) {
  const stacks = [];
  for (const name of [...names].sort()) (stacks[column.get(name)] ??= []).push(name);
  const beside = new Map(names.map((name) => [name, []]));
  for (const { from, to } of lines) {
    beside.get(from).push(to);
    beside.get(to).push(from);
  }
  const order = new Map();
  const number = (stack) => stack.forEach((name, place) => order.set(name, place / stack.length));
  stacks.forEach(number);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    for (const stack of sweep % 2 ? [...stacks].reverse() : stacks) {
      const wish = new Map(stack.map((name) => [name, mean(beside.get(name).map((other) => order.get(other)))]));
      stack.sort((a, b) => wish.get(a) - wish.get(b));
      number(stack);
    }
  }
  const step = HEIGHT + BETWEEN_ROWS;
  const at = new Map();
  stacks.forEach((stack, place) => {
    stack.forEach((name, row) => at.set(name, { x: middle(place), y: TOP + HEIGHT / 2 + row * step }));
  });
  return { ...size(at), at };
}

function mean(numbers) {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}

function size(at) {
  const all = [...at.values()];
  if (!all.length) return { width: 0, height: 0 };
  return {
    width: Math.max(...all.map(({ x }) => x)) + WIDTH / 2 + MARGIN,
    height: Math.max(...all.map(({ y }) => y)) + HEIGHT / 2 + MARGIN,
  };
}

/** Puts services without lines below the rest, row by row; returns the total height. */
function below(services, linked, at, width, height) {
  const alone = [...services.keys()].filter((name) => !linked.has(name)).sort();
  const [across, down] = [WIDTH + BETWEEN_ROWS, HEIGHT + BETWEEN_ROWS];
  const perRow = Math.max(1, Math.floor((width - 2 * MARGIN + BETWEEN_ROWS) / across));
  const top = height + TOP;
  alone.forEach((name, place) => {
    const row = Math.floor(place / perRow);
    at.set(name, {
      x: MARGIN + WIDTH / 2 + (place % perRow) * across,
      y: top + HEIGHT / 2 + row * down,
    });
  });
  return alone.length ? top + Math.ceil(alone.length / perRow) * down + MARGIN : height;
}
