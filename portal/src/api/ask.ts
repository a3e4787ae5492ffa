/** Asking the experts, which many pages do. */
import { useQueryClient } from '@tanstack/react-query';

import { api, read } from './client';
import type { About } from './hand';

/** Asks a question; the same key sent again is the same question. */
export function useAskExperts() {
  const queries = useQueryClient();
  return async (body: { subject: string; text: string; about?: About }, idempotency: string) => {
    const made = await read(api.POST('/api/v1/conversations', { body, headers: { 'Idempotency-Key': idempotency } }));
    queries.setQueryData(['conversation', made.id], made);
    void queries.invalidateQueries({ queryKey: ['conversations'] });
    return made;
  };
}
