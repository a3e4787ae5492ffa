import { Button, Field, Input, Radio, RadioGroup, makeStyles, tokens } from '@fluentui/react-components';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useMemo, useState } from 'react';

import { APPROVALS, LEVELS, ROLES } from '../api/access-words';
import { api, read } from '../api/client';
import { sentence } from '../api/error';
import type { Approval, Grant, GrantLevel } from '../api/hand';
import { GuardedButton } from '../ui/Guarded';
import { Moment } from '../ui/Moment';
import { Page } from '../ui/Page';
import { Section } from '../ui/Section';
import { useToasts } from '../ui/Toasts';
import { Failure, Notice, Waiting } from '../ui/states';
import { fromInput, toInput } from '../ui/time';
import { useUnsaved, type OnUnsaved } from '../ui/useUnsaved';
import { Go } from '../ui/Go';
import { TwoPeople } from './TwoPeople';

const useStyles = makeStyles({
  hint: { color: tokens.colorNeutralForeground2 },
  option: { display: 'flex', flexDirection: 'column' },
  acts: { display: 'flex', flexWrap: 'wrap', gap: '8px' },
  end: { maxWidth: '260px' },
  wide: { maxWidth: '560px' },
});

const WHAT: Record<GrantLevel, string> = {
  none: 'Experts see nothing of your organisation.',
  reader: 'Experts see your incidents, investigate them and tell you what to do.',
  operator: 'Experts also act for you, for example isolate a device.',
};

type Draft = { level: GrantLevel; approval: Approval; endDateTime: string | null; networks: string[] };

const draftOf = (grant: Grant): Draft => ({
  level: grant.level,
  approval: grant.approval,
  endDateTime: grant.endDateTime ?? null,
  networks: grant.networks ?? [],
});

/** PER-1 to PER-3: what the experts may do, for how long, and who lets them in. */
export default function Permissions() {
  return (
    <Page
      narrow
      title="Permissions"
      lead="What Defender Experts may do in your organisation. You can change or end it at any time."
    >
      <PermissionsPart />
    </Page>
  );
}

/** The same as a part of a page that saves it: with `onUnsaved` it has no buttons of its own. */
export function PermissionsPart({ onUnsaved }: { onUnsaved?: OnUnsaved }) {
  const grant = useQuery({ queryKey: ['grant'], queryFn: () => read(api.GET('/api/v1/grant')) });
  return (
    <>
      {grant.data ? (
        <Editor grant={grant.data} onUnsaved={onUnsaved} />
      ) : grant.isError ? (
        <Failure error={grant.error} retry={() => void grant.refetch()} />
      ) : (
        <Waiting rows={8} />
      )}
      <TwoPeople />
    </>
  );
}

