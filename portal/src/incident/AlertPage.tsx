import { useQuery } from '@tanstack/react-query';
import { useParams } from 'react-router';

import { api, read } from '../api/client';
import { Refusal } from '../api/error';
import { Page } from '../ui/Page';
import { Empty, Failure, Waiting } from '../ui/states';
import { AlertDetails } from './AlertPane';
import { useIncident } from './data';
import type { Alert } from '../api/hand';
import { Go } from '../ui/Go';

/** What a link to a single alert leads to. */
export default function AlertPage() {
  const { id = '' } = useParams();
  const alert = useQuery({
    queryKey: ['alert', id],
    queryFn: ({ signal }) => read(api.GET('/api/v1/alerts/{id}', { params: { path: { id } }, signal })),
  });
  const gone = alert.error instanceof Refusal && alert.error.status === 404;
  return (
    <Page title={alert.data?.title ?? `Alert ${id}`} narrow>
      {alert.data ? (
        alert.data.incidentId ? (
          <WithIncident alert={alert.data} />
        ) : (
          <AlertDetails alert={alert.data} />
        )
      ) : gone ? (
        <Empty title="There is no such alert" action={<Go to="/incidents">Go to the queue</Go>}>
          It does not exist, or it belongs to an organisation that you cannot see.
        </Empty>
      ) : alert.error ? (
        <Failure error={alert.error} retry={() => void alert.refetch()} />
      ) : (
        <Waiting rows={8} />
      )}
    </Page>
  );
}

function WithIncident({ alert }: { alert: Alert }) {
  const incident = useIncident(alert.incidentId);
  return <AlertDetails alert={alert} {...(incident.data && { incident: incident.data })} />;
}
