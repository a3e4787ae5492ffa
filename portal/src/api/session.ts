/** Who is signed in. The session itself is a cookie that no script can read. */
import { queryOptions, useQuery, useQueryClient } from '@tanstack/react-query';

import { api, read } from './client';
import type { Session } from './hand';

const KEY = ['session'];

export const sessionQuery = queryOptions({
  queryKey: KEY,
  queryFn: ({ signal }) => read(api.GET('/api/v1/session', { signal })),
  staleTime: 60_000,
});

export function useSessionQuery() {
  return useQuery(sessionQuery);
}

/** The session, where the shell has made sure that there is one. */
export function useSession(): Session {
  const { data } = useSessionQuery();
  if (!data) throw new Error('there is no session here');
  return data;
}

/** Whether a page has anything for this person. Only for what is offered; what is allowed the server says. */
export function concerns(session: Session, subjects: readonly string[]): boolean {
  return session.permissions.some((permission) => subjects.includes(permission.split('.')[0] ?? ''));
}

/** Permissions about these subjects let incidents be seen. */
export const CASES = ['SecurityIncident', 'Experts'] as const;

/** Puts a new session in place of the old one and forgets what the old one had read. */
export function useTakeSession(): (session: Session) => void {
  const queries = useQueryClient();
  return (session) => {
    queries.clear();
    queries.setQueryData(KEY, session);
  };
}

/** Keeps what was read: the same person, only better proven. */
export function useRefreshSession(): (session: Session) => void {
  const queries = useQueryClient();
  return (session) => queries.setQueryData(KEY, session);
}
