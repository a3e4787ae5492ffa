/**
 * The live stream, one for each window. Read with `fetch`, because an `EventSource` must know each
 * kind by name beforehand, and what is new on the server should arrive without a new portal.
 *
 * It is also how a page learns that it may show less than it does: the server says when the reach
 * has changed, and a stream that cannot be opened again says that the session is over.
 */
import { useEffect, useEffectEvent } from 'react';

import { send } from './client';
import { Refusal } from './error';
import { parse } from './event-text';
import type { Fact } from './hand';

const SHORTEST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 30_000;
/** A stream that lasted so long was no accident; the next may begin at once. */
const STEADY_MS = 5_000;
/** How long a window out of sight keeps its connection; a browser has but six for a host. */
const HIDDEN_MS = 10_000;

type Listener = (fact: Fact) => void;
const listeners = new Set<Listener>();

const sleep = (ms: number, signal: AbortSignal) =>
  new Promise<void>((done) => {
    const wake = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', wake);
      done();
    };
    const timer = setTimeout(wake, ms);
    signal.addEventListener('abort', wake);
  });

/** Until the window is looked at. */
const seen = (signal: AbortSignal) =>
  new Promise<void>((done) => {
    const look = () => {
      if (document.hidden && !signal.aborted) return;
      document.removeEventListener('visibilitychange', look);
      signal.removeEventListener('abort', look);
      done();
    };
    document.addEventListener('visibilitychange', look);
    signal.addEventListener('abort', look);
    look();
  });

/** Reads one connection to its end. */
async function readAll(body: ReadableStream<Uint8Array<ArrayBuffer>>, take: (event: ReturnType<typeof parse>) => void): Promise<void> {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value.replace(/\r\n?/g, '\n');
    let end: number;
    while ((end = text.indexOf('\n\n')) >= 0) {
      take(parse(text.slice(0, end)));
      text = text.slice(end + 2);
    }
  }
}

/** Keeps a stream open until `signal`; `onReach` is called when what may be shown may have changed. */
async function listen(signal: AbortSignal, onReach: () => void): Promise<void> {
  let last: string | null = null;
  // Asked again at once when a stream ends: it may have ended because the session has.
  let wait = 0;
  while (!signal.aborted) {
    await seen(signal);
    if (signal.aborted) return;
    const connection = new AbortController();
    const stop = () => connection.abort();
    signal.addEventListener('abort', stop);
    let hidden: ReturnType<typeof setTimeout> | undefined;
    const look = () => {
      clearTimeout(hidden);
      if (document.hidden) hidden = setTimeout(stop, HIDDEN_MS);
    };
    document.addEventListener('visibilitychange', look);
    const began = Date.now();
    try {
      const headers: Record<string, string> = { Accept: 'text/event-stream' };
      if (last) headers['Last-Event-ID'] = last;
      const url = new URL('/api/v1/events', window.location.origin);
      const response = await send(new Request(url, { headers, signal: connection.signal }));
      let opened = false;
      if (response.body) {
        await readAll(response.body, (event) => {
          // The server says first that it follows from here. Facts are caught up with by their place;
          // what changed since a page was read, and a change of reach, has none.
          if (!opened) onReach();
          opened = true;
          if (event.id) last = event.id;
          if (!event.data) return;
          try {
            const fact = JSON.parse(event.data) as Fact;
            if (fact.kind === 'reach.changed') onReach();
            else for (const listener of listeners) listener(fact);
          } catch {
            // One event that cannot be read does not end the stream.
          }
        });
      }
    } catch (error) {
      // The client has told who is concerned that the session is over.
      if (error instanceof Refusal && error.status === 401) return;
      // A place that the server does not know any more.
      if (error instanceof Refusal && error.status === 400) last = null;
    } finally {
      signal.removeEventListener('abort', stop);
      document.removeEventListener('visibilitychange', look);
      clearTimeout(hidden);
    }
    if (Date.now() - began > STEADY_MS) wait = 0;
    await sleep(wait, signal);
    wait = Math.min(Math.max(wait * 2, SHORTEST_WAIT_MS), LONGEST_WAIT_MS);
  }
}

/** Keeps the window's stream open while somebody is signed in. */
export function useStream(signedIn: boolean, onReach: () => void): void {
  const reach = useEffectEvent(onReach);
  useEffect(() => {
    if (!signedIn) return;
    const running = new AbortController();
    void listen(running.signal, () => reach());
    return () => running.abort();
  }, [signedIn]);
}

/** Calls `listener` with everything that happens while the component is shown. */
export function useEvents(listener: Listener): void {
  const hear = useEffectEvent(listener);
  useEffect(() => {
    const mine: Listener = (fact) => hear(fact);
    listeners.add(mine);
    return () => {
      listeners.delete(mine);
    };
  }, []);
}
