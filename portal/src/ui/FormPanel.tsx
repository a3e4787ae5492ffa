import { Button, makeStyles } from '@fluentui/react-components';
import { useId, useState, type ReactNode } from 'react';

import { messageOf, sentence } from '../api/error';
import { Panel } from './Panel';
import { Failure } from './states';

const useStyles = makeStyles({ form: { display: 'flex', flexDirection: 'column', gap: '14px' } });

type Said = { validationMessage?: string; validationState?: 'error' };

type Props<Name extends string> = {
  title: string;
  wide?: boolean;
  /** What the button says, and while it works. */
  act: string;
  acting?: string;
  /** How the server's refusals begin, for each field; the first that fits counts. */
  about: readonly (readonly [Name, RegExp])[];
  onClose: () => void;
  onAct: () => Promise<void>;
  /** The fields. `at` says at a field what was wrong with it. */
  children: (at: (name: Name) => Said) => ReactNode;
};

/** A form in a pane: sent once at a time, and what the server refuses stands at its field. */
export function FormPanel<Name extends string>({ title, wide, act, acting = 'Working…', ...props }: Props<Name>) {
  const styles = useStyles();
  const form = useId();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const said = error ? messageOf(error) : '';
  // A message that stands alone begins with a capital letter.
  const text = said.charAt(0).toLowerCase() + said.slice(1);
  const wrong = error ? (props.about.find(([, says]) => says.test(text))?.[0] ?? null) : null;
  const at = (name: Name): Said => (wrong === name ? { validationMessage: sentence(said), validationState: 'error' } : {});
  const run = async () => {
    setBusy(true);
    setError(null);
    try {
      await props.onAct();
      props.onClose();
    } catch (refused) {
      setError(refused);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Panel
      title={title}
      wide={wide}
      open
      onClose={props.onClose}
      footer={
        <>
          <Button appearance="primary" type="submit" form={form} disabledFocusable={busy}>
            {busy ? acting : act}
          </Button>
          <Button onClick={props.onClose}>Cancel</Button>
        </>
      }
    >
      <form
        id={form}
        className={styles.form}
        onSubmit={(event) => {
          event.preventDefault();
          if (!busy) void run();
        }}
      >
        {props.children(at)}
        {wrong === null && <Failure error={error} />}
      </form>
    </Panel>
  );
}
