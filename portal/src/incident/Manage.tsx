import {
  Button,
  Combobox,
  Field,
  Input,
  Option,
  Tag,
  TagGroup,
  Textarea,
  makeStyles,
} from '@fluentui/react-components';
import { useState } from 'react';

import { api, read } from '../api/client';
import type { Incident, IncidentChange, IncidentRow, Words } from '../api/hand';
import { useSession } from '../api/session';
import { useWords } from '../api/use-words';
import { Choices } from '../ui/Choices';
import { Panel } from '../ui/Panel';
import { useToasts } from '../ui/Toasts';
import { Failure, Notice } from '../ui/states';
import { before, rowsById, useChange, usePatchRows } from './data';

const useStyles = makeStyles({
  form: { display: 'flex', flexDirection: 'column', gap: '14px' },
  tags: { flexWrap: 'wrap', gap: '4px' },
  list: { margin: '4px 0 0', paddingInlineStart: '18px' },
});

/** What of a change the form holds: absent means "leave as it is". */
type Draft = IncidentChange;

/** Only what differs is sent, so that what somebody else changed meanwhile stays. */
function difference(row: IncidentRow, draft: Draft): IncidentChange {
  const change: IncidentChange = {};
  if (draft.displayName !== undefined && draft.displayName !== row.displayName) change.displayName = draft.displayName;
  if (draft.severity !== undefined && draft.severity !== row.severity) change.severity = draft.severity;
  if (draft.status !== undefined && draft.status !== row.status) change.status = draft.status;
  if (draft.assignedTo !== undefined && draft.assignedTo !== row.assignedTo) change.assignedTo = draft.assignedTo;
  if (draft.classification !== undefined && draft.classification !== row.classification) {
    change.classification = draft.classification;
  }
  if (draft.determination !== undefined && (draft.determination !== row.determination || change.classification)) {
    change.determination = draft.determination;
    // The pair is checked together.
    if (row.classification !== draft.classification && draft.classification) change.classification = draft.classification;
  }
  if (draft.customTags && draft.customTags.join('\n') !== row.customTags.join('\n')) change.customTags = draft.customTags;
  if (draft.resolvingComment) change.resolvingComment = draft.resolvingComment;
  return change;
}

export function ManagePanel({ incident, onClose }: { incident: Incident; onClose: () => void }) {
  const change = useChange();
  const [draft, setDraft] = useState<Draft>({
    displayName: incident.displayName,
    severity: incident.severity,
    status: incident.status,
    assignedTo: incident.assignedTo,
    classification: incident.classification,
    determination: incident.determination,
    customTags: incident.customTags,
  });
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const wanted = difference(incident, draft);
  const nothing = Object.keys(wanted).length === 0;
  const save = async () => {
    if (busy || nothing) return;
    setBusy(true);
    setError(null);
    try {
      await change(incident, wanted);
      onClose();
    } catch (refused) {
      setError(refused);
      setBusy(false);
    }
  };
  return (
    <Panel
      title="Manage incident"
      open
      onClose={onClose}
      footer={
        <>
          <Button appearance="primary" onClick={save} disabledFocusable={busy || nothing}>
            {busy ? 'Saving…' : 'Save'}
          </Button>
          <Button onClick={onClose}>Cancel</Button>
        </>
      }
    >
      <Form draft={draft} onDraft={setDraft} known={incident.customTags} />
      <Failure error={error} />
    </Panel>
  );
}

/** Several incidents at once: what is left untouched stays as it is in each. */
export function BulkPanel({
  open,
  rows,
  onClose,
  onDone,
}: {
  open: boolean;
  rows: IncidentRow[];
  onClose: () => void;
  onDone: () => void;
}) {
  if (!open) return null;
  return <Bulk rows={rows} onClose={onClose} onDone={onDone} />;
}

/** The server takes so many at a time. */
const AT_ONCE = 100;

