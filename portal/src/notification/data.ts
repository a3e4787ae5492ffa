/** What the pages about notifications ask and change. */
import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';

import { api, read } from '../api/client';
import { sentence } from '../api/error';
import type { Delivery, Page } from '../api/hand';
import { useLive as useLiveFacts } from '../api/live';
import { useToasts } from '../ui/Toasts';

export const CONTACTS = ['contacts'];
export const WEBHOOKS = ['webhooks'];
export const RULES = ['mail-rules'];
export const CHATS = ['chat-channels'];
export const SETTINGS = ['notification-settings'];
const DELIVERIES = 'deliveries';
const PAGE = 50;

export function useSettings() {
  return useQuery({ queryKey: SETTINGS, queryFn: ({ signal }) => read(api.GET('/api/v1/notifications/settings', { signal })), refetchInterval: 30_000 });
}

export function useContacts() {
  return useQuery({ queryKey: CONTACTS, queryFn: ({ signal }) => read(api.GET('/api/v1/contacts', { signal })) });
}

export function useWebhooks() {
  return useQuery({ queryKey: WEBHOOKS, queryFn: ({ signal }) => read(api.GET('/api/v1/webhooks', { signal })) });
}

export function useRules() {
  return useQuery({ queryKey: RULES, queryFn: ({ signal }) => read(api.GET('/api/v1/mail-rules', { signal })) });
}

export function useChatChannels() {
  return useQuery({ queryKey: CHATS, queryFn: ({ signal }) => read(api.GET('/api/v1/chat-channels', { signal })) });
}

const previewOf = (kind: string, language: string, signal?: AbortSignal) =>
  read(api.GET('/api/v1/notifications/previews/{kind}', { params: { path: { kind }, query: { language } }, signal }));

/** What a kind of message looks like, with invented names. */
export function usePreview(kind: string, language: string) {
  return useQuery({
    queryKey: ['notification-preview', kind, language],
    queryFn: ({ signal }) => previewOf(kind, language, signal),
    staleTime: Infinity,
  });
}

export type Asked = { state?: string; channel?: string; incident?: string };

/** What waits is delivered without anybody hearing of it, so it is looked after. */
const LOOK_MS = 3_000;
const CALM_MS = 30_000;
const waits = (one: Delivery) => one.state === 'waiting';

export function useDeliveries(asked: Asked) {
  return useInfiniteQuery({
    queryKey: [DELIVERIES, asked],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      read(api.GET('/api/v1/deliveries', { params: { query: { ...asked, top: PAGE, cursor: pageParam } }, signal })),
    getNextPageParam: (last: Page<Delivery>) => (last.nextCursor === null ? undefined : String(last.nextCursor)),
    refetchInterval: ({ state }) => (state.data?.pages.some((page) => page.value.some(waits)) ? LOOK_MS : CALM_MS),
  });
}

const deliveryOf = (id: string, signal?: AbortSignal) => read(api.GET('/api/v1/deliveries/{id}', { params: { path: { id } }, signal }));

export function useDelivery(id: string) {
  return useQuery({
    queryKey: ['delivery', id],
    queryFn: ({ signal }) => deliveryOf(id, signal),
    refetchInterval: ({ state }) => (state.data && waits(state.data) ? LOOK_MS : false),
  });
}

/** Everything about notifications, read again. */
export function useForget() {
  const queries = useQueryClient();
  return () => Promise.all([CONTACTS, RULES, WEBHOOKS, CHATS, SETTINGS, [DELIVERIES], ['delivery']].map((queryKey) => queries.invalidateQueries({ queryKey })));
}

/** A burst of events asks once. */
const AGAIN_MS = 250;

export function useLive(): void {
  const forget = useForget();
  useLiveFacts(/^(contact|mailRule|webhook|chatChannel|notification|delivery)\./, () => void forget(), AGAIN_MS);
}

const EVERY_MS = 1_000;
const TRIES = 20;

/** Sends a test, and tells once it is known what became of it. */
export function useTest() {
  const toasts = useToasts();
  const forget = useForget();
  /** Of several, how many have it; of which do not, Deliveries says why. */
  const all = async (name: string, ids: string[]) => {
    let left = ids;
    for (let tried = 0; tried < TRIES && left.length > 0; tried += 1) {
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
      const now = await Promise.all(left.map((id) => deliveryOf(id)));
      left = left.filter((_, at) => now[at]?.state !== 'delivered');
      if (now.some((one) => one.state === 'dead' || one.attemptsMade.at(-1)?.outcome === 'later')) break;
    }
    if (left.length === 0) return toasts.done(`${name}: the test has arrived.`);
    toasts.fail(new Error(`The test of ${name} has not reached ${left.length} of ${ids.length}. Deliveries shows what becomes of it.`));
  };
  return async (name: string, send: () => Promise<{ deliveryId: string } | { deliveryIds: string[] }>) => {
    try {
      const sent = await send();
      toasts.done(`A test is on its way to ${name}.`);
      if ('deliveryIds' in sent) return await all(name, sent.deliveryIds);
      const { deliveryId } = sent;
      for (let tried = 0; tried < TRIES; tried += 1) {
        await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
        const now = await deliveryOf(deliveryId);
        if (now.state === 'delivered') return toasts.done(`${name} has the test.`);
        if (now.state === 'dead' || now.state === 'cancelled') {
          return toasts.fail(new Error(`The test did not reach ${name}. ${sentence(now.because ?? '')}`.trim()));
        }
        const last = now.attemptsMade.at(-1);
        // It is sent again and again; whoever waits should know by now why it is not there.
        if (last?.outcome === 'later') {
          return toasts.fail(new Error(`The test has not reached ${name} yet and is sent again later. ${sentence(last.detail)}`));
        }
      }
      toasts.fail(new Error(`The test to ${name} still waits to be sent. Deliveries shows what becomes of it.`));
    } catch (refused) {
      toasts.fail(refused);
    } finally {
      void forget();
    }
  };
}
