/** The alerts of an incident, page by page; several parts of the portal read them. */
import { useInfiniteQuery } from '@tanstack/react-query';

import { api, read } from './client';
import type { Alert, Page } from './hand';

export function useIncidentAlerts(id: string, enabled = true) {
  return useInfiniteQuery({
    queryKey: ['incident-alerts', id],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      read(
        api.GET('/api/v1/incidents/{id}/alerts', {
          params: { path: { id }, query: { top: 100, cursor: pageParam } },
          signal,
        }),
      ),
    getNextPageParam: (last: Page<Alert>) => (last.nextCursor ? String(last.nextCursor) : undefined),
    enabled,
  });
}
