import { Checkbox, Field, Textarea, makeStyles, tokens } from '@fluentui/react-components';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { api, read } from '../api/client';
import { sentence } from '../api/error';
import type { Action } from '../api/hand';
import { headed } from '../api/words';
import { Ask } from '../ui/Ask';
import { Group } from '../ui/Group';
import { Moment } from '../ui/Moment';
import { useToasts } from '../ui/Toasts';
import { Failure, Notice, Waiting } from '../ui/states';
import { useForgetActions } from './data';

const useStyles = makeStyles({
  list: { display: 'flex', flexDirection: 'column', gap: '4px', maxHeight: '300px', overflowY: 'auto' },
  one: { display: 'flex', flexDirection: 'column' },
  muted: { color: tokens.colorNeutralForeground2, fontSize: tokens.fontSizeBase200, paddingInlineStart: '32px', overflowWrap: 'anywhere' },
  text: { margin: 0 },
});

/** MR-20: the same file taken away where else it was seen. */
export function InstancesDialog({ action, onClose }: { action: Action; onClose: () => void }) {
  const styles = useStyles();
  const toasts = useToasts();
  const forget = useForgetActions();
  const [left, setLeft] = useState<string[]>([]);
  const [comment, setComment] = useState('');
  const seen = useQuery({
    queryKey: ['instances', action.id],
    queryFn: ({ signal }) => read(api.GET('/api/v1/actions/{id}/instances', { params: { path: { id: action.id } }, signal })),
    // Where it was seen is asked each time.
    staleTime: 0,
    gcTime: 0,
  });
  const all = seen.data?.value ?? [];
  const able = all.flatMap((one) => (one.may.allowed && one.deviceId ? [one.deviceId] : []));
  const chosen = able.filter((id) => !left.includes(id));
  const count = chosen.length.toLocaleString();
  return (
    <Ask
      open
      title={`Apply to more instances: ${headed(seen.data?.sha256 ?? action.target.name)}`}
      act={chosen.length === 0 ? 'Apply' : `Apply to ${count} more instance${chosen.length === 1 ? '' : 's'}`}
      ready={chosen.length > 0 && comment.trim() !== ''}
      onClose={onClose}
      onAct={async () => {
        const { value } = await read(
          api.POST('/api/v1/actions/{id}/instances', {
            params: { path: { id: action.id } },
            body: { deviceIds: chosen, comment: comment.trim() },
          }),
        );
        forget();
        const refused = value.filter((one) => one.because);
        const rest = refused[0]?.because ? ` On ${refused.length} it was refused: ${sentence(refused[0].because)}` : '';
        toasts.done(`The file is being quarantined on ${(value.length - refused.length).toLocaleString()} more.${rest}`);
      }}
    >
      {seen.isPending ? (
        <Waiting rows={4} label="Looking where the file was seen" />
      ) : seen.isError ? (
        <Failure error={seen.error} retry={() => void seen.refetch()} />
      ) : (
        <>
          {seen.data.warnings.map((warning) => (
            <Notice key={warning} intent="warning">
              {sentence(warning)}
            </Notice>
          ))}
          {all.length === 0 ? (
            <p className={styles.text}>No alert of the last 30 days and no scan has seen this file on another device.</p>
          ) : (
            <Field label={`Seen on ${all.length.toLocaleString()} more device${all.length === 1 ? '' : 's'} in 30 days`}>
              <Group label="Devices" className={styles.list}>
                {all.map((one) => (
                  <span key={one.deviceId ?? one.name} className={styles.one}>
                    <Checkbox
                      label={`${one.name}${one.may.allowed && !one.online ? ' (offline)' : ''}`}
                      disabled={!one.may.allowed}
                      checked={one.deviceId !== null && chosen.includes(one.deviceId)}
                      onChange={(_, data) => {
                        const { deviceId } = one;
                        if (deviceId) setLeft(data.checked ? left.filter((id) => id !== deviceId) : [...left, deviceId]);
                      }}
                    />
                    <span className={styles.muted}>
                      {one.may.because ? sentence(one.may.because) : (one.path ?? 'Found by its hash')} · <Moment at={one.seenDateTime} /> by {one.seenBy}
                    </span>
                  </span>
                ))}
              </Group>
            </Field>
          )}
          {seen.data.cut && <Notice>Not everything was looked through: there may be more.</Notice>}
          {able.length > 0 && (
            <Field label="Comment" required hint="Why; it stays on record">
              <Textarea value={comment} maxLength={1000} onChange={(_, data) => setComment(data.value)} />
            </Field>
          )}
        </>
      )}
    </Ask>
  );
}
