import { Checkbox, Field, SpinButton, Switch, makeStyles, tokens } from '@fluentui/react-components';
import { ArrowDownRegular, ArrowUpRegular, DeleteRegular } from '@fluentui/react-icons';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';

import { api, read } from '../api/client';
import type { Contact, Ladder, LadderSettings } from '../api/hand';
import { Choices } from '../ui/Choices';
import { GuardedButton } from '../ui/Guarded';
import { Section } from '../ui/Section';
import { Ticks } from '../ui/Ticks';
import { useToasts } from '../ui/Toasts';
import { Empty, Failure, Notice, Waiting } from '../ui/states';
import { useContacts, useTest } from './data';

const useStyles = makeStyles({
  list: { display: 'grid', gap: '10px', margin: 0, padding: 0, listStyleType: 'none', counterReset: 'rung' },
  rung: {
    display: 'flex',
    flexWrap: 'wrap',
    alignItems: 'end',
    gap: '8px 12px',
    padding: '12px',
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusMedium,
    '& .fui-Dropdown': { minWidth: '130px' },
    '& .fui-SpinButton': { width: '96px', minWidth: 0 },
  },
  number: { alignSelf: 'center', width: '20px', fontWeight: tokens.fontWeightSemibold },
  acts: { display: 'flex', flexWrap: 'wrap', gap: '8px' },
  form: { display: 'flex', flexDirection: 'column', gap: '16px' },
  field: { maxWidth: '360px' },
});

type Rung = Ladder['rungs'][number];
const KEY = ['ladder'];
const WAYS: Record<Rung['by'], string> = { mail: 'Mail', sms: 'Text message', call: 'Call' };
const SEVERITIES = [
  { value: 'high', label: 'High' },
  { value: 'medium', label: 'Medium' },
  { value: 'low', label: 'Low' },
  { value: 'informational', label: 'Informational' },
];
const NOBODY: Record<Ladder['nobody'], string> = {
  lead: 'The provider’s lead is told',
  fallback: 'Approvals that wait become what the authority policy says of one that nobody gave',
  nothing: 'Nothing more; it stands in the incident’s log',
};

/** NOT-8: who is reached, one after the other, while nobody reacts. */
export function LadderPart() {
  const ladder = useQuery({ queryKey: KEY, queryFn: ({ signal }) => read(api.GET('/api/v1/ladder', { signal })) });
  const contacts = useContacts();
  if (ladder.isPending || contacts.isPending) return <Waiting rows={6} label="Loading the ladder" />;
  if (!ladder.data) return <Failure error={ladder.error} retry={() => void ladder.refetch()} />;
  if (!contacts.data) return <Failure error={contacts.error} retry={() => void contacts.refetch()} />;
  const whom = contacts.data.value.filter((one) => one.role === 'incidentNotification');
  return <Form key={JSON.stringify(ladder.data.ladder)} found={ladder.data} contacts={whom} />;
}

