/** What the pages about users ask. */
import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';

import { api, read } from '../api/client';
import type { Page, UserAlert, UserEvent, UserIncident, UserLine } from '../api/hand';

export function useUsers(search: string, tenantId: string) {
  return useInfiniteQuery({
    queryKey: ['users', search, tenantId],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      read(
        api.GET('/api/v1/users', {
          params: { query: { ...(search && { search }), ...(tenantId && { tenantId }), top: 50, cursor: pageParam } },
          signal,
        }),
      ),
    getNextPageParam: (last: Page<UserLine>) => (last.nextCursor ? String(last.nextCursor) : undefined),
  });
}

/** A user is a name at a customer. */
export type Who = { tenant: string; name: string };

export function useUser(path: Who) {
  return useQuery({
    queryKey: ['user', path],
    queryFn: ({ signal }) => read(api.GET('/api/v1/users/{tenant}/{name}', { params: { path }, signal })),
    // Whether an agent is online is no event.
    refetchInterval: 60_000,
  });
}

export function useUserIncidents(path: Who) {
  return useInfiniteQuery({
    queryKey: ['user', path, 'incidents'],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      read(api.GET('/api/v1/users/{tenant}/{name}/incidents', { params: { path, query: { cursor: pageParam } }, signal })),
    getNextPageParam: (last: Page<UserIncident>) => (last.nextCursor ? String(last.nextCursor) : undefined),
  });
}

export function useUserAlerts(path: Who) {
  return useInfiniteQuery({
    queryKey: ['user', path, 'alerts'],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      read(api.GET('/api/v1/users/{tenant}/{name}/alerts', { params: { path, query: { cursor: pageParam } }, signal })),
    getNextPageParam: (last: Page<UserAlert>) => (last.nextCursor ? String(last.nextCursor) : undefined),
  });
}

export function useUserTimeline(path: Who) {
  return useInfiniteQuery({
    queryKey: ['user', path, 'timeline'],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      read(api.GET('/api/v1/users/{tenant}/{name}/timeline', { params: { path, query: { cursor: pageParam } }, signal })),
    getNextPageParam: (last: Page<UserEvent>) => (last.nextCursor ? String(last.nextCursor) : undefined),
  });
}

/** Everything shown of users, read again. */
export function useForgetUsers() {
  const queries = useQueryClient();
  return () => {
    for (const name of ['user', 'users', 'actions']) void queries.invalidateQueries({ queryKey: [name] });
  };
}
