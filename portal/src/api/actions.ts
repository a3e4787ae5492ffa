/** Actions as lists show them. */
import { useInfiniteQuery } from '@tanstack/react-query';

import { api, read } from './client';
import type { Action, ActionsAsked, Page } from './hand';

const PAGE = 50;

export function useActions(asked: ActionsAsked) {
  return useInfiniteQuery({
    queryKey: ['actions', asked],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      read(api.GET('/api/v1/actions', { params: { query: { ...asked, top: PAGE, cursor: pageParam } }, signal })),
    getNextPageParam: (last: Page<Action>) => (last.nextCursor ? String(last.nextCursor) : undefined),
  });
}
