/** All words the portal offers, as the server has them. */
import { useQuery } from '@tanstack/react-query';

import { api, read } from './client';
import type { Words } from './hand';

const NONE: Words = { status: [], severity: [], classification: [] };

/** All words the portal offers, and which determination goes with which classification. */
export function useWords(): Words {
  const { data } = useQuery({
    queryKey: ['words'],
    queryFn: () => read(api.GET('/api/v1/words')),
    staleTime: Infinity,
  });
  return data ?? NONE;
}
