/** What the pages about the way into the service ask. */
import { useQuery } from '@tanstack/react-query';

import { api, read } from '../api/client';

export const ONBOARDING = ['onboarding'];
/** What readiness rests on changes without a fact as well: an agent is heard of, an alert comes in. */
const EVERY_MS = 15_000;

export function useOnboarding() {
  return useQuery({
    queryKey: ONBOARDING,
    queryFn: ({ signal }) => read(api.GET('/api/v1/onboarding', { signal })),
    refetchInterval: EVERY_MS,
  });
}