function Form({ found, contacts }: { found: LadderSettings; contacts: Contact[] }) {
  const styles = useStyles();
  const queries = useQueryClient();
  const toasts = useToasts();
  const test = useTest();
  const [ladder, setLadder] = useState<Ladder>(found.ladder);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const { allowed } = found.may.change;
  const changed = JSON.stringify(ladder) !== JSON.stringify(found.ladder);
  const set = (change: Partial<Ladder>) => setLadder({ ...ladder, ...change });
  const setRung = (at: number, change: Partial<Rung>) => set({ rungs: ladder.rungs.map((rung, place) => (place === at ? { ...rung, ...change } : rung)) });
  const move = (from: number, to: number) => {
    const rungs = [...ladder.rungs];
    const [rung] = rungs.splice(from, 1);
    if (rung) rungs.splice(to, 0, rung);
    set({ rungs });
  };
  const save = async () => {
    setBusy(true);
    setError(null);
    try {
      queries.setQueryData(KEY, await read(api.PUT('/api/v1/ladder', { body: ladder })));
      toasts.done('The ladder is saved. What is being climbed goes on by it.');
    } catch (refused) {
      setError(refused);
    } finally {
      setBusy(false);
    }
  };
  const try_ = (rung: Rung, name: string) =>
    void test(name, () => read(api.POST('/api/v1/contacts/{id}/test', { params: { path: { id: rung.contactId } }, body: { by: rung.by } })));
  return (
    <Section title="When nobody reacts">
      <span>
        While an incident waits for you and nobody of you has acted or written, contacts are reached one after the other. Whoever is
        reached signs in; nothing is carried out by a message or a key pressed in a call.
      </span>
      {!found.phone.isSetUp && (
        <Notice title="No calls and text messages leave here yet.">Your provider has set up no phone account. Mails work; calls and text messages wait until there is one.</Notice>
      )}
      <form
        className={styles.form}
        onSubmit={(event) => {
          event.preventDefault();
          if (allowed && changed && !busy) void save();
        }}
      >
        <Switch label="Reach people one after the other" checked={ladder.isOn} disabled={!allowed} onChange={(_, data) => set({ isOn: data.checked })} />
        <Ticks
          label="For incidents of these severities"
          words={SEVERITIES}
          value={ladder.severities}
          disabled={!allowed}
          onValue={(severities) => set({ severities })}
        />
        {contacts.length === 0 ? (
          <Empty title="There is nobody to reach">Add contacts for incident notification first, with their phone numbers.</Empty>
        ) : (
          <ol className={styles.list}>
            {ladder.rungs.map((rung, at) => {
              const contact = contacts.find((one) => one.id === rung.contactId);
              const name = contact?.name ?? 'a removed contact';
              return (
                <li key={at} className={styles.rung}>
                  <span className={styles.number}>{at + 1}</span>
                  <Field label="Contact">
                    <Choices
                      disabled={!allowed}
                      choices={contacts.map((one) => ({ value: one.id, label: one.name }))}
                      value={contact ? rung.contactId : name}
                      onChoose={(contactId) => setRung(at, { contactId })}
                    />
                  </Field>
                  <Field label="By" {...(rung.by !== 'mail' && contact && !contact.phone && { validationState: 'error' as const, validationMessage: 'It has no phone number.' })}>
                    <Choices
                      disabled={!allowed}
                      choices={Object.entries(WAYS).map(([value, label]) => ({ value, label }))}
                      value={rung.by}
                      onChoose={(by) => setRung(at, { by: by as Rung['by'] })}
                    />
                  </Field>
                  <Field label="Minutes to react">
                    <SpinButton
                      min={1}
                      max={1_440}
                      disabled={!allowed}
                      value={rung.waitMinutes}
                      onChange={(_, data) => {
                        const minutes = data.value ?? Number(data.displayValue);
                        if (Number.isInteger(minutes)) setRung(at, { waitMinutes: minutes });
                      }}
                    />
                  </Field>
                  <Checkbox label="Also outside of its hours" disabled={!allowed} checked={rung.always ?? false} onChange={(_, data) => setRung(at, { always: data.checked === true })} />
                  <span className={styles.acts}>
                    <GuardedButton size="small" may={found.may.change} onClick={() => try_(rung, name)} aria-label={`Try it: ${name} by ${WAYS[rung.by].toLowerCase()}`}>
                      Try it
                    </GuardedButton>
                    <GuardedButton size="small" appearance="subtle" icon={<ArrowUpRegular />} aria-label={`Move ${name} up`} may={at > 0 ? found.may.change : { allowed: false, because: 'It is the first.' }} onClick={() => move(at, at - 1)} />
                    <GuardedButton size="small" appearance="subtle" icon={<ArrowDownRegular />} aria-label={`Move ${name} down`} may={at + 1 < ladder.rungs.length ? found.may.change : { allowed: false, because: 'It is the last.' }} onClick={() => move(at, at + 1)} />
                    <GuardedButton size="small" appearance="subtle" icon={<DeleteRegular />} aria-label={`Remove ${name}`} may={found.may.change} onClick={() => set({ rungs: ladder.rungs.filter((_, place) => place !== at) })} />
                  </span>
                </li>
              );
            })}
          </ol>
        )}
        <div>
          <GuardedButton
            may={contacts.length ? found.may.change : { allowed: false, because: 'There is nobody to reach.' }}
            onClick={() => set({ rungs: [...ladder.rungs, { contactId: contacts[0]?.id ?? '', by: contacts[0]?.phone ? 'call' : 'mail', waitMinutes: 10, always: false }] })}
          >
            Add a rung
          </GuardedButton>
        </div>
        <Field label="How often the ladder is climbed" className={styles.field}>
          <SpinButton
            min={1}
            max={5}
            disabled={!allowed}
            value={ladder.rounds}
            onChange={(_, data) => {
              const rounds = data.value ?? Number(data.displayValue);
              if (Number.isInteger(rounds)) set({ rounds });
            }}
          />
        </Field>
        <Field label="When nobody has answered then" className={styles.field}>
          <Choices
            disabled={!allowed}
            choices={Object.entries(NOBODY).map(([value, label]) => ({ value, label }))}
            value={ladder.nobody}
            onChoose={(nobody) => set({ nobody: nobody as Ladder['nobody'] })}
          />
        </Field>
        <Failure error={error} />
        <div className={styles.acts}>
          <GuardedButton appearance="primary" type="submit" busy={busy} may={changed ? found.may.change : { allowed: false, because: 'Nothing has changed.' }}>
            {busy ? 'Saving…' : 'Save'}
          </GuardedButton>
          {changed && <GuardedButton may={found.may.change} onClick={() => setLadder(found.ladder)}>Undo changes</GuardedButton>}
        </div>
      </form>
    </Section>
  );
}