function Bulk({ rows, onClose, onDone }: { rows: IncidentRow[]; onClose: () => void; onDone: () => void }) {
  const styles = useStyles();
  const toasts = useToasts();
  const patch = usePatchRows();
  const [draft, setDraft] = useState<Draft>({});
  const [busy, setBusy] = useState(0);
  const [error, setError] = useState<unknown>(null);
  const [refused, setRefused] = useState<{ id: string; why: string }[]>([]);
  const nothing = Object.keys(draft).length === 0;
  const save = async () => {
    if (busy || nothing) return;
    setError(null);
    setRefused([]);
    const was = new Map(rows.map((row) => [row.id, row]));
    const changed: string[] = [];
    const failed: { id: string; why: string }[] = [];
    try {
      for (let start = 0; start < rows.length; start += AT_ONCE) {
        setBusy(start + 1);
        const ids = rows.slice(start, start + AT_ONCE).map((row) => row.id);
        const answer = await read(api.POST('/api/v1/incidents/change', { body: { ids, change: draft } }));
        for (const one of answer.value) {
          if (one.error) failed.push({ id: one.id, why: typeof one.error === 'string' ? one.error : one.error.message });
          else changed.push(one.id);
        }
      }
    } catch (stopped) {
      setError(stopped);
    }
    const renew = async () => {
      for (let start = 0; start < changed.length; start += 40) {
        patch((await rowsById(changed.slice(start, start + 40))).value);
      }
    };
    await renew().catch(() => undefined);
    setBusy(0);
    setRefused(failed);
    if (changed.length) {
      toasts.done(`${changed.length} of ${rows.length} incidents are changed.`, () => {
        const back = async () => {
          for (const id of changed) {
            const row = was.get(id);
            if (row) {
              await read(
                api.PATCH('/api/v1/incidents/{id}', { params: { path: { id } }, body: before(row, draft) }),
              );
            }
          }
          await renew();
          toasts.done('They are as they were.');
        };
        back().catch(toasts.fail);
      });
    }
    if (failed.length === 0 && changed.length === rows.length) onDone();
  };
  return (
    <Panel
      title={`Manage ${rows.length} incident${rows.length === 1 ? '' : 's'}`}
      open
      onClose={onClose}
      footer={
        <>
          <Button appearance="primary" onClick={save} disabledFocusable={busy > 0 || nothing}>
            {busy ? `Saving ${busy} of ${rows.length}…` : 'Save'}
          </Button>
          <Button onClick={onClose}>{refused.length ? 'Close' : 'Cancel'}</Button>
        </>
      }
    >
      <Notice>What you leave empty stays as it is in each incident.</Notice>
      <Form draft={draft} onDraft={setDraft} known={[]} many />
      <Failure error={error} />
      {refused.length > 0 && (
        <Notice intent="warning" title={`${refused.length} could not be changed`}>
          <ul className={styles.list}>
            {refused.map((one) => (
              <li key={one.id}>
                Incident {one.id}: {one.why}
              </li>
            ))}
          </ul>
        </Notice>
      )}
    </Panel>
  );
}

const KEEP = '';

function Form({
  draft,
  onDraft,
  known,
  many,
}: {
  draft: Draft;
  onDraft: (draft: Draft) => void;
  known: string[];
  many?: boolean;
}) {
  const styles = useStyles();
  const words = useWords();
  const { person } = useSession();
  const set = (next: Draft) => onDraft({ ...draft, ...next });
  const without = (...names: (keyof Draft)[]) => {
    const next = { ...draft };
    for (const name of names) delete next[name];
    onDraft(next);
  };
  const withKeep = (list: { value: string; label: string }[]) =>
    many ? [{ value: KEEP, label: 'Leave as it is' }, ...list] : list;
  return (
    <div className={styles.form}>
      {!many && (
        <Field label="Name">
          <Input value={draft.displayName ?? ''} maxLength={512} onChange={(_, data) => set({ displayName: data.value })} />
        </Field>
      )}
      <Field label="Severity">
        <Choices
          choices={withKeep(words.severity)}
          value={draft.severity ?? KEEP}
          onChoose={(value) => (value === KEEP ? without('severity') : set({ severity: value }))}
        />
      </Field>
      <Field label="Status">
        <Choices
          choices={withKeep(words.status.filter((word) => word.settable || word.value === draft.status))}
          value={draft.status ?? KEEP}
          onChoose={(value) => (value === KEEP ? without('status', 'resolvingComment') : set({ status: value }))}
        />
      </Field>
      {draft.status === 'resolved' && (
        <Field label="Resolving comment" hint="Why it is resolved; shown in the details and the activities">
          <Textarea
            value={draft.resolvingComment ?? ''}
            maxLength={4000}
            onChange={(_, data) => set({ resolvingComment: data.value })}
          />
        </Field>
      )}
      <Owner
        value={draft.assignedTo}
        me={person.name ?? person.email}
        many={Boolean(many)}
        onChange={(owner) => (owner === undefined ? without('assignedTo') : set({ assignedTo: owner }))}
      />
      <ClassificationFields draft={draft} words={words} {...(many !== undefined && { many })} onDraft={onDraft} />
      <TagsField tags={draft.customTags} known={known} many={Boolean(many)} onChange={(tags) => (tags ? set({ customTags: tags }) : without('customTags'))} />
    </div>
  );
}

