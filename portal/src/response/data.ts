/** What the parts of managed response ask and change. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';

import { api, read } from '../api/client';
import type { ManagedResponse, Task } from '../api/hand';
import { useLive } from '../api/live';
import { useToasts } from '../ui/Toasts';

const key = (incidentId: string) => ['response', incidentId];

export function useResponse(incidentId: string) {
  return useQuery({
    queryKey: key(incidentId),
    queryFn: ({ signal }) =>
      read(api.GET('/api/v1/incidents/{id}/response', { params: { path: { id: incidentId } }, signal })),
  });
}

/** What may be written depends on where the incident stands. */
const MOVES = /^(incident|task|response|action|exclusion|device)\./;
/** A running action reports often; it is asked for at most so often. */
const AGAIN_MS = 400;

/** Reads the response again when something of it has moved. */
export function useLiveResponse(incidentId: string): void {
  const queries = useQueryClient();
  useLive(
    // A device that changed may be any task's; all else names its incident.
    (fact) => MOVES.test(fact.kind) && (fact.incidentId === incidentId || /^(device|exclusion)\./.test(fact.kind)),
    () => void queries.invalidateQueries({ queryKey: key(incidentId) }),
    AGAIN_MS,
  );
}

/** Everything that a task's change moves, read again. */
export function useForgetResponse() {
  const queries = useQueryClient();
  return (incidentId: string) => {
    for (const name of ['response', 'incident', 'timeline']) {
      void queries.invalidateQueries({ queryKey: [name, incidentId] });
    }
    for (const name of ['actions', 'home', 'incidents']) void queries.invalidateQueries({ queryKey: [name] });
  };
}

export function useTakeResponse() {
  const queries = useQueryClient();
  const forget = useForgetResponse();
  return (response: ManagedResponse) => {
    queries.setQueryData(key(response.incidentId), response);
    forget(response.incidentId);
  };
}

/** Takes the answer to a saved draft: nothing else has moved. */
export function useTakeDraft() {
  const queries = useQueryClient();
  return (response: ManagedResponse) => queries.setQueryData(key(response.incidentId), response);
}

type Verb = 'run' | 'begin' | 'complete' | 'reopen';

export function sendTask(verb: Verb, id: string): Promise<Task> {
  const given = { params: { path: { id } }, body: {} };
  if (verb === 'run') return read(api.POST('/api/v1/tasks/{id}/run', given));
  if (verb === 'begin') return read(api.POST('/api/v1/tasks/{id}/begin', given));
  if (verb === 'complete') return read(api.POST('/api/v1/tasks/{id}/complete', given));
  return read(api.POST('/api/v1/tasks/{id}/reopen', given));
}

/** Stops what of a task is under way. */
export function useCancel() {
  const toasts = useToasts();
  const forget = useForgetResponse();
  return useMutation({
    mutationFn: async (task: Task) => {
      const stoppable = task.actions.filter((action) => action.may.cancel.allowed);
      for (const action of stoppable) {
        await read(api.POST('/api/v1/actions/{id}/cancel', { params: { path: { id: action.id } }, body: {} }));
      }
    },
    onSuccess: (_, task) => toasts.done(`${task.displayName}: what could be stopped is stopped.`),
    onError: toasts.fail,
    onSettled: (_, _error, task) => forget(task.incidentId),
  });
}
