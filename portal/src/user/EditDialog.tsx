import { Checkbox, Field, Textarea } from '@fluentui/react-components';
import { useState } from 'react';

import { api, read } from '../api/client';
import type { User } from '../api/hand';
import { Ask } from '../ui/Ask';
import { useToasts } from '../ui/Toasts';
import { Notice } from '../ui/states';
import { useForgetUsers } from './data';

/** EXC-3: the customer says that a user is of high value, and why. */
export function EditDialog({ user, onClose }: { user: User; onClose: () => void }) {
  const toasts = useToasts();
  const forget = useForgetUsers();
  const [marked, setMarked] = useState(user.mark !== null);
  const [because, setBecause] = useState(user.mark?.because ?? '');
  const save = async (why: string | null) => {
    const body = why === null ? { highValue: false } : { highValue: true, because: why };
    await read(api.PATCH('/api/v1/users/{tenant}/{name}', { params: { path: { tenant: user.tenantId, name: user.name } }, body }));
    forget();
  };
  return (
    <Ask
      open
      title={`Edit ${user.name}`}
      act="Save"
      ready={!marked || because.trim() !== ''}
      onClose={onClose}
      onAct={async () => {
        const was = user.mark?.because ?? null;
        await save(marked ? because.trim() : null);
        toasts.done(`${user.name} is changed.`, () => {
          save(was).then(() => toasts.done(`${user.name} is as it was.`), toasts.fail);
        });
      }}
    >
      {user.directoryRole && <Notice>This user holds a role in the directory and is of high value without a mark as well.</Notice>}
      <Checkbox label="High value" checked={marked} onChange={(_, data) => setMarked(data.checked === true)} />
      {marked && (
        <Field label="Reason" required hint="Why; it stays on record">
          <Textarea value={because} maxLength={1000} onChange={(_, data) => setBecause(data.value)} />
        </Field>
      )}
    </Ask>
  );
}
