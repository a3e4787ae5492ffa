/** What the action center asks and changes. */
import { useQuery, useQueryClient } from '@tanstack/react-query';

import { api, read } from '../api/client';
import { useLive } from '../api/live';

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
  const again = () => {
    void queries.invalidateQueries({ queryKey: ['actions'] });
    void queries.invalidateQueries({ queryKey: ['action'] });
  };
  useLive(/^action\./, again, AGAIN_MS);
}
