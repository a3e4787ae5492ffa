import { Field, Input, Switch, makeStyles } from '@fluentui/react-components';
import { useQueryClient } from '@tanstack/react-query';
import { useId, useState } from 'react';

import { api, read } from '../api/client';
import type { NotificationSettings } from '../api/hand';
import { GuardedButton } from '../ui/Guarded';
import { Section } from '../ui/Section';
import { useToasts } from '../ui/Toasts';
import { Failure } from '../ui/states';
import { SETTINGS } from './data';

const useStyles = makeStyles({
  form: { display: 'flex', flexDirection: 'column', alignItems: 'flex-start', gap: '12px', maxWidth: '640px' },
  hours: { maxWidth: '100%', '& .fui-Input': { width: '120px' } },
});

const USUAL = 4;
const MOST = 168;

/** NOT-6: how often people are told again of what waits for them. */
export function Reminders({ settings }: { settings: NotificationSettings }) {
  const styles = useStyles();
  const form = useId();
  const queries = useQueryClient();
  const toasts = useToasts();
  const [wanted, setWanted] = useState<{ on: boolean; hours: string } | null>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const { on, hours } = wanted ?? { on: settings.reminderHours > 0, hours: String(settings.reminderHours || USUAL) };
  const sound = /^\d{1,3}$/.test(hours.trim()) && Number(hours) >= 1 && Number(hours) <= MOST;
  const chosen = on ? Number(hours) : 0;
  const may = settings.may.change;
  const because = !on || sound ? (chosen === settings.reminderHours ? 'Nothing has changed.' : null) : 'Choose a whole number of hours first.';
  const save = async () => {
    setBusy(true);
    setError(null);
    try {
      queries.setQueryData(SETTINGS, await read(api.PUT('/api/v1/notifications/settings', { body: { reminderHours: chosen } })));
      setWanted(null);
      toasts.done(chosen === 0 ? 'There are no reminders.' : `Reminders come every ${chosen === 1 ? 'hour' : `${chosen} hours`}.`);
    } catch (refused) {
      setError(refused);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Section title="Reminders">
      <span>
        While an incident waits for an action of yours, the contacts for incident notification are told again of what is left to do,
        until it is done or skipped.
      </span>
      <form
        id={form}
        className={styles.form}
        onSubmit={(event) => {
          event.preventDefault();
          if (may.allowed && !because && !busy) void save();
        }}
      >
        <Switch label="Remind us" checked={on} disabled={!may.allowed} onChange={(_, data) => setWanted({ on: data.checked, hours })} />
        {on && (
          <Field
            className={styles.hours}
            label="Hours between two reminders"
            hint={`1 to ${MOST}`}
            {...(sound ? {} : { validationState: 'error' as const, validationMessage: `A whole number from 1 to ${MOST}.` })}
          >
            <Input type="number" inputMode="numeric" min={1} max={MOST} step={1} disabled={!may.allowed} value={hours} onChange={(_, data) => setWanted({ on, hours: data.value })} />
          </Field>
        )}
        <Failure error={error} />
        <GuardedButton appearance="primary" type="submit" may={may.allowed && because ? { allowed: false, because } : may} busy={busy}>
          {busy ? 'Saving…' : 'Save'}
        </GuardedButton>
      </form>
    </Section>
  );
}
