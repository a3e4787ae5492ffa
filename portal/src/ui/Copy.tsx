import { Button, Tooltip, makeStyles, tokens } from '@fluentui/react-components';
import { CheckmarkRegular, CopyRegular } from '@fluentui/react-icons';
import { useState } from 'react';

const useStyles = makeStyles({
  line: { display: 'flex', alignItems: 'center', gap: '4px', minWidth: 0 },
  text: {
    fontFamily: tokens.fontFamilyMonospace,
    fontSize: tokens.fontSizeBase200,
    overflowWrap: 'anywhere',
    backgroundColor: tokens.colorNeutralBackground3,
    borderRadius: tokens.borderRadiusMedium,
    padding: '4px 8px',
    minWidth: 0,
  },
});

/** Puts a text on the clipboard and shows that it did. */
export function CopyButton({ text, label, children }: { text: string; label: string; children?: string }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setDone(true);
      setTimeout(() => setDone(false), 2_000);
    } catch {
      setDone(false);
    }
  };
  const icon = done ? <CheckmarkRegular /> : <CopyRegular />;
  if (children) {
    return (
      <Button icon={icon} onClick={copy} aria-live="polite">
        {done ? 'Copied' : children}
      </Button>
    );
  }
  return (
    <Tooltip content={done ? 'Copied' : label} relationship="label">
      <Button size="small" appearance="subtle" icon={icon} onClick={copy} />
    </Tooltip>
  );
}

/** A value to be taken elsewhere, such as an id or a secret. */
export function CopyText({ text, label }: { text: string; label: string }) {
  const styles = useStyles();
  return (
    <span className={styles.line}>
      <code className={styles.text}>{text}</code>
      <CopyButton text={text} label={label} />
    </span>
  );
}