/** Which determination goes with which classification is the server's to say. */
export function ClassificationFields({
  draft,
  words,
  many,
  onDraft,
}: {
  draft: Pick<Draft, 'classification' | 'determination'>;
  words: Words;
  many?: boolean;
  onDraft: (draft: Draft) => void;
}) {
  const chosen = words.classification.find((one) => one.value === draft.classification);
  const blank = many ? [{ value: KEEP, label: 'Leave as it is' }] : [];
  return (
    <>
      <Field label="Classification">
        <Choices
          placeholder="Choose"
          choices={[...blank, ...words.classification]}
          value={draft.classification ?? KEEP}
          onChoose={(value) => {
            const next = { ...draft };
            delete next.determination;
            if (value === KEEP) delete next.classification;
            else next.classification = value;
            onDraft(next);
          }}
        />
      </Field>
      {chosen && chosen.determinations.length > 0 && (
        <Field label="Determination">
          <Choices
            placeholder="Choose"
            choices={chosen.determinations}
            value={draft.determination ?? KEEP}
            onChoose={(value) => onDraft({ ...draft, determination: value })}
          />
        </Field>
      )}
    </>
  );
}

function Owner({
  value,
  me,
  many,
  onChange,
}: {
  value: string | null | undefined;
  me: string;
  many: boolean;
  onChange: (owner: string | null | undefined) => void;
}) {
  const [typed, setTyped] = useState(value ?? (value === null ? 'Unassigned' : ''));
  const take = (text: string) => {
    setTyped(text);
    const name = text.trim();
    if (name === '') onChange(many ? undefined : null);
    else onChange(name === 'Unassigned' ? null : name);
  };
  const options = [...new Set(['Unassigned', me, ...(value ? [value] : [])])];
  return (
    <Field label="Assigned to" hint="A person or a group">
      <Combobox
        freeform
        placeholder={many ? 'Leave as it is' : 'Unassigned'}
        value={typed}
        selectedOptions={[typed]}
        onInput={(event) => take((event.target as HTMLInputElement).value)}
        onOptionSelect={(_, data) => data.optionText !== undefined && take(data.optionText)}
      >
        {options.map((name) => (
          <Option key={name} value={name} text={name}>
            {name === me ? `${name} (you)` : name}
          </Option>
        ))}
      </Combobox>
    </Field>
  );
}

function TagsField({
  tags,
  known,
  many,
  onChange,
}: {
  tags: string[] | undefined;
  known: string[];
  many: boolean;
  onChange: (tags: string[] | undefined) => void;
}) {
  const styles = useStyles();
  const [typed, setTyped] = useState('');
  const all = tags ?? [];
  const add = (text: string) => {
    const tag = text.trim();
    setTyped('');
    if (tag && !all.includes(tag)) onChange([...all, tag]);
  };
  const drop = (tag: string) => {
    const left = all.filter((one) => one !== tag);
    onChange(left.length === 0 && many ? undefined : left);
  };
  const fitting = known.filter((tag) => !all.includes(tag) && tag.toLowerCase().includes(typed.toLowerCase()));
  return (
    <Field label="Tags" hint={many ? 'These replace the tags that each incident has' : undefined}>
      {all.length > 0 && (
        <TagGroup className={styles.tags} aria-label="Tags" onDismiss={(_, data) => drop(String(data.value))}>
          {all.map((tag) => (
            <Tag key={tag} value={tag} size="small" dismissible dismissIcon={{ 'aria-label': 'remove' }}>
              {tag}
            </Tag>
          ))}
        </TagGroup>
      )}
      <Combobox
        freeform
        aria-label="Add a tag"
        placeholder={many ? 'Leave as they are' : 'Add a tag'}
        value={typed}
        selectedOptions={[]}
        onInput={(event) => setTyped((event.target as HTMLInputElement).value)}
        onOptionSelect={(_, data) => add(data.optionValue ?? '')}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && typed.trim() && fitting.length === 0) {
            add(typed);
            event.preventDefault();
          }
        }}
      >
        {fitting.map((tag) => (
          <Option key={tag} value={tag}>
            {tag}
          </Option>
        ))}
        {typed.trim() && !all.includes(typed.trim()) && !known.includes(typed.trim()) && (
          <Option key=" new" value={typed.trim()} text={typed.trim()}>
            {`(Create new) ${typed.trim()}`}
          </Option>
        )}
      </Combobox>
    </Field>
  );
}
