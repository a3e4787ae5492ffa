/** Asking the experts, which many pages do. */
import { useQuery, useQueryClient } from '@tanstack/react-query';

import { api, read } from './client';
import type { About } from './hand';

/** Asks a question; the same key sent again is the same question. */
export function useAskExperts() {
  const queries = useQueryClient();
  return async (body: { subject: string; text: string; about?: About; notify?: string[] }, idempotency: string) => {
    const made = await read(api.POST('/api/v1/conversations', { body, headers: { 'Idempotency-Key': idempotency } }));
    queries.setQueryData(['conversation', made.id], made);
    void queries.invalidateQueries({ queryKey: ['conversations'] });
    void queries.invalidateQueries({ queryKey: ['credits'] });
    return made;
  };
}

/** What questions cost: of the own organisation, or of a customer. */
export function useCredits(tenantId = '', wanted = true) {
  const query = tenantId ? { tenantId } : {};
  return useQuery({
    queryKey: ['credits', tenantId],
    queryFn: ({ signal }) => read(api.GET('/api/v1/credits', { params: { query }, signal })),
    enabled: wanted,
  });
}
