import { Button, makeStyles } from '@fluentui/react-components';
import { OpenRegular } from '@fluentui/react-icons';
import { useState } from 'react';
import { useNavigate } from 'react-router';

import type { IncidentRow } from '../api/hand';
import { GuardedButton } from '../ui/Guarded';
import { Panel } from '../ui/Panel';
import { Section } from '../ui/Section';
import { Failure, Waiting } from '../ui/states';
import { ExpertActs, OpenNotAllowed } from './Expert';
import { IncidentFacts, PriorityFactors } from './IncidentFacts';
import { ManagePanel } from './Manage';
import { useIncident } from './data';

const useStyles = makeStyles({ acts: { display: 'flex', flexWrap: 'wrap', gap: '8px' } });

type Props = {
  id: string | null;
  /** What the list knows already, so that the pane is not empty at first. */
  row: IncidentRow | undefined;
  onClose: () => void;
  previous: (() => void) | null;
  next: (() => void) | null;
};

/** UI-5: an incident beside the queue, with its neighbours one key away. */
export function IncidentPane(props: Props) {
  if (!props.id) return null;
  return <Pane {...props} id={props.id} />;
}

function Pane({ id, row, onClose, previous, next }: Props & { id: string }) {
  const styles = useStyles();
  const navigate = useNavigate();
  const incident = useIncident(id);
  const [managing, setManaging] = useState(false);
  const shown = incident.data ?? row;
  const may = incident.data?.may;
  return (
    <>
      <Panel
        title={shown?.displayName ?? `Incident ${id}`}
        open
        onClose={onClose}
        step={{ previous, next }}
        footer={
          <>
            <GuardedButton
              appearance="primary"
              icon={<OpenRegular />}
              may={may?.open}
              onClick={() => navigate(`/incidents/${id}`)}
            >
              Open incident page
            </GuardedButton>
            <Button onClick={onClose}>Close</Button>
          </>
        }
      >
        {incident.isError && <Failure error={incident.error} retry={() => void incident.refetch()} />}
        <div className={styles.acts}>
          <GuardedButton may={may?.change} onClick={() => setManaging(true)}>
            Manage incident
          </GuardedButton>
          {incident.data && <ExpertActs incident={incident.data} />}
        </div>
        {incident.data && !incident.data.may.open.allowed && <OpenNotAllowed incident={incident.data} />}
        {shown ? <IncidentFacts row={shown} /> : !incident.isError && <Waiting rows={8} />}
        {shown?.summary && (
          <Section title="Investigation summary" plain>
            <div style={{ whiteSpace: 'pre-wrap' }}>{shown.summary}</div>
          </Section>
        )}
        {shown && shown.priorityFactors.length > 0 && (
          <Section title="Why this priority" plain>
            <PriorityFactors row={shown} />
          </Section>
        )}
      </Panel>
      {managing && incident.data && <ManagePanel incident={incident.data} onClose={() => setManaging(false)} />}
    </>
  );
}
