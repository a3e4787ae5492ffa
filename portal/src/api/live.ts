/** Reading again what has moved. */
import { useRef } from 'react';

import { useEvents } from './events';
import type { Fact } from './hand';

/** A burst of events asks once. */
const AGAIN_MS = 800;

/** Calls `again` when something of these kinds has happened, or what `wanted` says; at most so often. */
export function useLive(wanted: RegExp | ((fact: Fact) => boolean), again: () => void, ms: number = AGAIN_MS): void {
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  useEvents((fact) => {
    if (!(wanted instanceof RegExp ? wanted.test(fact.kind) : wanted(fact))) return;
    timer.current ??= setTimeout(() => {
      timer.current = null;
      again();
    }, ms);
  });
}
