/**
 * The live stream. Read with `fetch`, because an `EventSource` must know each kind by name
 * beforehand, and what is new on the server should arrive without a new portal.
 */
import { useEffect, useEffectEvent } from 'react';

import type { Fact } from './hand';

const LONGEST_WAIT_MS = 30_000;

type Listener = (fact: Fact) => void;
const listeners = new Set<Listener>();
let running: AbortController | null = null;

/** The parts of one event that we use; lines that belong to nothing are left out. */
export function parse(block: string): { id: string | null; data: string } {
  let id: string | null = null;
  const data: string[] = [];
  for (const line of block.split('\n')) {
    if (line.startsWith('id:')) id = line.slice(3).trim();
    else if (line.startsWith('data:')) data.push(line.slice(5).trimStart());
  }
  return { id, data: data.join('\n') };
}

async function listen(signal: AbortSignal): Promise<void> {
  let last: string | null = null;
  let wait = 1_000;
  while (!signal.aborted) {
    try {
      const headers: Record<string, string> = { Accept: 'text/event-stream' };
      if (last) headers['Last-Event-ID'] = last;
      const response = await fetch('/api/v1/events', { headers, signal });
      if (response.status === 401 || response.status === 403) return;
      if (response.ok && response.body) {
        wait = 1_000;
        const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
        let text = '';
        for (;;) {
          const { value, done } = await reader.read();
          if (done) break;
          text += value.replace(/\r\n?/g, '\n');
          let end: number;
          while ((end = text.indexOf('\n\n')) >= 0) {
            const event = parse(text.slice(0, end));
            text = text.slice(end + 2);
            if (event.id) last = event.id;
            if (!event.data) continue;
            try {
              const fact = JSON.parse(event.data) as Fact;
              for (const listener of listeners) listener(fact);
            } catch {
              // One event that cannot be read does not end the stream.
            }
          }
        }
      }
    } catch {
      if (signal.aborted) return;
    }
    await new Promise((done) => setTimeout(done, wait));
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  }
}

/** Calls `listener` with everything that happens while the component is shown. */
export function useEvents(listener: Listener): void {
  const hear = useEffectEvent(listener);
  useEffect(() => {
    const mine: Listener = (fact) => hear(fact);
    listeners.add(mine);
    if (!running) {
      running = new AbortController();
      void listen(running.signal);
    }
    return () => {
      listeners.delete(mine);
      // Another page may take over at once; the connection ends only if none does.
      setTimeout(() => {
        if (listeners.size > 0 || !running) return;
        running.abort();
        running = null;
      }, 1_000);
    };
  }, []);
}
