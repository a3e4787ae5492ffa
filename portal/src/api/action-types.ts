/** The catalogue of actions (MR-8), as the server has it. */
import { useQuery } from '@tanstack/react-query';

import { api, read } from './client';

export function useActionTypes(enabled = true) {
  return useQuery({
    queryKey: ['action-types'],
    queryFn: () => read(api.GET('/api/v1/action-types')),
    staleTime: 600_000,
    select: (data) => data.value,
    enabled,
  });
}
