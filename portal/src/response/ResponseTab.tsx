import { makeStyles } from '@fluentui/react-components';

import type { Incident } from '../api/hand';
import { useSession } from '../api/session';
import { Section } from '../ui/Section';
import { Empty, Failure, Waiting } from '../ui/states';
import { ActionsPart, SummaryPart } from './Parts';
import { Workbench } from './Workbench';
import { useLiveResponse, useResponse } from './data';

const useStyles = makeStyles({
  all: { display: 'flex', flexDirection: 'column', gap: '16px' },
  columns: {
    display: 'grid',
    gridTemplateColumns: 'repeat(auto-fit, minmax(min(100%, 420px), 1fr))',
    gap: '16px',
    alignItems: 'start',
  },
});

/** MR-1: the managed response as a part of the incident; for experts also where it is composed. */
export default function ResponseTab({ incident }: { incident: Incident }) {
  const styles = useStyles();
  const { side } = useSession();
  const response = useResponse(incident.id);
  useLiveResponse(incident.id);
  if (response.isPending) return <Waiting rows={8} label="Loading the managed response" />;
  // What cannot be read again for a moment takes nothing away that somebody is writing.
  if (!response.data) return <Failure error={response.error} retry={() => void response.refetch()} />;
  const expert = side === 'provider';
  if (!expert && response.data.revision === 0) {
    return <Empty title="No managed response yet">The experts publish what they found and what is to be done when they have investigated.</Empty>;
  }
  return (
    <div className={styles.all}>
      {response.data.revision > 0 && (
        <div className={styles.columns}>
          <Section title="Actions">
            <ActionsPart response={response.data} />
          </Section>
          <Section title="Investigation summary">
            <SummaryPart response={response.data} />
          </Section>
        </div>
      )}
      {expert && <Workbench incident={incident} response={response.data} />}
    </div>
  );
}
