import { Switch, makeStyles, tokens } from '@fluentui/react-components';
import { useState } from 'react';

import { api, read } from '../api/client';
import type { MailRule, MailRuleChoice, May, NotificationSettings } from '../api/hand';
import { GuardedButton } from '../ui/Guarded';
import { Section } from '../ui/Section';
import { Table, type Column } from '../ui/Table';
import { useToasts } from '../ui/Toasts';
import { Empty, Failure, Waiting } from '../ui/states';
import { Health } from './Health';
import { MailRulePane } from './MailRulePane';
import { useForget, useRules, useTest } from './data';
import { healthOf, languageName, ruleTold } from './words';

const useStyles = makeStyles({
  two: { display: 'flex', flexDirection: 'column', gap: '2px', overflowWrap: 'anywhere' },
  small: { fontSize: tokens.fontSizeBase200, color: tokens.colorNeutralForeground2 },
  acts: { display: 'flex', flexWrap: 'wrap', gap: '6px' },
});

const KINDS = [
  {
    about: 'incidents',
    title: 'Incidents',
    hint: 'A mail for each incident that a rule is about, at once; its updates at most every ten minutes.',
    empty: 'No rule is about incidents.',
  },
  {
    about: 'actions',
    title: 'Response actions',
    hint: 'A mail when an action is completed or failed; what people cancelled or rejected is not told.',
    empty: 'No rule is about response actions.',
  },
] as const;

/** What a new rule says before anything is chosen. */
const FRESH: MailRuleChoice = {
  name: '',
  when: { about: 'incidents', severities: ['high'], sources: [], deviceGroups: [], oncePerIncident: false },
  organisationName: false,
  tenantLink: false,
  recipients: [{ email: '', language: 'en' }],
  on: true,
};

const chosen = ({ name, when, organisationName, tenantLink, recipients, on }: MailRule): MailRuleChoice => ({
  name,
  when,
  organisationName,
  tenantLink,
  recipients,
  on,
});

/** NOT-9, NOT-10: which mails go out about incidents and actions, by the customer's own rules. */
export function MailRules({ settings, adding, onAdded }: { settings: NotificationSettings; adding: boolean; onAdded: () => void }) {
  const styles = useStyles();
  const toasts = useToasts();
  const forget = useForget();
  const rules = useRules();
  const test = useTest();
  const may: May = settings.may.change;
  const [editing, setEditing] = useState<MailRule | null>(null);
  const [busy, setBusy] = useState<ReadonlySet<string>>(new Set());
  const during = async (id: string, what: () => Promise<unknown>) => {
    setBusy((now) => new Set(now).add(id));
    try {
      await what();
    } catch (refused) {
      toasts.fail(refused);
    } finally {
      setBusy((now) => new Set([...now].filter((one) => one !== id)));
      void forget();
    }
  };
  const at = (id: string) => ({ params: { path: { id } } });
  const turn = (rule: MailRule, on: boolean) =>
    during(rule.id, async () => {
      await read(api.PATCH('/api/v1/mail-rules/{id}', { ...at(rule.id), body: { on } }));
      toasts.done(`${rule.name} is ${on ? 'on' : 'off'}.`);
    });
  const restore = (rule: MailRule) =>
    during(rule.id, async () => {
      await read(api.POST('/api/v1/mail-rules/{id}/restore', { ...at(rule.id), body: {} }));
      toasts.done(`${rule.name} is there again.`);
    });
  const remove = (rule: MailRule) =>
    during(rule.id, async () => {
      await read(api.DELETE('/api/v1/mail-rules/{id}', at(rule.id)));
      toasts.done(`${rule.name} is removed.`, () => void restore(rule));
    });
  if (rules.isPending) return <Waiting rows={6} label="Loading mail rules" />;
  if (rules.isError) return <Failure error={rules.error} retry={() => void rules.refetch()} />;
  const { value, choices } = rules.data;
  const columns: Column<MailRule>[] = [
    {
      id: 'name',
      label: 'Name',
      lead: true,
      cell: (row) => (
        <span className={styles.two}>
          {row.name}
          {ruleTold(row, choices).map((text) => (
            <span key={text} className={styles.small}>
              {text}
            </span>
          ))}
        </span>
      ),
    },
    {
      id: 'recipients',
      label: 'Recipients',
      cell: (row) => (
        <span className={styles.two}>
          {row.recipients.map((one) => (
            <span key={one.email} className={styles.two}>
              <span>
                {one.email} <span className={styles.small}>({languageName(one.language)})</span>
              </span>
              <Health of={healthOf(settings.receivers, 'mail', one.email)} what="mail" />
            </span>
          ))}
        </span>
      ),
    },
    {
      id: 'on',
      label: 'On',
      named: true,
      cell: (row) => (
        <Switch
          aria-label={`${row.name} is on`}
          checked={row.on}
          disabled={!may.allowed || busy.has(row.id)}
          onChange={(_, data) => void turn(row, data.checked)}
        />
      ),
    },
    {
      id: 'acts',
      label: 'Actions',
      cell: (row) => (
        <span className={styles.acts}>
          <GuardedButton
            size="small"
            may={may}
            busy={busy.has(row.id)}
            aria-label={`Send a test of ${row.name}`}
            onClick={() => void during(row.id, () => test(row.name, () => read(api.POST('/api/v1/mail-rules/{id}/test', { ...at(row.id), body: {} }))))}
          >
            {busy.has(row.id) ? 'Working…' : 'Send a test'}
          </GuardedButton>
          <GuardedButton size="small" may={may} onClick={() => setEditing(row)} aria-label={`Edit ${row.name}`}>
            Edit
          </GuardedButton>
          <GuardedButton size="small" appearance="subtle" may={may} busy={busy.has(row.id)} onClick={() => void remove(row)} aria-label={`Remove ${row.name}`}>
            Remove
          </GuardedButton>
        </span>
      ),
    },
  ];
  return (
    <>
      {value.length === 0 ? (
        <Empty title="No mail rules yet">
          Contacts hear of what experts tell you. A rule sends mails about incidents and response actions of your choice to any address besides.
        </Empty>
      ) : (
        KINDS.map((kind) => {
          const rows = value.filter((one) => one.when.about === kind.about);
          return (
            <Section key={kind.about} title={kind.title} plain>
              <span className={styles.small}>{kind.hint}</span>
              {rows.length > 0 ? (
                <Table label={`Mail rules: ${kind.title}`} columns={columns} rows={rows} id={(row) => row.id} name={(row) => row.name} />
              ) : (
                <span>{kind.empty}</span>
              )}
            </Section>
          );
        })
      )}
      {adding && (
        <MailRulePane
          title="Add a mail rule"
          act="Add"
          fresh
          choices={choices}
          given={FRESH}
          onClose={onAdded}
          onAct={async (draft) => {
            const added = await read(api.POST('/api/v1/mail-rules', { body: draft }));
            void forget();
            toasts.done(`${added.name} is added.`);
          }}
        />
      )}
      {editing && (
        <MailRulePane
          title={`Edit ${editing.name}`}
          act="Save"
          choices={choices}
          given={chosen(editing)}
          onClose={() => setEditing(null)}
          onAct={async (draft) => {
            await read(api.PATCH('/api/v1/mail-rules/{id}', { ...at(editing.id), body: draft }));
            void forget();
            toasts.done(`${draft.name} is saved.`);
          }}
        />
      )}
    </>
  );
}
