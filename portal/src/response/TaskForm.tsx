import { Button, Combobox, Dropdown, Field, Input, Option, OptionGroup, Textarea, makeStyles } from '@fluentui/react-components';
import { useMemo, useState, type ComponentProps } from 'react';

import { useActionTypes } from '../api/action-types';
import { targetName } from '../api/action-words';
import { api, read } from '../api/client';
import { gathered } from '../api/evidence';
import type { ActionType, Incident, NewTask, Task } from '../api/hand';
import { useIncidentAlerts } from '../api/incident-alerts';
import { DescribedFields } from '../ui/DescribedFields';
import { Panel } from '../ui/Panel';
import { RICH_HINT } from '../ui/Rich';
import { useToasts } from '../ui/Toasts';
import { bodyOf, ready, valuesOf, type Values } from '../ui/described';
import { Failure, Notice, Waiting } from '../ui/states';
import { DevicePicker } from './DevicePicker';
import { useForgetResponse } from './data';
import { byTarget, receiversOf, targetsFor } from './tasks';

const useStyles = makeStyles({
  form: { display: 'flex', flexDirection: 'column', gap: '14px' },
});

/** A further action of the plan, drafted. */
export function NewTaskPanel({ incident, onClose }: { incident: Incident; onClose: () => void }) {
  const types = useActionTypes();
  if (!types.data) {
    return (
      <Panel title="Add an action" open onClose={onClose}>
        {types.isError ? <Failure error={types.error} retry={() => void types.refetch()} /> : <Waiting rows={6} />}
      </Panel>
    );
  }
  return <NewTask incident={incident} types={types.data} onClose={onClose} />;
}

const NO_TARGET = 'none';
const MAILBOXES = 'mailboxes';

/** Options that are chosen and not typed. */
const picked = (tenantId: string): ComponentProps<typeof DescribedFields>['instead'] => ({
  deviceId: (field, value, set) => <DevicePicker field={field} tenantId={tenantId} value={value} onValue={set} />,
});

function NewTask({ incident, types, onClose }: { incident: Incident; types: ActionType[]; onClose: () => void }) {
  const styles = useStyles();
  const toasts = useToasts();
  const forget = useForgetResponse();
  const alerts = useIncidentAlerts(incident.id);
  const all = useMemo(() => (alerts.data?.pages ?? []).flatMap((page) => page.value), [alerts.data]);
  const evidence = useMemo(() => gathered(all), [all]);
  const [chosen, setChosen] = useState<ActionType | null>(null);
  const [target, setTarget] = useState({ id: '', name: '' });
  const [values, setValues] = useState<Values>({});
  const [title, setTitle] = useState('');
  const [description, setDescription] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const onTarget = chosen !== null && chosen.target !== NO_TARGET;
  const choose = (type: ActionType) => {
    // What the expert wrote stays; what the catalogue wrote is written anew.
    if (title === '' || title === chosen?.title) setTitle(type.title);
    if (description === '' || description === chosen?.explains) setDescription(type.explains);
    if (type.target !== chosen?.target) setTarget({ id: '', name: '' });
    setValues(valuesOf(type.options, type.target === chosen?.target ? inMailboxes(type, target.id) : {}));
    setChosen(type);
  };
  /** In whose mailboxes a mail is, where the form asks for it. */
  const inMailboxes = (type: ActionType | null, mail: string): Record<string, string[]> =>
    type?.options.some((one) => one.name === MAILBOXES) ? { [MAILBOXES]: receiversOf(all, mail) } : {};
  const aim = (next: { id: string; name: string }) => {
    setTarget(next);
    const known = inMailboxes(chosen, next.id)[MAILBOXES];
    if (known?.length) setValues((before) => ({ ...before, [MAILBOXES]: known.join('\n') }));
  };
  const complete = chosen !== null && title.trim() !== '' && (!onTarget || target.id.trim() !== '') && ready(chosen.options, values);
  const add = async () => {
    if (!chosen || busy || !complete) return;
    setBusy(true);
    setError(null);
    const body: NewTask = {
      actionType: chosen.actionType,
      displayName: title.trim(),
      description: description.trim(),
      options: bodyOf(chosen.options, values),
      ...(onTarget && { target: { kind: chosen.target, id: target.id.trim() } }),
    };
    try {
      await read(api.POST('/api/v1/incidents/{id}/tasks', { params: { path: { id: incident.id } }, body }));
      forget(incident.id);
      toasts.done(`${body.displayName} is drafted.`);
      onClose();
    } catch (refused) {
      setError(refused);
      setBusy(false);
    }
  };
  return (
    <Panel
      title="Add an action"
      open
      onClose={onClose}
      footer={
        <>
          <Button appearance="primary" onClick={() => void add()} disabledFocusable={busy || !complete}>
            {busy ? 'Adding…' : 'Add'}
          </Button>
          <Button onClick={onClose}>Cancel</Button>
        </>
      }
    >
      <div className={styles.form}>
        <Field label="Action" required>
          <Dropdown
            placeholder="Choose"
            value={chosen?.title ?? ''}
            selectedOptions={chosen ? [chosen.actionType] : []}
            onOptionSelect={(_, data) => {
              const type = types.find((one) => one.actionType === data.optionValue);
              if (type) choose(type);
            }}
          >
            {byTarget(types).map((group) => (
              <OptionGroup key={group.title} label={group.title}>
                {group.types.map((type) => (
                  <Option key={type.actionType} value={type.actionType} text={type.title}>
                    {type.oneClick ? type.title : `${type.title} (by hand)`}
                  </Option>
                ))}
              </OptionGroup>
            ))}
          </Dropdown>
        </Field>
        {chosen && (
          <>
            {chosen.dangerous && <Notice intent="warning">This interrupts work on the asset. Say in the explanation why it is needed.</Notice>}
            {onTarget && (
              <TargetField
                kind={chosen.target}
                value={target}
                choices={targetsFor(chosen.target, incident.entities ?? [], evidence)}
                onValue={aim}
              />
            )}
            <DescribedFields fields={chosen.options} values={values} onValues={setValues} instead={picked(incident.tenantId)} />
            <Words title={title} description={description} onTitle={setTitle} onDescription={setDescription} />
          </>
        )}
        <Failure error={error} />
      </div>
    </Panel>
  );
}

