import {
  Button,
  MessageBar,
  MessageBarActions,
  MessageBarBody,
  MessageBarTitle,
  Skeleton,
  SkeletonItem,
  Spinner,
  makeStyles,
  tokens,
} from '@fluentui/react-components';
import { useEffect, useState, type ReactNode } from 'react';

import { NOT_OF_THE_ROLE, Refusal, messageOf } from '../api/error';

const useStyles = makeStyles({
  empty: {
    display: 'flex',
    flexDirection: 'column',
    alignItems: 'center',
    textAlign: 'center',
    gap: '8px',
    padding: '48px 16px',
    color: tokens.colorNeutralForeground2,
  },
  title: {
    margin: 0,
    fontSize: tokens.fontSizeBase400,
    fontWeight: tokens.fontWeightSemibold,
    color: tokens.colorNeutralForeground1,
  },
  text: { margin: 0, maxWidth: '52ch' },
  rows: { display: 'flex', flexDirection: 'column', gap: '14px', padding: '12px 0' },
  bar: { flexShrink: 0 },
  id: { color: tokens.colorNeutralForeground3, fontFamily: tokens.fontFamilyMonospace, fontSize: '12px' },
  wait: { display: 'flex', justifyContent: 'center', padding: '48px 0' },
});

/** Nothing to show, what that means and what to do about it. */
export function Empty({ title, children, action }: { title: string; children?: ReactNode; action?: ReactNode }) {
  const styles = useStyles();
  return (
    <div className={styles.empty}>
      <h2 className={styles.title}>{title}</h2>
      {children && <p className={styles.text}>{children}</p>}
      {action}
    </div>
  );
}

/** What went wrong, in the one place where it is shown. */
export function Failure({ error, retry, title }: { error: unknown; retry?: () => void; title?: string }) {
  const styles = useStyles();
  if (!error) return null;
  if (error instanceof Refusal && error.code === NOT_OF_THE_ROLE) {
    // Nothing went wrong, and trying again changes nothing.
    return (
      <Notice intent="warning" title={messageOf(error)}>
        Ask an administrator of your organisation if you need it.
      </Notice>
    );
  }
  const id = error instanceof Refusal ? error.requestId : null;
  return (
    <MessageBar intent="error" layout="multiline" className={styles.bar} role="alert">
      <MessageBarBody>
        {title && <MessageBarTitle>{title}</MessageBarTitle>}
        {messageOf(error)} {id && error instanceof Refusal && error.status >= 500 && <span className={styles.id}>Request {id}</span>}
      </MessageBarBody>
      {retry && (
        <MessageBarActions>
          <Button size="small" onClick={retry}>
            Try again
          </Button>
        </MessageBarActions>
      )}
    </MessageBar>
  );
}

/** A hint in the page itself. */
export function Notice({
  intent = 'info',
  title,
  children,
  action,
}: {
  intent?: 'info' | 'warning' | 'success' | 'error';
  title?: string;
  children?: ReactNode;
  action?: ReactNode;
}) {
  const styles = useStyles();
  return (
    <MessageBar intent={intent} layout="multiline" className={styles.bar}>
      <MessageBarBody>
        {title && <MessageBarTitle>{title}</MessageBarTitle>}
        {children}
      </MessageBarBody>
      {action && <MessageBarActions>{action}</MessageBarActions>}
    </MessageBar>
  );
}

/** Grey lines where rows will be. */
export function Waiting({ rows = 6, label = 'Loading' }: { rows?: number; label?: string }) {
  const styles = useStyles();
  return (
    <Skeleton aria-label={label} className={styles.rows}>
      {Array.from({ length: rows }, (_, row) => (
        <SkeletonItem key={row} size={20} />
      ))}
    </Skeleton>
  );
}

/** A whole page on its way; nothing at first, because most come at once. */
export function PageWaiting() {
  const styles = useStyles();
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), 250);
    return () => clearTimeout(timer);
  }, []);
  return <div className={styles.wait}>{late && <Spinner label="Loading" />}</div>;
}
