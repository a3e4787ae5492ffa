import { describe, expect, it } from 'vitest';

import { bounds, layOut } from './layout';

describe('the layout of the entity graph', () => {
  it('is the same each time and puts no two nodes in one place', () => {
    const ids = Array.from({ length: 40 }, (_, at) => `n${at}`);
    const edges = ids.slice(1).map((id) => ({ source: 'n0', target: id }));
    const one = layOut(ids, edges);
    expect([...layOut(ids, edges)]).toEqual([...one]);
    const points = [...one.values()];
    for (const [at, a] of points.entries()) {
      for (const b of points.slice(at + 1)) expect(Math.hypot(a.x - b.x, a.y - b.y)).toBeGreaterThan(20);
    }
  });

  it('takes graphs without nodes, and edges to nodes that are not there', () => {
    expect(layOut([], [{ source: 'a', target: 'b' }]).size).toBe(0);
    expect(layOut(['a'], [{ source: 'a', target: 'gone' }]).size).toBe(1);
    expect(bounds([]).width).toBeGreaterThan(0);
  });
});
