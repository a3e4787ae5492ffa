/** What the action center asks and changes. */
import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { useRef } from 'react';

import { api, read } from '../api/client';
import { useEvents } from '../api/events';
import type { Action, ActionsAsked, Page } from '../api/hand';

const PAGE = 50;

export function useActions(asked: ActionsAsked) {
  return useInfiniteQuery({
    queryKey: ['actions', asked],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      read(api.GET('/api/v1/actions', { params: { query: { ...asked, top: PAGE, cursor: pageParam } }, signal })),
    getNextPageParam: (last: Page<Action>) => (last.nextCursor ? String(last.nextCursor) : undefined),
  });
}

export function useAction(id: string | null) {
  return useQuery({
    queryKey: ['action', id],
    queryFn: ({ signal }) => read(api.GET('/api/v1/actions/{id}', { params: { path: { id: id ?? '' } }, signal })),
    enabled: id !== null,
  });
}

/** Everything that an action's change moves, read again. */
export function useForgetActions() {
  const queries = useQueryClient();
  return () => {
    for (const name of ['actions', 'action', 'response', 'device', 'devices', 'home']) {
      void queries.invalidateQueries({ queryKey: [name] });
    }
  };
}

/** A burst of events asks once. */
const AGAIN_MS = 600;

export function useLiveActions(): void {
  const queries = useQueryClient();
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  useEvents((fact) => {
    if (!fact.kind.startsWith('action.')) return;
    timer.current ??= setTimeout(() => {
      timer.current = null;
      void queries.invalidateQueries({ queryKey: ['actions'] });
      void queries.invalidateQueries({ queryKey: ['action'] });
    }, AGAIN_MS);
  });
}
