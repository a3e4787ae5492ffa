/** Reading again what has moved. */
import { useRef } from 'react';

import { useEvents } from './events';

/** A burst of events asks once. */
const AGAIN_MS = 800;

/** Calls `again` when something of these kinds has happened. */
export function useLive(kinds: RegExp, again: () => void): void {
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  useEvents((fact) => {
    if (!kinds.test(fact.kind)) return;
    timer.current ??= setTimeout(() => {
      timer.current = null;
      again();
    }, AGAIN_MS);
  });
}
