import { Checkbox, Field, Textarea, makeStyles } from '@fluentui/react-components';
import { useState } from 'react';
import { useNavigate } from 'react-router';

import { useActionTypes } from '../api/action-types';
import { api, read } from '../api/client';
import type { Device } from '../api/hand';
import { Ask } from '../ui/Ask';
import { CopyText } from '../ui/Copy';
import { DescribedFields } from '../ui/DescribedFields';
import { Moment } from '../ui/Moment';
import { useToasts } from '../ui/Toasts';
import { bodyOf, ready, valuesOf, type Values } from '../ui/described';
import { Notice } from '../ui/states';
import { useForgetDevice } from './data';

const useStyles = makeStyles({
  text: { margin: 0 },
});

/** MR-11, MR-18: an action from the device's own page; it needs a comment. */
export function ActDialog({ device, actionType, title, onClose }: { device: Device; actionType: string; title: string; onClose: () => void }) {
  const styles = useStyles();
  const toasts = useToasts();
  const forget = useForgetDevice();
  const types = useActionTypes();
  const type = types.data?.find((one) => one.actionType === actionType);
  const fields = type?.options ?? [];
  const [typed, setTyped] = useState<Values | null>(null);
  const values = typed ?? valuesOf(fields);
  const [comment, setComment] = useState('');
  return (
    <Ask
      open
      title={`${title}: ${device.name}`}
      act={title}
      ready={types.isSuccess && comment.trim() !== '' && ready(fields, values)}
      onClose={onClose}
      onAct={async () => {
        const action = await read(
          api.POST('/api/v1/devices/{id}/actions', {
            params: { path: { id: device.id } },
            body: { actionType, comment: comment.trim(), options: bodyOf(fields, values) },
          }),
        );
        forget(device.id);
        toasts.done(`${title} on ${device.name} ${action.state === 'proposed' ? 'waits for approval' : 'is under way'}.`);
      }}
    >
      {type?.dangerous && <Notice intent="warning">This interrupts work on {device.name}.</Notice>}
      {type?.explains && <p className={styles.text}>{type.explains}</p>}
      {device.agent && !device.agent.online && (
        <Notice>{device.name} is offline. This is carried out when its agent is there again, or fails when its time runs out.</Notice>
      )}
      <DescribedFields fields={fields} values={values} onValues={setTyped} />
      <Field label="Comment" required hint="Why; it stays on record">
        <Textarea value={comment} maxLength={1000} onChange={(_, data) => setComment(data.value)} />
      </Field>
    </Ask>
  );
}

/** MR-18: releases the device where the server cannot be reached. */
export function CodeDialog({ device, onClose }: { device: Device; onClose: () => void }) {
  const styles = useStyles();
  const [made, setMade] = useState<{ code: string; validUntilDateTime: string } | null>(null);
  if (made) {
    return (
      <Ask open title={`Release code for ${device.name}`} act="Done" shows onClose={onClose} onAct={async () => undefined}>
        <CopyText text={made.code} label="Copy the code" />
        <p className={styles.text}>
          Whoever is at {device.name} gives it to the agent there, as its administrator. The code is for this device only and
          holds until <Moment at={made.validUntilDateTime} />.
        </p>
      </Ask>
    );
  }
  return (
    <Ask
      open
      title={`Emergency release code for ${device.name}`}
      act="Show the code"
      onClose={onClose}
      onAct={async () => {
        setMade(await read(api.POST('/api/v1/devices/{id}/release-code', { params: { path: { id: device.id } }, body: {} })));
        return 'stay';
      }}
    >
      <span>
        With this code somebody at {device.name} ends its isolation without the server. That it was shown, and to whom, stays
        on record.
      </span>
    </Ask>
  );
}

export function EditDialog({ device, onClose }: { device: Device; onClose: () => void }) {
  const toasts = useToasts();
  const forget = useForgetDevice();
  const [groups, setGroups] = useState(device.groups.join('\n'));
  const [highValue, setHighValue] = useState(device.highValue);
  const save = async (body: { groups: string[]; highValue: boolean }) => {
    await read(api.PATCH('/api/v1/devices/{id}', { params: { path: { id: device.id } }, body }));
    forget(device.id);
  };
  return (
    <Ask
      open
      title={`Edit ${device.name}`}
      act="Save"
      onClose={onClose}
      onAct={async () => {
        const was = { groups: device.groups, highValue: device.highValue };
        await save({ groups: groups.split('\n').map((line) => line.trim()).filter(Boolean), highValue });
        toasts.done(`${device.name} is changed.`, () => {
          save(was).then(() => toasts.done(`${device.name} is as it was.`), toasts.fail);
        });
      }}
    >
      <Field label="Groups" hint="One a line. Exclusions and the coverage of the experts go by them">
        <Textarea value={groups} rows={5} resize="vertical" onChange={(_, data) => setGroups(data.value)} />
      </Field>
      <Checkbox label="High value" checked={highValue} onChange={(_, data) => setHighValue(data.checked === true)} />
    </Ask>
  );
}

export function RemoveDialog({ device, onClose }: { device: Device; onClose: () => void }) {
  const toasts = useToasts();
  const forget = useForgetDevice();
  const navigate = useNavigate();
  return (
    <Ask
      open
      title={`Remove the agent of ${device.name}`}
      act="Remove the agent"
      onClose={onClose}
      onAct={async () => {
        await read(api.DELETE('/api/v1/devices/{id}', { params: { path: { id: device.id } } }));
        forget(device.id);
        toasts.done(`The agent of ${device.name} is shut out.`);
        navigate('/devices');
      }}
    >
      <span>
        The server no longer listens to this agent, and nothing can be done on {device.name} until one enrols anew. What is in
        force there stays in force. What happened stays on record.
      </span>
    </Ask>
  );
}
