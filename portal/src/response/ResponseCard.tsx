import { Button, makeStyles, mergeClasses, tokens } from '@fluentui/react-components';
import { useSearchParams } from 'react-router';

import type { Incident } from '../api/hand';
import { useSession } from '../api/session';
import { useLiveResponse, useResponse } from './data';
import { headline } from './tasks';

const useStyles = makeStyles({
  card: {
    display: 'flex',
    flexWrap: 'wrap',
    alignItems: 'center',
    justifyContent: 'space-between',
    gap: '10px 24px',
    padding: '12px 16px',
    borderRadius: tokens.borderRadiusLarge,
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    backgroundColor: tokens.colorNeutralBackground1,
  },
  urgent: { borderLeft: `4px solid ${tokens.colorPaletteDarkOrangeBorderActive}` },
  calm: { borderLeft: `4px solid ${tokens.colorPaletteGreenBorderActive}` },
  bad: { borderLeft: `4px solid ${tokens.colorPaletteRedBorderActive}` },
  slim: { padding: '8px 16px', borderLeft: `4px solid ${tokens.colorNeutralStroke1}` },
  what: { flex: '1 1 260px', minWidth: 0 },
  title: { margin: 0, fontSize: tokens.fontSizeBase400, lineHeight: tokens.lineHeightBase400, fontWeight: tokens.fontWeightSemibold },
  text: { margin: '2px 0 0', color: tokens.colorNeutralForeground2, overflowWrap: 'anywhere' },
  acts: { display: 'flex', flexWrap: 'wrap', gap: '8px' },
});

/** MR-1: on top of an incident, what of the managed response needs whoever reads. */
export default function ResponseCard({ incident }: { incident: Incident }) {
  const styles = useStyles();
  const { side } = useSession();
  const [params, setParams] = useSearchParams();
  const response = useResponse(incident.id);
  useLiveResponse(incident.id);
  const set = (name: string, value: string) => {
    const next = new URLSearchParams(params);
    next.set(name, value);
    setParams(next);
  };
  // The tab says what went wrong; here there would only be less to see.
  if (!response.data) return null;
  const said = headline(response.data, side === 'customer');
  const drafts = response.data.drafts.length;
  if (!said) {
    if (side !== 'provider' || !response.data.may.draft.allowed || params.get('tab') === 'response') return null;
    return (
      <section className={mergeClasses(styles.card, styles.slim)} aria-label="Managed response">
        <span className={styles.text}>
          {drafts === 0 ? 'No managed response yet.' : `${drafts} draft${drafts === 1 ? '' : 's'} of a managed response, not published.`}
        </span>
        <Button size="small" onClick={() => set('tab', 'response')}>
          Compose a managed response
        </Button>
      </section>
    );
  }
  return (
    <section className={mergeClasses(styles.card, styles[said.mood])} aria-labelledby="response-card">
      <div className={styles.what}>
        <h2 id="response-card" className={styles.title}>
          {said.title}
        </h2>
        {said.text && <p className={styles.text}>{said.text}</p>}
      </div>
      <div className={styles.acts}>
        <Button appearance={said.mood === 'urgent' ? 'primary' : 'secondary'} onClick={() => set('response', 'actions')}>
          View actions
        </Button>
        <Button onClick={() => set('response', 'summary')}>Investigation summary</Button>
        {response.data.conversationId && <Button onClick={() => set('response', 'chat')}>Chat</Button>}
      </div>
    </section>
  );
}