function Editor({ grant, onUnsaved }: { grant: Grant; onUnsaved: OnUnsaved | undefined }) {
  const styles = useStyles();
  const queries = useQueryClient();
  const toasts = useToasts();
  const saved = useMemo(() => draftOf(grant), [grant]);
  // Who has granted nothing begins the setup with the lesser of the two levels.
  const [draft, setDraft] = useState<Draft>(onUnsaved && saved.level === 'none' ? { ...saved, level: 'reader' } : saved);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [typed, setTyped] = useState(saved.networks.join(', '));
  const [shown, setShown] = useState(saved);
  useEffect(() => {
    if (shown === saved) return;
    setShown(saved);
    setDraft(saved);
    setTyped(saved.networks.join(', '));
  }, [saved, shown]);
  const same = JSON.stringify(saved) === JSON.stringify(draft);
  const save = async (next: Draft, back: Draft | null) => {
    setBusy(true);
    setError(null);
    try {
      const changed = await read(api.PUT('/api/v1/grant', { body: next }));
      queries.setQueryData(['grant'], changed);
      toasts.done(
        `Experts now have: ${LEVELS[changed.effectiveLevel]}.`,
        back ? () => void save(back, null) : undefined,
      );
    } catch (refused) {
      setError(refused);
    } finally {
      setBusy(false);
    }
  };
  useUnsaved(onUnsaved, !same, async () => {
    queries.setQueryData(['grant'], await read(api.PUT('/api/v1/grant', { body: draft })));
  });
  const ended = grant.level !== 'none' && grant.effectiveLevel === 'none';
  const mayNot = !grant.may.change.allowed;
  return (
    <>
      {mayNot && <Notice>{sentence(grant.may.change.because ?? 'You cannot change this.')}</Notice>}
      {ended && (
        <Notice intent="warning" title="The permission has ended">
          It ran until <Moment at={grant.endDateTime} />. Set a later end, or none, to renew it.
        </Notice>
      )}
      <Section title="What experts may do">
        <RadioGroup
          aria-label="What experts may do"
          disabled={mayNot}
          value={draft.level}
          onChange={(_, data) => setDraft({ ...draft, level: data.value as GrantLevel })}
        >
          {(['none', 'reader', 'operator'] as const).map((level) => (
            <Radio
              key={level}
              value={level}
              label={
                <span className={styles.option}>
                  <span>
                    {LEVELS[level]}
                    {ROLES[level] && ` (${ROLES[level]})`}
                    {level === 'operator' && ' – recommended'}
                  </span>
                  <span className={styles.hint}>{WHAT[level]}</span>
                </span>
              }
            />
          ))}
        </RadioGroup>
      </Section>
      <Section title="Who lets an expert in">
        <RadioGroup
          aria-label="Who lets an expert in"
          disabled={mayNot}
          value={draft.approval}
          onChange={(_, data) => setDraft({ ...draft, approval: data.value as Approval })}
        >
          {(['customer', 'lead', 'automatic'] as const).map((approval) => (
            <Radio key={approval} value={approval} label={APPROVALS[approval]} />
          ))}
        </RadioGroup>
        <span className={styles.hint}>
          Experts open an incident only with a reason and for a few hours. All of it is in the{' '}
          <Go to="/access" inline>access history</Go>.
        </span>
      </Section>
      <Section title="Until when">
        <Field className={styles.end} label="End (optional)" hint="Without one the permission lasts until you end it">
          <Input
            type="datetime-local"
            disabled={mayNot}
            value={draft.endDateTime ? toInput(new Date(draft.endDateTime)) : ''}
            onChange={(_, data) => setDraft({ ...draft, endDateTime: fromInput(data.value) })}
          />
        </Field>
      </Section>
      <Section title="From where">
        <Field
          className={styles.wide}
          label="Networks (optional)"
          hint="Experts are let in only from these, such as 192.0.2.0/24, 2001:db8::/32. Without any: from anywhere"
        >
          <Input
            value={typed}
            disabled={mayNot}
            onChange={(_, data) => {
              setTyped(data.value);
              setDraft({ ...draft, networks: data.value.split(/[\s,;]+/).filter(Boolean) });
            }}
          />
        </Field>
      </Section>
      <Failure error={error} />
      {!onUnsaved && <div className={styles.acts}>
        <GuardedButton
          appearance="primary"
          may={grant.may.change.allowed && same ? { allowed: false, because: 'Nothing is changed yet.' } : grant.may.change}
          busy={busy}
          onClick={() => void save(draft, saved)}
        >
          {busy ? 'Saving…' : draft.level === 'none' ? 'End the permission' : grant.level === 'none' ? 'Grant' : 'Save'}
        </GuardedButton>
        {!same && (
          <Button onClick={() => {
              setDraft(saved);
              setTyped(saved.networks.join(', '));
            }} disabledFocusable={busy}>
            Discard
          </Button>
        )}
      </div>}
      {grant.changedDateTime && (
        <span className={styles.hint}>
          Last changed <Moment at={grant.changedDateTime} /> {grant.changedBy && `by ${grant.changedBy}`}.
        </span>
      )}
    </>
  );
}
