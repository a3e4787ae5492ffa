/** What the pages about incidents ask and change. */
import {
  infiniteQueryOptions,
  useInfiniteQuery,
  useMutation,
  useQuery,
  useQueryClient,
  type InfiniteData,
  type QueryClient,
} from '@tanstack/react-query';

import { api, read } from '../api/client';
import type { Incident, IncidentChange, IncidentRow, Page } from '../api/hand';
import { useToasts } from '../ui/Toasts';
import { filterOf, orderOf, readView, searchOf, type View } from './query';

export const PAGE = 50;

export type Asked = {
  filter?: string | undefined;
  orderby?: string | undefined;
  search?: string | undefined;
};

export const queueKey = (asked: Asked) => ['incidents', asked] as const;

const queueOptions = (asked: Asked) =>
  infiniteQueryOptions({
    queryKey: queueKey(asked),
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      read(
        api.GET('/api/v1/incidents', {
          params: { query: { ...asked, top: PAGE, cursor: pageParam } },
          signal,
        }),
      ),
    getNextPageParam: (last: Page<IncidentRow>) => (last.nextCursor ? String(last.nextCursor) : undefined),
    // The live stream says when something changed; a table must not jump by itself.
    refetchOnWindowFocus: false,
    staleTime: Infinity,
    gcTime: 60_000,
  });

export function useQueue(asked: Asked) {
  return useInfiniteQuery(queueOptions(asked));
}

/** What the address of a queue asks of the server. */
export const askedBy = (view: View, now: Date): Asked => ({
  filter: filterOf(view, now),
  orderby: orderOf(view),
  search: searchOf(view),
});

/** Asks for the first page before anything is drawn. */
export function prefetchQueue(queries: QueryClient, search: string): void {
  void queries.prefetchInfiniteQuery(queueOptions(askedBy(readView(new URLSearchParams(search)), new Date())));
}

export function useCount(asked: Asked) {
  return useQuery({
    queryKey: ['incidents', 'count', asked.filter, asked.search],
    queryFn: ({ signal }) =>
      read(
        api.GET('/api/v1/incidents/count', {
          params: { query: { filter: asked.filter, search: asked.search } },
          signal,
        }),
      ),
  });
}

/** Rows that changed, put where they are; order and length stay. */
export function usePatchRows() {
  const queries = useQueryClient();
  return (fresh: IncidentRow[]) => {
    const byId = new Map(fresh.map((row) => [row.id, row]));
    queries.setQueriesData<InfiniteData<Page<IncidentRow>>>({ queryKey: ['incidents'] }, (data) =>
      data && 'pages' in data
        ? {
            ...data,
            pages: data.pages.map((page) => ({
              ...page,
              value: page.value.map((row) => byId.get(row.id) ?? row),
            })),
          }
        : data,
    );
  };
}

export const rowsById = (ids: string[], signal?: AbortSignal) =>
  read(
    api.GET('/api/v1/incidents', {
      params: { query: { filter: ids.map((id) => `id eq '${id}'`).join(' or '), top: ids.length } },
      signal,
    }),
  );

export function useIncident(id: string) {
  return useQuery({
    queryKey: ['incident', id],
    queryFn: ({ signal }) => read(api.GET('/api/v1/incidents/{id}', { params: { path: { id } }, signal })),
  });
}

/** Everything shown of an incident, read again. */
export function useForget() {
  const queries = useQueryClient();
  return (id: string) => {
    for (const key of ['incident', 'incident-alerts', 'timeline', 'graph', 'similar']) {
      void queries.invalidateQueries({ queryKey: [key, id] });
    }
    void queries.invalidateQueries({ queryKey: ['home'] });
  };
}

/** Takes an incident as an answer brought it. */
export function useTake() {
  const queries = useQueryClient();
  const patch = usePatchRows();
  const forget = useForget();
  return (incident: Incident) => {
    queries.setQueryData(['incident', incident.id], incident);
    patch([incident]);
    forget(incident.id);
  };
}

/** The members of a change as they were before it: what Undo sends. */
export function before(row: IncidentRow, change: IncidentChange): IncidentChange {
  const back: IncidentChange = {};
  if ('displayName' in change) back.displayName = row.displayName;
  if ('severity' in change) back.severity = row.severity;
  if ('status' in change) back.status = row.status;
  if ('assignedTo' in change) back.assignedTo = row.assignedTo;
  if ('classification' in change) back.classification = row.classification;
  if ('determination' in change || 'classification' in change) back.determination = row.determination;
  if ('customTags' in change) back.customTags = row.customTags;
  return back;
}

/** Changes one incident, with the way back in the message. */
export function useChange() {
  const take = useTake();
  const toasts = useToasts();
  const send = (id: string, change: IncidentChange) =>
    read(api.PATCH('/api/v1/incidents/{id}', { params: { path: { id } }, body: change }));
  return async (row: IncidentRow, change: IncidentChange) => {
    const changed = await send(row.id, change);
    take(changed);
    toasts.done(`Incident ${row.id} is changed.`, () => {
      send(row.id, before(row, change)).then((back) => {
        take(back);
        toasts.done(`Incident ${row.id} is as it was.`);
      }, toasts.fail);
    });
  };
}

/** An act on an incident that answers with it. */
export function useAct(done: string, act: (id: string) => Promise<Incident>) {
  const take = useTake();
  const toasts = useToasts();
  return useMutation({
    mutationFn: act,
    onSuccess: (incident) => {
      take(incident);
      toasts.done(done);
    },
    onError: toasts.fail,
  });
}
