/** What a device is called, where only its id is known. */
import { useQuery } from '@tanstack/react-query';

import { api, read } from './client';

/** The id itself until the name is known, and where it cannot be. */
export function useDeviceName(id: string | null): string | null {
  const device = useQuery({
    queryKey: ['device', id],
    queryFn: ({ signal }) => read(api.GET('/api/v1/devices/{id}', { params: { path: { id: id ?? '' } }, signal })),
    enabled: id !== null,
    staleTime: 60_000,
    retry: false,
  });
  return device.data?.name ?? id;
}
