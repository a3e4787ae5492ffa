import { Badge, Button, makeStyles } from '@fluentui/react-components';
import { useMemo, useState } from 'react';

import type { Alert, Incident } from '../api/hand';
import { GuardedButton } from '../ui/Guarded';
import { Moment } from '../ui/Moment';
import { Table, type Column } from '../ui/Table';
import { Empty, Failure, Waiting } from '../ui/states';
import { LinkReason } from './LinkReason';
import { MoveDialog } from './Move';
import { Severity } from './badges';
import { useIncidentAlerts } from '../api/incident-alerts';
import { sourceName, spelled } from '../api/words';

const useStyles = makeStyles({
  all: { display: 'flex', flexDirection: 'column', gap: '12px' },
  bar: { display: 'flex', gap: '12px', alignItems: 'center', flexWrap: 'wrap' },
});

const COLUMNS: Column<Alert>[] = [
  { id: 'title', label: 'Alert', lead: true, cell: (alert) => alert.title },
  { id: 'severity', label: 'Severity', nowrap: true, cell: (alert) => <Severity value={alert.severity} /> },
  {
    id: 'status',
    label: 'Status',
    nowrap: true,
    cell: (alert) => (
      <Badge appearance="tint" color={alert.status === 'resolved' ? 'success' : 'brand'} shape="rounded">
        {spelled(alert.status)}
      </Badge>
    ),
  },
  { id: 'links', label: 'Why it is here', cell: (alert) => <LinkReason alert={alert} most={1} /> },
  { id: 'category', label: 'Category', nowrap: true, minor: true, cell: (alert) => (alert.category ? spelled(alert.category) : '–') },
  { id: 'product', label: 'Product', minor: true, cell: (alert) => alert.productName ?? sourceName(alert.serviceSource) },
  { id: 'first', label: 'First activity', nowrap: true, cell: (alert) => <Moment at={alert.firstActivityDateTime} as="second" /> },
  { id: 'id', label: 'Id', nowrap: true, minor: true, cell: (alert) => alert.id },
];

/** The incident's alerts, each with what linked it to the others. */
export default function Alerts({
  incident,
  onAlert,
  current,
}: {
  incident: Incident;
  onAlert: (id: string) => void;
  current: string | null;
}) {
  const styles = useStyles();
  const alerts = useIncidentAlerts(incident.id);
  const rows = useMemo(() => (alerts.data?.pages ?? []).flatMap((page) => page.value), [alerts.data]);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [moving, setMoving] = useState(false);
  if (alerts.isPending) return <Waiting rows={8} label="Loading alerts" />;
  if (alerts.isError && rows.length === 0) return <Failure error={alerts.error} retry={() => void alerts.refetch()} />;
  if (rows.length === 0) return <Empty title="No alerts">They were moved to another incident.</Empty>;
  const picked = rows.filter((row) => selected.has(row.id));
  const may = picked.length ? incident.may.change : { allowed: false, because: 'Tick the alerts to move first.' };
  return (
    <div className={styles.all}>
      <div className={styles.bar}>
        <GuardedButton size="small" may={may} onClick={() => setMoving(true)}>
          Move {picked.length > 0 ? `${picked.length} alert${picked.length === 1 ? '' : 's'}` : 'alerts'} to another incident
        </GuardedButton>
      </div>
      <Table
        label="Alerts"
        columns={COLUMNS}
        rows={rows}
        id={(row) => row.id}
        name={(row) => row.title}
        selected={selected}
        onSelect={setSelected}
        onOpen={(row) => onAlert(row.id)}
        current={current}
      />
      {alerts.hasNextPage && (
        <div className={styles.bar}>
          <Button disabledFocusable={alerts.isFetchingNextPage} onClick={() => void alerts.fetchNextPage()}>
            {alerts.isFetchingNextPage ? 'Loading…' : `Show more (${rows.length} of ${incident.alertCount})`}
          </Button>
        </div>
      )}
      <MoveDialog
        incident={incident}
        alerts={picked}
        open={moving}
        onClose={() => setMoving(false)}
        onDone={() => setSelected(new Set())}
      />
    </div>
  );
}
