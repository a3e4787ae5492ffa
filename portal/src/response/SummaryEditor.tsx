import { Field, Textarea, Toolbar, ToolbarButton, makeStyles, tokens } from '@fluentui/react-components';
import { AddRegular } from '@fluentui/react-icons';
import { useEffect, useEffectEvent, useMemo, useRef, useState } from 'react';

import { api, read } from '../api/client';
import { gathered } from '../api/evidence';
import type { Incident, ManagedResponse } from '../api/hand';
import { useIncidentAlerts } from '../api/incident-alerts';
import { Rich, RICH_HINT } from '../ui/Rich';
import { Failure } from '../ui/states';
import { deviceTimeline, evidenceTable, indicatorsOfAttack, indicatorsOfCompromise, inserted, whatExpertsDid } from './blocks';
import { useTakeDraft } from './data';

const useStyles = makeStyles({
  all: { display: 'flex', flexDirection: 'column', gap: '8px', minWidth: 0 },
  tools: { flexWrap: 'wrap', padding: 0, marginInline: '-4px' },
  columns: {
    display: 'grid',
    gridTemplateColumns: 'repeat(auto-fit, minmax(min(100%, 380px), 1fr))',
    gap: '12px',
    alignItems: 'stretch',
  },
  text: { height: '380px', '& textarea': { maxHeight: 'none', height: '100%', fontFamily: tokens.fontFamilyMonospace, fontSize: tokens.fontSizeBase200 } },
  side: { display: 'flex', flexDirection: 'column', minWidth: 0 },
  preview: {
    height: '380px',
    overflowY: 'auto',
    boxSizing: 'border-box',
    padding: '8px 12px',
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusMedium,
    backgroundColor: tokens.colorNeutralBackground2,
    ':focus-visible': { outline: `2px solid ${tokens.colorStrokeFocus2}` },
  },
  label: { padding: '2px 0 4px' },
  muted: { color: tokens.colorNeutralForeground2, fontSize: tokens.fontSizeBase200 },
});

const PAUSE_MS = 1_200;

/** The investigation summary in Markdown, kept on the server while it is written. */
export function SummaryEditor({
  incident,
  response,
  value,
  onValue,
}: {
  incident: Incident;
  response: ManagedResponse;
  value: string;
  onValue: (value: string) => void;
}) {
  const styles = useStyles();
  const area = useRef<HTMLTextAreaElement>(null);
  // Until somebody was in the box, its caret is nobody's wish.
  const been = useRef(false);
  const alerts = useIncidentAlerts(incident.id);
  const all = useMemo(() => (alerts.data?.pages ?? []).flatMap((page) => page.value), [alerts.data]);
  const { state, error } = useKept(response, value, onValue);
  const parts: [label: string, make: () => string][] = [
    ['Device timeline', () => deviceTimeline(all)],
    ['Indicators of attack', () => indicatorsOfAttack(all)],
    ['Indicators of compromise', () => indicatorsOfCompromise(gathered(all))],
    ['Evidence', () => evidenceTable(gathered(all))],
    ['What the experts did', () => whatExpertsDid([...response.completed, ...response.pending])],
  ];
  const insert = (what: string) => {
    const box = area.current;
    const next = inserted(value, (been.current ? box?.selectionStart : null) ?? value.length, what);
    onValue(next.text);
    // After the text is in the box.
    requestAnimationFrame(() => {
      box?.focus();
      box?.setSelectionRange(next.caret, next.caret);
    });
  };
  const locked = !response.may.saveSummary.allowed;
  return (
    <div className={styles.all}>
      <Toolbar className={styles.tools} size="small" aria-label="Insert into the summary">
        {parts.map(([label, make]) => (
          <ToolbarButton
            key={label}
            icon={<AddRegular />}
            disabledFocusable={locked || alerts.isPending}
            onClick={() => insert(make())}
          >
            {label}
          </ToolbarButton>
        ))}
      </Toolbar>
      <div className={styles.columns}>
        <Field label="Investigation summary" required hint={RICH_HINT}>
          <Textarea
            ref={area}
            className={styles.text}
            value={value}
            maxLength={30_000}
            readOnly={locked}
            onFocus={() => {
              been.current = true;
            }}
            onChange={(_, data) => onValue(data.value)}
          />
        </Field>
        <div className={styles.side}>
          <span className={styles.label}>Preview</span>
          {/* What scrolls must be reached by the keyboard. */}
          {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
          <div className={styles.preview} tabIndex={0} role="region" aria-label="Preview of the summary">
            {value.trim() ? (
              <Rich text={value} />
            ) : (
              <span className={styles.muted}>What happened, how bad it is, and what was seen and done. The buttons above write parts of it from the incident.</span>
            )}
          </div>
          <span className={styles.muted} role="status">
            {state}
          </span>
        </div>
      </div>
      <Failure error={error} title="The draft is not saved" />
    </div>
  );
}

/** Saves after a pause; takes what somebody else saved while nothing was typed here. */
function useKept(response: ManagedResponse, value: string, onValue: (value: string) => void) {
  const take = useTakeDraft();
  const stored = response.draftSummary ?? response.summary ?? '';
  const saved = useRef(stored);
  const [state, setState] = useState('');
  const [error, setError] = useState<unknown>(null);
  const adopt = useEffectEvent((text: string) => {
    if (value === saved.current && text !== value) onValue(text);
    saved.current = text;
  });
  useEffect(() => adopt(stored), [stored]);
  const save = useEffectEvent(async () => {
    if (value === saved.current) return;
    setState('Saving…');
    setError(null);
    try {
      const sent = value;
      const fresh = await read(
        api.PUT('/api/v1/incidents/{id}/response/summary', {
          params: { path: { id: response.incidentId } },
          body: { summary: sent },
        }),
      );
      saved.current = sent;
      take(fresh);
      setState('The draft is saved.');
    } catch (refused) {
      setError(refused);
      setState('');
    }
  });
  const may = response.may.saveSummary.allowed;
  useEffect(() => {
    if (!may) return;
    const timer = setTimeout(() => void save(), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [value, may]);
  return { state, error };
}
