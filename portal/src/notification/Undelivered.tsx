import { useQuery, useQueryClient } from '@tanstack/react-query';

import { api, read } from '../api/client';
import { useEvents } from '../api/events';
import type { Incident } from '../api/hand';
import { useSession } from '../api/session';
import { Go } from '../ui/Go';
import { Notice } from '../ui/states';
import { unheard } from './words';

const AWAITS = 'awaitingAction';
/** What was published just now is told in a moment. */
const SOON_MS = 15_000;

/** On top of an incident: who should have heard of it and did not. */
export default function Undelivered({ incident }: { incident: Incident }) {
  const { id } = incident;
  const { side } = useSession();
  const queries = useQueryClient();
  const told = useQuery({
    queryKey: ['incident-notifications', id],
    queryFn: ({ signal }) => read(api.GET('/api/v1/incidents/{id}/notifications', { params: { path: { id } }, signal })),
    // What is delivered at last makes no noise.
    refetchInterval: ({ state }) => (state.data?.value.some((one) => one.state === 'waiting') ? 5_000 : 60_000),
  });
  useEvents((fact) => {
    if (fact.incidentId !== id || !/^(notification|delivery|response)\./.test(fact.kind)) return;
    void queries.invalidateQueries({ queryKey: ['incident-notifications', id] });
  });
  const nobody = told.data?.value.length === 0 && incident.status === AWAITS;
  // The card of the response asks the same, so this is there already.
  const response = useQuery({
    queryKey: ['response', id],
    queryFn: ({ signal }) => read(api.GET('/api/v1/incidents/{id}/response', { params: { path: { id } }, signal })),
    enabled: nobody,
  });
  // What cannot be known now is no reason to alarm anybody.
  if (!told.data) return null;
  if (told.data.undelivered > 0) {
    const count = told.data.undelivered;
    const names = unheard(told.data.value).map((one) => `${one.name} (${one.receiver})`);
    return (
      <Notice intent="error" title={`${count} ${count === 1 ? 'message' : 'messages'} about this incident did not reach ${count === 1 ? 'its' : 'their'} receiver.`}>
        {names.join(', ')}{' '}
        {side === 'customer' && (
          <Go inline to={`/settings/notifications?tab=deliveries&incident=${encodeURIComponent(id)}`}>
            Show the deliveries
          </Go>
        )}
      </Notice>
    );
  }
  const published = response.data?.publishedDateTime;
  if (!nobody || !published || Date.now() - Date.parse(published) < SOON_MS) return null;
  return (
    <Notice intent="warning" title="Nobody was told.">
      There is no contact for incident notification.{' '}
      {side === 'customer' && (
        <Go inline to="/settings/notifications">
          Add one
        </Go>
      )}
    </Notice>
  );
}
