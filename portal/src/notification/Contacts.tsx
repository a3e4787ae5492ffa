import { Field, Input, Switch, makeStyles, tokens, type InputProps } from '@fluentui/react-components';
import { useState } from 'react';

import { api, read } from '../api/client';
import type { Contact, ContactChoice, ContactRole, May, NotificationSettings } from '../api/hand';
import { Ask } from '../ui/Ask';
import { Choices } from '../ui/Choices';
import { FormPanel } from '../ui/FormPanel';
import { GuardedButton } from '../ui/Guarded';
import { Section } from '../ui/Section';
import { Table, type Column } from '../ui/Table';
import { useToasts } from '../ui/Toasts';
import { WeekHours, officeWeek } from '../ui/WeekHours';
import { Empty, Failure, Notice, Waiting } from '../ui/states';
import { Health } from './Health';
import { useContacts, useForget, useTest } from './data';
import { ROLES, healthOf, languageName } from './words';

const useStyles = makeStyles({
  two: { display: 'flex', flexDirection: 'column', gap: '2px', overflowWrap: 'anywhere' },
  small: { fontSize: tokens.fontSizeBase200, color: tokens.colorNeutralForeground2 },
  acts: { display: 'flex', flexWrap: 'wrap', gap: '6px' },
});

const WHO = { person: 'Person', group: 'Group' };
const FIRST = { primary: 'Primary', backup: 'Backup' };
const GROUPS = Object.keys(ROLES) as ContactRole[];

/** NOT-1, NOT-2: who hears of what. */
export function Contacts({ settings, adding, onAdded }: { settings: NotificationSettings; adding: boolean; onAdded: () => void }) {
  const styles = useStyles();
  const toasts = useToasts();
  const forget = useForget();
  const contacts = useContacts();
  const test = useTest();
  const may: May = settings.may.change;
  const [editing, setEditing] = useState<Contact | null>(null);
  const [removing, setRemoving] = useState<Contact | null>(null);
  const [testing, setTesting] = useState<ReadonlySet<string>>(new Set());
  const run = async (contact: Contact) => {
    setTesting((now) => new Set(now).add(contact.id));
    await test(contact.name, () => read(api.POST('/api/v1/contacts/{id}/test', { params: { path: { id: contact.id } }, body: {} })));
    setTesting((now) => new Set([...now].filter((id) => id !== contact.id)));
  };
  const columns: Column<Contact>[] = [
    {
      id: 'name',
      label: 'Name',
      lead: true,
      cell: (row) => (
        <span className={styles.two}>
          {row.name}
          <span className={styles.small}>{WHO[row.kind]}</span>
        </span>
      ),
    },
    {
      id: 'address',
      label: 'Address',
      cell: (row) => (
        <span className={styles.two}>
          {row.email}
          {row.phone && <span className={styles.small}>{row.phone}</span>}
        </span>
      ),
    },
    { id: 'priority', label: 'Priority', cell: (row) => FIRST[row.priority] },
    { id: 'language', label: 'Language', minor: true, cell: (row) => languageName(row.language) },
    { id: 'health', label: 'Mail', cell: (row) => <Health of={healthOf(settings.receivers, 'mail', row.email)} what="mail" /> },
    {
      id: 'acts',
      label: 'Actions',
      cell: (row) => (
        <span className={styles.acts}>
          <GuardedButton size="small" may={may} busy={testing.has(row.id)} onClick={() => void run(row)} aria-label={`Send a test to ${row.name}`}>
            {testing.has(row.id) ? 'Sending…' : 'Send a test'}
          </GuardedButton>
          <GuardedButton size="small" may={may} onClick={() => setEditing(row)} aria-label={`Edit ${row.name}`}>
            Edit
          </GuardedButton>
          <GuardedButton size="small" appearance="subtle" may={may} onClick={() => setRemoving(row)} aria-label={`Remove ${row.name}`}>
            Remove
          </GuardedButton>
        </span>
      ),
    },
  ];
  return (
    <>
      {contacts.isPending ? (
        <Waiting rows={6} label="Loading contacts" />
      ) : contacts.isError ? (
        <Failure error={contacts.error} retry={() => void contacts.refetch()} />
      ) : contacts.data.value.length === 0 ? (
        <Empty title="Nobody is told yet">
          Add a contact for incident notification: it gets a mail when experts publish a response, write to you, or wait for you.
        </Empty>
      ) : (
        GROUPS.map((role) => {
          const rows = contacts.data.value.filter((one) => one.role === role);
          return (
            <Section key={role} title={ROLES[role].label} plain>
              <span className={styles.small}>{ROLES[role].hint}</span>
              {rows.length > 0 ? (
                <Table label={ROLES[role].label} columns={columns} rows={rows} id={(row) => row.id} name={(row) => row.name} />
              ) : role === 'incidentNotification' ? (
                <Notice intent="warning" title="Nobody hears of incidents.">
                  Add a contact for incident notification.
                </Notice>
              ) : (
                <span>No contact yet.</span>
              )}
            </Section>
          );
        })
      )}
      {adding && (
        <Form
          title="Add a contact"
          act="Add"
          languages={settings.languages}
          given={{ name: '', kind: 'person', email: '', phone: '', role: 'incidentNotification', priority: 'primary', language: 'en', hours: null }}
          onClose={onAdded}
          onAct={async (draft) => {
            const added = await read(api.POST('/api/v1/contacts', { body: draft }));
            void forget();
            toasts.done(`${added.name} is a contact and is told so by mail.`);
          }}
        />
      )}
      {editing && (
        <Form
          title={`Edit ${editing.name}`}
          act="Save"
          languages={settings.languages}
          given={{ ...chosen(editing), phone: editing.phone ?? '' }}
          onClose={() => setEditing(null)}
          onAct={async (draft) => {
            const before = chosen(editing);
            const names = (Object.keys(before) as (keyof ContactChoice)[]).filter((name) => JSON.stringify(draft[name]) !== JSON.stringify(before[name]));
            const body: Partial<ContactChoice> = Object.fromEntries(names.map((name) => [name, draft[name]]));
            await read(api.PATCH('/api/v1/contacts/{id}', { params: { path: { id: editing.id } }, body }));
            void forget();
            toasts.done(`${draft.name} is saved.`);
          }}
        />
      )}
      {removing && (
        <Ask
          open
          title={`Remove ${removing.name}`}
          act={`Remove ${removing.name}`}
          onClose={() => setRemoving(null)}
          onAct={async () => {
            await read(api.DELETE('/api/v1/contacts/{id}', { params: { path: { id: removing.id } } }));
            void forget();
            toasts.done(`${removing.name} is removed.`);
          }}
        >
          <span>{removing.email} hears of nothing more from here. What was sent there stays on record.</span>
        </Ask>
      )}
    </>
  );
}

