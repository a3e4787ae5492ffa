/** What conversations ask and change. */
import { skipToken, useInfiniteQuery, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef } from 'react';

import { api, read } from '../api/client';
import type { Conversation, ConversationRow, ConversationsAsked, Message, Page } from '../api/hand';
import { useLive } from '../api/live';

const PAGE = 50;
const ROWS = 'conversations';
const key = (id: string) => ['conversation', id];

export function useConversations(asked: ConversationsAsked) {
  return useInfiniteQuery({
    queryKey: [ROWS, asked],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      read(api.GET('/api/v1/conversations', { params: { query: { ...asked, top: PAGE, cursor: pageParam } }, signal })),
    getNextPageParam: (last: Page<ConversationRow>) => (last.nextCursor ? String(last.nextCursor) : undefined),
  });
}

export function useConversation(id: string) {
  return useQuery({
    queryKey: key(id),
    queryFn: ({ signal }) => read(api.GET('/api/v1/conversations/{id}', { params: { path: { id } }, signal })),
  });
}

/** Messages before one, for who scrolls back. */
export function olderThan(id: string, before: string): Promise<{ value: Message[]; older: boolean }> {
  return read(api.GET('/api/v1/conversations/{id}/messages', { params: { path: { id }, query: { before } } }));
}

/** A burst of events asks once. */
const AGAIN_MS = 250;

/** Reads the list, and the conversations that are open, again when somebody wrote. */
export function useLiveConversations(): void {
  const queries = useQueryClient();
  const again = () => {
    void queries.invalidateQueries({ queryKey: [ROWS] });
    void queries.invalidateQueries({ queryKey: ['conversation'] });
  };
  useLive(/^(message|conversation)\./, again, AGAIN_MS);
}

function useTake() {
  const queries = useQueryClient();
  return (conversation: Conversation) => {
    queries.setQueryData(key(conversation.id), conversation);
    void queries.invalidateQueries({ queryKey: [ROWS] });
  };
}

export type Said = { text: string; visibility: Message['visibility']; key: string };

/** Sends a message; the same key sent again is the same message. */
export function useSay(id: string) {
  const take = useTake();
  return useMutation({
    mutationFn: ({ text, visibility, key: idempotency }: Said) =>
      read(
        api.POST('/api/v1/conversations/{id}/messages', {
          params: { path: { id } },
          body: { text, visibility },
          headers: { 'Idempotency-Key': idempotency },
        }),
      ),
    onSuccess: take,
  });
}

export function useRate(id: string) {
  const take = useTake();
  return useMutation({
    mutationFn: (helpful: boolean | null) =>
      read(api.PUT('/api/v1/conversations/{id}/rating', { params: { path: { id } }, body: { helpful } })),
    onSuccess: take,
  });
}

export function useClose(id: string) {
  const take = useTake();
  return useMutation({
    mutationFn: () => read(api.POST('/api/v1/conversations/{id}/close', { params: { path: { id } }, body: {} })),
    onSuccess: take,
  });
}

export function useMark() {
  const queries = useQueryClient();
  return async (id: string, messageId: string | null) => {
    await read(api.PUT('/api/v1/conversations/{id}/read', { params: { path: { id } }, body: { messageId } }));
    void queries.invalidateQueries({ queryKey: [ROWS] });
  };
}

/** Tells the server that what is shown was read, once somebody looks at the window. */
export function useReadMark(conversation: Conversation | undefined): void {
  const mark = useMark();
  const told = useRef<string | null>(null);
  const last = conversation && conversation.unread > 0 ? (conversation.messages.at(-1)?.id ?? null) : null;
  const id = conversation?.id;
  useEffect(() => {
    if (!id || !last || told.current === last) return;
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener('visibilitychange', look);
      told.current = last;
      // What cannot be marked now is marked with the next message.
      mark(id, last).catch(() => (told.current = null));
    };
    document.addEventListener('visibilitychange', look);
    look();
    return () => document.removeEventListener('visibilitychange', look);
  });
}

/** Messages that are asked for at once; the server takes no more. */
const PIECE = 20;
const NONE: ReadonlyMap<string, string> = new Map();

/**
 * Messages in another language (COM-3), by their ids, as they come in: the newest first. `because` says
 * why some are not there.
 */
export function useTranslations(id: string, language: string | null, messages: Message[]) {
  const queries = useQueryClient();
  const store = ['translated', id, language];
  const { data: known } = useQuery<ReadonlyMap<string, string>>({ queryKey: store, queryFn: skipToken, initialData: NONE, staleTime: Infinity });
  const ids = messages.map((message) => message.id).reverse();
  const asked = useQuery({
    queryKey: ['translations', id, language, ids],
    enabled: language !== null && ids.length > 0,
    staleTime: Infinity,
    queryFn: async ({ signal }) => {
      let because: string | null = null;
      const here = () => queries.getQueryData<ReadonlyMap<string, string>>(store) ?? NONE;
      const missing = ids.filter((one) => !here().has(one));
      for (let at = 0; at < missing.length; at += PIECE) {
        const body = { language: language ?? '', messageIds: missing.slice(at, at + PIECE) };
        const { value } = await read(api.POST('/api/v1/conversations/{id}/translations', { params: { path: { id } }, body, signal }));
        const found = value.flatMap((one) => (one.text === null ? [] : [[one.id, one.text] as const]));
        because = value.find((one) => one.because)?.because ?? because;
        queries.setQueryData(store, new Map([...here(), ...found]));
      }
      return because;
    },
  });
  return { known: language === null ? NONE : known, busy: asked.isFetching, because: asked.data ?? null, error: asked.error, again: () => void asked.refetch() };
}