/** One of the incident's things, or any other by its name. */
function TargetField({
  kind,
  value,
  choices,
  onValue,
}: {
  kind: string;
  value: { id: string; name: string };
  choices: { id: string; name: string }[];
  onValue: (value: { id: string; name: string }) => void;
}) {
  const typed = value.name.toLowerCase();
  const exact = choices.some((one) => one.name === value.name);
  const fitting = choices.filter((one) => one.name.toLowerCase().includes(typed));
  const shown = exact || fitting.length === 0 ? choices : fitting;
  return (
    <Field
      label={targetName(kind)}
      required
      hint={value.id && value.id !== value.name ? value.id : choices.length ? 'Choose one of the incident, or type another' : 'Type its name'}
    >
      {choices.length === 0 ? (
        <Input value={value.name} onChange={(_, data) => onValue({ id: data.value, name: data.value })} />
      ) : (
        <Combobox
          freeform
          value={value.name}
          selectedOptions={value.id ? [value.id] : []}
          onInput={(event) => {
            const text = (event.target as HTMLInputElement).value;
            onValue({ id: text, name: text });
          }}
          onOptionSelect={(_, data) => {
            const one = choices.find((choice) => choice.id === data.optionValue);
            if (one) onValue(one);
          }}
        >
          {shown.map((one) => (
            <Option key={one.id} value={one.id} text={one.name}>
              {one.name}
            </Option>
          ))}
        </Combobox>
      )}
    </Field>
  );
}

function Words({
  title,
  description,
  onTitle,
  onDescription,
}: {
  title: string;
  description: string;
  onTitle: (text: string) => void;
  onDescription: (text: string) => void;
}) {
  return (
    <>
      <Field label="Title" required>
        <Input value={title} maxLength={256} onChange={(_, data) => onTitle(data.value)} />
      </Field>
      <Field label="Explanation" hint={`Why it is to be done, and how. ${RICH_HINT}`}>
        <Textarea value={description} rows={6} resize="vertical" maxLength={10_000} onChange={(_, data) => onDescription(data.value)} />
      </Field>
    </>
  );
}

/** Changes the words and options of a draft; another target is another draft. */
export function EditTask({ task, onClose }: { task: Task; onClose: () => void }) {
  const styles = useStyles();
  const toasts = useToasts();
  const forget = useForgetResponse();
  const types = useActionTypes();
  const fields = types.data?.find((one) => one.actionType === task.actionType)?.options ?? [];
  const [typed, setTyped] = useState<Values | null>(null);
  const values = typed ?? valuesOf(fields, task.options);
  const [title, setTitle] = useState(task.displayName);
  const [description, setDescription] = useState(task.description);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const complete = title.trim() !== '' && ready(fields, values);
  const save = async () => {
    if (busy || !complete) return;
    setBusy(true);
    setError(null);
    try {
      await read(
        api.PATCH('/api/v1/tasks/{id}', {
          params: { path: { id: task.id } },
          body: { displayName: title.trim(), description: description.trim(), ...(typed && { options: bodyOf(fields, values) }) },
        }),
      );
      forget(task.incidentId);
      toasts.done(`${title.trim()} is changed.`);
      onClose();
    } catch (refused) {
      setError(refused);
      setBusy(false);
    }
  };
  return (
    <Panel
      title={`Edit: ${task.title}`}
      open
      onClose={onClose}
      footer={
        <>
          <Button appearance="primary" onClick={() => void save()} disabledFocusable={busy || !complete}>
            {busy ? 'Saving…' : 'Save'}
          </Button>
          <Button onClick={onClose}>Cancel</Button>
        </>
      }
    >
      <div className={styles.form}>
        <DescribedFields fields={fields} values={values} onValues={setTyped} instead={picked(task.tenantId)} />
        <Words title={title} description={description} onTitle={setTitle} onDescription={setDescription} />
        <Failure error={error} />
      </div>
    </Panel>
  );
}
