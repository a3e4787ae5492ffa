/** What conversations ask and change. */
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
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
