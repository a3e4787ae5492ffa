/**
 * The one way to the server: the generated client, with what every request of the portal has in
 * common. No feature calls `fetch`.
 */
import createClient from 'openapi-fetch';

import { Refusal, refusalOf } from './error';
import type { Undocumented } from './hand';
import { plain } from './plain';
import type { paths } from './schema';

type Paths = Omit<paths, keyof Undocumented> & Undocumented;

const handlers: {
  /** Asks the person for a second factor; false when they decline. */
  stepUp: (() => Promise<boolean>) | null;
  /** The session has ended. */
  signedOut: (() => void) | null;
} = { stepUp: null, signedOut: null };

/** Tells the client what to do when the server wants somebody to prove who they are. */
export function whenAsked(given: Partial<typeof handlers>): () => void {
  Object.assign(handlers, given);
  return () => {
    for (const key of Object.keys(given) as (keyof typeof handlers)[]) handlers[key] = null;
  };
}

/** Pages for people without a session answer 401 themselves. */
function isSignIn(url: string): boolean {
  const path = new URL(url).pathname;
  return path.startsWith('/api/v1/sign-in/') || path.startsWith('/api/v1/setup/');
}

/** Sends a request; what is refused is thrown. */
export async function send(request: Request): Promise<Response> {
  // A request's body can be read once; the copy is for the time after a step-up.
  const again = request.clone();
  let response: Response;
  try {
    response = await fetch(request);
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new Refusal('Riposte cannot be reached. Check the connection and try again.', 0, '', null, null);
  }
  if (response.ok) return response;
  const refusal = await refusalOf(response);
  if (refusal.code === 'StepUpRequired' && handlers.stepUp) {
    if (await handlers.stepUp()) return send(again);
    throw new Refusal('You did not confirm that it is you, so nothing was changed.', 403, 'Declined', null, null);
  }
  if (refusal.status === 401 && !isSignIn(request.url)) handlers.signedOut?.();
  throw refusal;
}

export const api = createClient<Paths>({
  baseUrl: window.location.origin,
  fetch: send,
});

/** When somebody last did something here; pages ask by themselves too, and that is not use. */
let touched = Date.now();
for (const kind of ['pointerdown', 'keydown', 'wheel', 'touchmove']) {
  window.addEventListener(kind, () => (touched = Date.now()), { capture: true, passive: true });
}
const LEFT_ALONE_MS = 60_000;

api.use({
  onRequest({ request }) {
    if (Date.now() - touched > LEFT_ALONE_MS) request.headers.set('X-Riposte-Unattended', '1');
    if (request.method === 'GET') return request;
    // No page of another site can send this header, nor JSON, without asking us first.
    request.headers.set('X-Riposte', '1');
    request.headers.set('Content-Type', 'application/json');
    return request;
  },
  // Here, so that no page can forget it.
  async onResponse({ response }) {
    if (response.status === 204 || !response.headers.get('content-type')?.startsWith('application/json')) return undefined;
    const { status, headers } = response;
    return new Response(plain(await response.text()), { status, headers });
  },
});

/** The body of an answer; what was refused has been thrown before. */
export async function read<T>(answer: Promise<{ data?: T }>): Promise<T> {
  return (await answer).data as T;
}
