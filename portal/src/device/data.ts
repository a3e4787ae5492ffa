/** What the pages about devices ask and change. */
import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';

import { api, read } from '../api/client';
import type { Device, DeviceEvent, Page } from '../api/hand';

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

/** Everything shown of a device, read again. */
export function useForgetDevice() {
  const queries = useQueryClient();
  return (id: string) => {
    void queries.invalidateQueries({ queryKey: ['device', id] });
    void queries.invalidateQueries({ queryKey: ['device-timeline', id] });
    for (const name of ['devices', 'actions']) void queries.invalidateQueries({ queryKey: [name] });
  };
}

/** What moves anything shown of devices. */
export const MOVES = /^(device|action|exclusion)\./;
