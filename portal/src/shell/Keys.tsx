import {
  Button,
  Dialog,
  DialogActions,
  DialogBody,
  DialogContent,
  DialogSurface,
  DialogTitle,
  makeStyles,
  tokens,
} from '@fluentui/react-components';

import { useReturn } from '../ui/useReturn';

const KEYS: [keys: string[], does: string][] = [
  [['/'], 'Search'],
  [['?'], 'Show these keys'],
  [['↑', '↓'], 'Move between rows'],
  [['Home', 'End'], 'First or last row shown'],
  [['Enter'], 'Open the row in a pane'],
  [['Space'], 'Tick the row for bulk changes'],
  [['Shift', 'Space'], 'Tick all rows up to this one'],
  [['Alt', '↑'], 'Previous item in the pane'],
  [['Alt', '↓'], 'Next item in the pane'],
  [['Esc'], 'Close the pane or dialog'],
];

const useStyles = makeStyles({
  list: { display: 'grid', gridTemplateColumns: 'max-content 1fr', gap: '10px 20px', margin: 0, alignItems: 'center' },
  does: { margin: 0 },
  key: {
    border: `1px solid ${tokens.colorNeutralStroke1}`,
    borderRadius: tokens.borderRadiusMedium,
    padding: '1px 7px',
    marginInlineEnd: '4px',
    fontFamily: tokens.fontFamilyBase,
    backgroundColor: tokens.colorNeutralBackground2,
  },
});

export default function Keys({ onClose }: { onClose: () => void }) {
  const styles = useStyles();
  useReturn(true);
  return (
    <Dialog open onOpenChange={(_, data) => !data.open && onClose()}>
      <DialogSurface>
        <DialogBody>
          <DialogTitle>Keyboard</DialogTitle>
          <DialogContent>
            <dl className={styles.list}>
              {KEYS.map(([keys, does]) => (
                <Line key={does} keys={keys} does={does} />
              ))}
            </dl>
          </DialogContent>
          <DialogActions>
            <Button appearance="primary" onClick={onClose}>
              Close
            </Button>
          </DialogActions>
        </DialogBody>
      </DialogSurface>
    </Dialog>
  );
}

function Line({ keys, does }: { keys: string[]; does: string }) {
  const styles = useStyles();
  return (
    <>
      <dt>
        {keys.map((key) => (
          <kbd key={key} className={styles.key}>
            {key}
          </kbd>
        ))}
      </dt>
      <dd className={styles.does}>{does}</dd>
    </>
  );
}
