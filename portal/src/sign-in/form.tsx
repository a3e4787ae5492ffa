import { Button, Divider, Field, Input, makeStyles } from '@fluentui/react-components';
import { useState, type FormEvent, type ReactNode } from 'react';

import { Failure } from '../ui/states';

export const useFormStyles = makeStyles({
  form: { display: 'flex', flexDirection: 'column', gap: '14px' },
  stretch: { width: '100%' },
});

/** A form that is busy while its act runs and shows why it was refused. */
export function Form({
  act,
  onAct,
  ready = true,
  children,
}: {
  act: string;
  onAct: () => Promise<unknown>;
  ready?: boolean;
  children: ReactNode;
}) {
  const styles = useFormStyles();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (busy || !ready) return;
    setBusy(true);
    setError(null);
    try {
      await onAct();
    } catch (refused) {
      setError(refused);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form className={styles.form} onSubmit={submit}>
      {children}
      <Failure error={error} />
      <Button appearance="primary" type="submit" disabledFocusable={busy || !ready} className={styles.stretch}>
        {busy ? 'Checking…' : act}
      </Button>
    </form>
  );
}

/** Six digits of an app, or a recovery code. */
export function CodeField({
  value,
  onChange,
  recovery,
}: {
  value: string;
  onChange: (code: string) => void;
  recovery?: boolean;
}) {
  return (
    <Field
      label={recovery ? 'Code or recovery code' : 'Code'}
      hint={
        recovery
          ? 'Six digits from your authenticator app, or one of your recovery codes'
          : 'Six digits from your authenticator app'
      }
    >
      <Input
        value={value}
        onChange={(_, data) => onChange(data.value)}
        autoComplete="one-time-code"
        inputMode={recovery ? 'text' : 'numeric'}
        maxLength={40}
        // The field is all there is to do in this step.
        ref={focusOnce}
      />
    </Field>
  );
}

/** Puts the focus where the step begins. */
export function focusOnce(input: HTMLInputElement | null): void {
  input?.focus();
}

export function Or() {
  return <Divider>or</Divider>;
}
