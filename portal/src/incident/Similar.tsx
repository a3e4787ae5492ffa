import { makeStyles, tokens } from '@fluentui/react-components';
import { useQuery } from '@tanstack/react-query';

import { api, read } from '../api/client';
import type { Incident, IncidentRow } from '../api/hand';
import { useWords } from '../api/use-words';
import { labelOf, spelled } from '../api/words';
import { Moment } from '../ui/Moment';
import { Table, type Column } from '../ui/Table';
import { Empty, Failure, Waiting } from '../ui/states';
import { Go } from '../ui/Go';
import { Severity, Status } from './badges';

type Row = { incident: IncidentRow; shared: { kind: string; name: string }[] };

const useStyles = makeStyles({ shared: { color: tokens.colorNeutralForeground2, overflowWrap: 'anywhere' } });

/** Other incidents that mention the same things. */
export default function Similar({ incident }: { incident: Incident }) {
  const styles = useStyles();
  const { classification } = useWords();
  const similar = useQuery({
    queryKey: ['similar', incident.id],
    queryFn: ({ signal }) =>
      read(api.GET('/api/v1/incidents/{id}/similar', { params: { path: { id: incident.id } }, signal })),
  });
  if (similar.isPending) return <Waiting rows={5} label="Looking for similar incidents" />;
  if (similar.isError) return <Failure error={similar.error} retry={() => void similar.refetch()} />;
  if (similar.data.value.length === 0) {
    return <Empty title="No similar incidents">No other incident shares an entity with this one.</Empty>;
  }
  const columns: Column<Row>[] = [
    {
      id: 'name',
      label: 'Incident',
      lead: true,
      cell: (row) => <Go to={`/incidents/${encodeURIComponent(row.incident.id)}`}>{row.incident.displayName}</Go>,
    },
    {
      id: 'shared',
      label: 'Shares',
      cell: (row) => (
        <span className={styles.shared}>
          {row.shared.slice(0, 4).map((one) => `${spelled(one.kind)} ${one.name}`).join(', ')}
          {row.shared.length > 4 && ` and ${row.shared.length - 4} more`}
        </span>
      ),
    },
    { id: 'severity', label: 'Severity', nowrap: true, cell: (row) => <Severity value={row.incident.severity} /> },
    { id: 'status', label: 'Status', nowrap: true, cell: (row) => <Status value={row.incident.status} /> },
    {
      id: 'classification',
      label: 'Classification',
      minor: true,
      cell: (row) =>
        row.incident.classification === 'unknown' ? 'Not set' : labelOf(classification, row.incident.classification),
    },
    { id: 'last', label: 'Last activity', nowrap: true, cell: (row) => <Moment at={row.incident.lastActivityDateTime} /> },
  ];
  return (
    <Table
      label="Similar incidents"
      columns={columns}
      rows={similar.data.value}
      id={(row) => row.incident.id}
      name={(row) => row.incident.displayName}
    />
  );
}
