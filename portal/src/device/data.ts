/** What the pages about devices ask and change. */
import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { useRef } from 'react';

import { api, read } from '../api/client';
import { useEvents } from '../api/events';
import type { Action, Device, DeviceEvent, Page } from '../api/hand';

export function useDevices(search: string, tenantId: string) {
  return useInfiniteQuery({
    queryKey: ['devices', search, tenantId],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      read(
        api.GET('/api/v1/devices', {
          params: { query: { ...(search && { search }), ...(tenantId && { tenantId }), top: 50, cursor: pageParam } },
          signal,
        }),
      ),
    getNextPageParam: (last: Page<Device>) => (last.nextCursor ? String(last.nextCursor) : undefined),
    // Whether an agent is online is no event.
    refetchInterval: 60_000,
  });
}

export function useDevice(id: string) {
  return useQuery({
    queryKey: ['device', id],
    queryFn: ({ signal }) => read(api.GET('/api/v1/devices/{id}', { params: { path: { id } }, signal })),
    refetchInterval: 30_000,
  });
}

export function useDeviceTimeline(id: string) {
  return useInfiniteQuery({
    queryKey: ['device-timeline', id],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      read(api.GET('/api/v1/devices/{id}/timeline', { params: { path: { id }, query: { top: 100, cursor: pageParam } }, signal })),
    getNextPageParam: (last: Page<DeviceEvent>) => (last.nextCursor ? String(last.nextCursor) : undefined),
  });
}

export function useDeviceActions(id: string) {
  return useInfiniteQuery({
    queryKey: ['actions', { deviceId: id }],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      read(api.GET('/api/v1/actions', { params: { query: { deviceId: id, top: 50, cursor: pageParam } }, signal })),
    getNextPageParam: (last: Page<Action>) => (last.nextCursor ? String(last.nextCursor) : undefined),
  });
}

/** Everything shown of a device, read again. */
export function useForgetDevice() {
  const queries = useQueryClient();
  return (id: string) => {
    void queries.invalidateQueries({ queryKey: ['device', id] });
    void queries.invalidateQueries({ queryKey: ['device-timeline', id] });
    for (const name of ['devices', 'actions']) void queries.invalidateQueries({ queryKey: [name] });
  };
}

const MOVES = /^(device|action|exclusion)\./;
/** A burst of events asks once. */
const AGAIN_MS = 800;

/** Calls `again` when something about devices has moved. */
export function useLive(again: () => void): void {
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  useEvents((fact) => {
    if (!MOVES.test(fact.kind)) return;
    timer.current ??= setTimeout(() => {
      timer.current = null;
      again();
    }, AGAIN_MS);
  });
}