const chosen = ({ name, kind, email, phone, role, priority, language, hours }: Contact): ContactChoice => ({ name, kind, email, phone, role, priority, language, hours });

type Draft = ContactChoice & { phone: string };
type Said = 'name' | 'email' | 'phone';

/** How the server's refusals begin, for each field. */
const ABOUT: [Said, RegExp][] = [
  ['phone', /^phone\b/i],
  ['email', /\bmail address\b|\bcontact of this kind\b/],
  ['name', /\bname\b/i],
];

function Form(props: {
  title: string;
  act: string;
  languages: string[];
  given: Draft;
  onClose: () => void;
  onAct: (choice: ContactChoice) => Promise<void>;
}) {
  const [draft, setDraft] = useState(props.given);
  const input = (name: Said, rest: Partial<InputProps> = {}) => (
    <Input {...(rest as object)} autoComplete="off" value={draft[name]} onChange={(_, data) => setDraft({ ...draft, [name]: data.value })} />
  );
  const act = () => props.onAct({ ...draft, name: draft.name.trim(), email: draft.email.trim(), phone: draft.phone.trim() || null });
  return (
    <FormPanel title={props.title} act={props.act} about={ABOUT} onClose={props.onClose} onAct={act}>
      {(at) => (
        <>
          <Field label="Name" required {...at('name')}>
            {input('name', { required: true, maxLength: 200 })}
          </Field>
          <Field label="Kind" hint={draft.kind === 'group' ? 'Several people behind one address' : 'One person'}>
            <Choices
              choices={Object.entries(WHO).map(([value, label]) => ({ value, label }))}
              value={draft.kind}
              onChoose={(value) => setDraft({ ...draft, kind: value as Draft['kind'] })}
            />
          </Field>
          <Field label="E-mail" required {...at('email')}>
            {input('email', { required: true, type: 'email' })}
          </Field>
          <Field label="Phone" hint="With the country’s code, such as +46 8 765 43 21. For calls and text messages of the ladder, and for people to call." {...at('phone')}>
            {input('phone', { type: 'tel' })}
          </Field>
          <Field label="Hears of" hint={ROLES[draft.role].hint}>
            <Choices
              choices={GROUPS.map((role) => ({ value: role, label: ROLES[role].label }))}
              value={draft.role}
              onChoose={(value) => setDraft({ ...draft, role: value as ContactRole })}
            />
          </Field>
          <Field label="Priority" hint={draft.priority === 'primary' ? 'Hears of everything at once' : 'Hears of what reached no primary contact'}>
            <Choices
              choices={Object.entries(FIRST).map(([value, label]) => ({ value, label }))}
              value={draft.priority}
              onChoose={(value) => setDraft({ ...draft, priority: value as Draft['priority'] })}
            />
          </Field>
          <Field label="Language" hint="Of the mails that this contact gets">
            <Choices
              choices={props.languages.map((value) => ({ value, label: languageName(value) }))}
              value={draft.language}
              onChoose={(language) => setDraft({ ...draft, language })}
            />
          </Field>
          <Switch
            label="The ladder reaches it in certain hours only"
            checked={Boolean(draft.hours)}
            onChange={(_, data) => setDraft({ ...draft, hours: data.checked ? officeWeek() : null })}
          />
          {draft.hours && <WeekHours week={draft.hours} onChange={(hours) => setDraft({ ...draft, hours })} />}
        </>
      )}
    </FormPanel>
  );
}
