import { Checkbox, Field, Textarea, makeStyles } from '@fluentui/react-components';
import { useState } from 'react';

import { useActionTypes } from '../api/action-types';
import { api, read } from '../api/client';
import { sentence } from '../api/error';
import type { User } from '../api/hand';
import { Ask } from '../ui/Ask';
import { DescribedFields } from '../ui/DescribedFields';
import { Group } from '../ui/Group';
import { useToasts } from '../ui/Toasts';
import { bodyOf, ready, valuesOf, type Values } from '../ui/described';
import { Notice } from '../ui/states';
import { useForgetUsers } from './data';

const useStyles = makeStyles({
  text: { margin: 0 },
  devices: { display: 'flex', flexDirection: 'column', maxHeight: '220px', overflowY: 'auto' },
});

/** MR-11, MR-18: an action on the accounts that devices have under a user's name; it needs a comment. */
export function ActDialog({ user, actionType, title, onClose }: { user: User; actionType: string; title: string; onClose: () => void }) {
  const styles = useStyles();
  const toasts = useToasts();
  const forget = useForgetUsers();
  const types = useActionTypes();
  const type = types.data?.find((one) => one.actionType === actionType);
  // On which devices is asked below.
  const fields = (type?.options ?? []).filter((one) => one.name !== 'deviceId');
  const able = user.devices.filter((one) => one.can.includes(actionType));
  const directory = user.directory?.can.includes(actionType) ? user.directory : null;
  const only = able.length === 1 && !directory ? able.map((one) => one.deviceId) : [];
  const [inDirectory, setInDirectory] = useState(directory !== null);
  const [chosen, setChosen] = useState<string[]>(only);
  const [typed, setTyped] = useState<Values | null>(null);
  const values = typed ?? valuesOf(fields);
  const [comment, setComment] = useState('');
  const offline = able.filter((one) => chosen.includes(one.deviceId) && !one.online);
  return (
    <Ask
      open
      title={`${title}: ${user.name}`}
      act={title}
      ready={types.isSuccess && (chosen.length > 0 || inDirectory) && comment.trim() !== '' && ready(fields, values)}
      onClose={onClose}
      onAct={async () => {
        const { value } = await read(
          api.POST('/api/v1/users/{tenant}/{name}/actions', {
            params: { path: { tenant: user.tenantId, name: user.name } },
            body: { actionType, deviceIds: chosen, directory: inDirectory, comment: comment.trim(), options: bodyOf(fields, values) },
          }),
        );
        forget();
        const refused = value.filter((one) => one.because);
        const done = value.length - refused.length;
        const rest = refused[0]?.because ? ` For ${refused.length} it was refused: ${sentence(refused[0].because)}` : '';
        toasts.done(`${title} is under way, or waits for a second person, for ${done} account${done === 1 ? '' : 's'}.${rest}`);
      }}
    >
      {type?.dangerous && <Notice intent="warning">Whoever works as {user.name} is interrupted.</Notice>}
      {type?.explains && <p className={styles.text}>{type.explains}</p>}
      <Field label="Accounts" hint="Those that the directory, or the agent of a device, can do it to">
        <Group label="Accounts" className={styles.devices}>
          {directory && (
            <Checkbox
              label={`${user.name} in ${directory.name}`}
              checked={inDirectory}
              onChange={(_, data) => setInDirectory(data.checked === true)}
            />
          )}
          {able.map((one) => (
            <Checkbox
              key={one.deviceId}
              label={`${one.login} on ${one.deviceName}${one.online ? '' : ' (offline)'}`}
              checked={chosen.includes(one.deviceId)}
              onChange={(_, data) =>
                setChosen(data.checked ? [...chosen, one.deviceId] : chosen.filter((id) => id !== one.deviceId))
              }
            />
          ))}
        </Group>
      </Field>
      {offline.length > 0 && (
        <Notice>
          {offline.map((one) => one.deviceName).join(', ')} {offline.length === 1 ? 'is' : 'are'} offline. It is done when the agent is there
          again, or fails when its time runs out.
        </Notice>
      )}
      <DescribedFields fields={fields} values={values} onValues={setTyped} />
      <Field label="Comment" required hint="Why; it stays on record">
        <Textarea value={comment} maxLength={1000} onChange={(_, data) => setComment(data.value)} />
      </Field>
    </Ask>
  );
}
