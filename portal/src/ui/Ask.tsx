import {
  Button,
  Dialog,
  DialogActions,
  DialogBody,
  DialogContent,
  DialogSurface,
  DialogTitle,
  makeStyles,
} from '@fluentui/react-components';
import { useState, type ReactNode } from 'react';

import { Failure } from './states';
import { useReturn } from './useReturn';

const useStyles = makeStyles({
  content: { display: 'flex', flexDirection: 'column', gap: '12px' },
});

type Props = {
  open: boolean;
  title: string;
  /** What the button says: the act itself, never "OK". */
  act: string;
  onClose: () => void;
  /** Throws what is then shown in the dialog; 'stay' leaves it open for a further step. */
  onAct: () => Promise<unknown>;
  ready?: boolean;
  /** The dialog only shows something: there is nothing to cancel. */
  shows?: boolean;
  children: ReactNode;
};

/** A dialog with a form and one act. It stays open, and says why, when the act is refused. */
export function Ask({ open, title, act, onClose, onAct, ready = true, shows, children }: Props) {
  const styles = useStyles();
  useReturn(open);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const close = () => {
    setError(null);
    onClose();
  };
  const run = async () => {
    if (busy || !ready) return;
    setBusy(true);
    setError(null);
    try {
      if ((await onAct()) !== 'stay') close();
    } catch (refused) {
      setError(refused);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog open={open} onOpenChange={(_, data) => !data.open && close()}>
      <DialogSurface>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void run();
          }}
        >
          <DialogBody>
            <DialogTitle>{title}</DialogTitle>
            <DialogContent className={styles.content}>
              {children}
              <Failure error={error} />
            </DialogContent>
            <DialogActions>
              {!shows && <Button onClick={close}>Cancel</Button>}
              <Button appearance="primary" type="submit" disabledFocusable={busy || !ready}>
                {busy ? 'Working…' : act}
              </Button>
            </DialogActions>
          </DialogBody>
        </form>
      </DialogSurface>
    </Dialog>
  );
}
