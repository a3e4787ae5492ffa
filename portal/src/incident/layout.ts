/** Where the nodes of an entity graph stand. Pure and without chance: the same graph looks the same. */

export type Point = { x: number; y: number };

const DISTANCE = 110;
const REACH = 3 * DISTANCE;
const ROUNDS = 220;

/** Springs along the edges, repulsion between all; bounded, because the server bounds the nodes. */
export function layOut(ids: string[], edges: { source: string; target: string }[]): Map<string, Point> {
  const count = ids.length;
  const index = new Map(ids.map((id, at) => [id, at]));
  // A sunflower's head: spread evenly, no two in one place.
  const x = ids.map((_, at) => Math.sqrt(at + 0.5) * DISTANCE * 0.7 * Math.cos(at * 2.399963));
  const y = ids.map((_, at) => Math.sqrt(at + 0.5) * DISTANCE * 0.55 * Math.sin(at * 2.399963));
  const springs = edges
    .map((edge) => [index.get(edge.source), index.get(edge.target)] as const)
    .filter((pair): pair is [number, number] => pair[0] !== undefined && pair[1] !== undefined && pair[0] !== pair[1]);
  const at = (list: number[], place: number): number => list[place] ?? 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const heat = DISTANCE * 0.35 * (1 - round / ROUNDS) + 0.5;
    const fx = new Array<number>(count).fill(0);
    const fy = new Array<number>(count).fill(0);
    const push = (node: number, dx: number, dy: number) => {
      fx[node] = at(fx, node) + dx;
      fy[node] = at(fy, node) + dy;
    };
    for (let a = 0; a < count; a += 1) {
      for (let b = a + 1; b < count; b += 1) {
        const dx = at(x, a) - at(x, b);
        const dy = at(y, a) - at(y, b);
        const square = Math.max(dx * dx + dy * dy, 1);
        // Parts that are not connected do not drive each other out of sight.
        if (square > REACH * REACH) continue;
        const force = (DISTANCE * DISTANCE) / square;
        push(a, dx * force, dy * force);
        push(b, -dx * force, -dy * force);
      }
      // A weak pull to the middle keeps parts that hang together with nothing from drifting away;
      // stronger up and down, because screens are wide.
      push(a, -at(x, a) * 0.12, -at(y, a) * 0.28);
    }
    for (const [a, b] of springs) {
      const dx = at(x, b) - at(x, a);
      const dy = at(y, b) - at(y, a);
      const length = Math.max(Math.hypot(dx, dy), 1);
      const force = (length - DISTANCE) / length;
      push(a, dx * force, dy * force);
      push(b, -dx * force, -dy * force);
    }
    for (let node = 0; node < count; node += 1) {
      const length = Math.max(Math.hypot(at(fx, node), at(fy, node)), 1e-6);
      const step = Math.min(length * 0.5, heat);
      x[node] = at(x, node) + (at(fx, node) / length) * step;
      y[node] = at(y, node) + (at(fy, node) / length) * step;
    }
  }
  return new Map(ids.map((id, place) => [id, { x: at(x, place), y: at(y, place) }]));
}

/** The rectangle around all points, with room for labels. */
export function bounds(points: Iterable<Point>): { x: number; y: number; width: number; height: number } {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const point of points) {
    left = Math.min(left, point.x);
    right = Math.max(right, point.x);
    top = Math.min(top, point.y);
    bottom = Math.max(bottom, point.y);
  }
  if (!Number.isFinite(left)) return { x: -200, y: -120, width: 400, height: 240 };
  const width = Math.max(right - left + 170, 420);
  const height = Math.max(bottom - top + 110, 260);
  return { x: (left + right) / 2 - width / 2, y: (top + bottom) / 2 - height / 2, width, height };
}
