import { Badge, Button, Field, Link as FluentLink, makeStyles } from '@fluentui/react-components';
import { useMemo, useState } from 'react';

import type { Incident } from '../api/hand';
import { AskExperts } from '../ui/AskExperts';
import { Choices } from '../ui/Choices';
import { Facts } from '../ui/Facts';
import { Go } from '../ui/Go';
import { Moment } from '../ui/Moment';
import { Panel } from '../ui/Panel';
import { Table, type Column } from '../ui/Table';
import { Empty, Failure, Waiting } from '../ui/states';
import { evidenceFacts, fileHash, gathered, words, type EvidenceRow } from '../api/evidence';
import { useIncidentAlerts } from '../api/incident-alerts';
import { userOf, userPath } from '../api/user-path';
import { spelled } from '../api/words';

const useStyles = makeStyles({
  all: { display: 'flex', flexDirection: 'column', gap: '12px' },
  bar: { display: 'flex', gap: '12px', flexWrap: 'wrap', alignItems: 'end' },
});

const COLOUR: Record<string, 'danger' | 'warning' | 'success' | 'informative'> = {
  malicious: 'danger',
  suspicious: 'warning',
  noThreatsFound: 'success',
};
const COLUMNS: Column<EvidenceRow>[] = [
  { id: 'name', label: 'Evidence', lead: true, cell: (row) => row.name },
  { id: 'kind', label: 'Kind', nowrap: true, cell: (row) => row.kind },
  {
    id: 'verdict',
    label: 'Verdict',
    nowrap: true,
    cell: (row) => (
      <Badge appearance="tint" shape="rounded" color={COLOUR[row.verdict] ?? 'informative'}>
        {spelled(row.verdict)}
      </Badge>
    ),
  },
  {
    id: 'remediation',
    label: 'Remediation',
    nowrap: true,
    minor: true,
    cell: (row) => spelled(String(row.evidence.remediationStatus ?? 'none')),
  },
  { id: 'alerts', label: 'Alerts', nowrap: true, end: true, cell: (row) => row.alerts.length },
  { id: 'seen', label: 'Seen', nowrap: true, minor: true, cell: (row) => <Moment at={String(row.evidence.createdDateTime ?? '')} /> },
];

export default function EvidenceTab({ incident, onAlert }: { incident: Incident; onAlert: (id: string) => void }) {
  const styles = useStyles();
  const alerts = useIncidentAlerts(incident.id);
  const rows = useMemo(() => gathered((alerts.data?.pages ?? []).flatMap((page) => page.value)), [alerts.data]);
  const [kind, setKind] = useState('');
  const [open, setOpen] = useState<string | null>(null);
  if (alerts.isPending) return <Waiting rows={8} label="Loading evidence" />;
  if (alerts.isError && rows.length === 0) return <Failure error={alerts.error} retry={() => void alerts.refetch()} />;
  if (rows.length === 0) return <Empty title="No evidence">The alerts of this incident carry none.</Empty>;
  const kinds = [...new Set(rows.map((row) => row.kind))].sort();
  const shown = kind ? rows.filter((row) => row.kind === kind) : rows;
  const at = shown.findIndex((row) => row.id === open);
  const row = shown[at];
  const user = row ? userOf(row.evidence) : null;
  const hash = row ? fileHash(row.evidence) : null;
  const to = (next: number) => {
    const neighbour = shown[next];
    return neighbour ? () => setOpen(neighbour.id) : null;
  };
  return (
    <div className={styles.all}>
      <div className={styles.bar}>
        <Field label="Kind">
          <Choices
            choices={[{ value: '', label: `All (${rows.length})` }, ...kinds.map((one) => ({ value: one, label: one }))]}
            value={kind}
            onChoose={setKind}
          />
        </Field>
        {alerts.hasNextPage && (
          <Button disabledFocusable={alerts.isFetchingNextPage} onClick={() => void alerts.fetchNextPage()}>
            {alerts.isFetchingNextPage ? 'Loading…' : 'Read more alerts'}
          </Button>
        )}
      </div>
      <Table
        label="Evidence"
        columns={COLUMNS}
        rows={shown}
        id={(one) => one.id}
        name={(one) => one.name}
        onOpen={(one) => setOpen(one.id)}
        current={open}
      />
      {row && (
        <Panel
          title={row.name}
          open
          wide
          onClose={() => setOpen(null)}
          step={{ previous: to(at - 1), next: to(at + 1) }}
        >
          {hash && (
            <div>
              <AskExperts about={{ kind: 'file', id: hash, name: row.name }} />
            </div>
          )}
          <Facts
            facts={[
              ['Kind', row.kind],
              ['User', user && <Go key="u" to={userPath(incident.tenantId, user)}>{user}</Go>],
              ['Verdict', spelled(row.verdict)],
              ['Remediation', spelled(String(row.evidence.remediationStatus ?? 'none'))],
              ['Roles', words(row.evidence.roles).map(spelled).join(', ')],
              ['Tags', words(row.evidence.tags).join(', ')],
              [
                'In',
                <span key="a">
                  {row.alerts.map((alert, index) => (
                    <span key={alert.id}>
                      {index > 0 && ', '}
                      <FluentLink
                        as="button"
                        onClick={() => {
                          setOpen(null);
                          onAlert(alert.id);
                        }}
                      >
                        {alert.title}
                      </FluentLink>
                    </span>
                  ))}
                </span>,
              ],
              ...evidenceFacts(row.evidence),
            ]}
          />
        </Panel>
      )}
    </div>
  );
}
