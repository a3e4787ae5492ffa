/** What the action center asks and changes. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useRef } from 'react';

import { api, read } from '../api/client';
import { useEvents } from '../api/events';

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
