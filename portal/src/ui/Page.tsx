import { makeStyles, mergeClasses, tokens } from '@fluentui/react-components';
import { useEffect, useRef, type ReactNode } from 'react';
import { useLocation } from 'react-router';

const useStyles = makeStyles({
  page: {
    display: 'flex',
    flexDirection: 'column',
    gap: '16px',
    padding: '20px 24px 32px',
    minWidth: 0,
    boxSizing: 'border-box',
    '@media (max-width: 640px)': { padding: '14px 12px 24px', gap: '12px' },
  },
  narrow: { maxWidth: '960px' },
  head: { display: 'flex', flexWrap: 'wrap', alignItems: 'flex-start', gap: '8px 16px', justifyContent: 'space-between' },
  title: {
    margin: 0,
    fontSize: tokens.fontSizeBase600,
    lineHeight: tokens.lineHeightBase600,
    fontWeight: tokens.fontWeightSemibold,
    overflowWrap: 'anywhere',
    outlineStyle: 'none',
    '@media (max-width: 640px)': { fontSize: tokens.fontSizeBase500, lineHeight: tokens.lineHeightBase500 },
  },
  lead: { margin: '2px 0 0', color: tokens.colorNeutralForeground2, maxWidth: '100ch' },
  what: { flex: '1 1 320px', minWidth: 0 },
  actions: { display: 'flex', flexWrap: 'wrap', gap: '8px' },
});

type Props = {
  title: string;
  lead?: ReactNode;
  actions?: ReactNode;
  above?: ReactNode;
  below?: ReactNode;
  narrow?: boolean;
  children?: ReactNode;
};

/** A page: its title in the tab, its heading with the focus after navigation. */
export function Page({ title, lead, actions, above, below, narrow, children }: Props) {
  const styles = useStyles();
  const heading = useHeading(title);
  return (
    <div className={mergeClasses(styles.page, narrow && styles.narrow)}>
      {above}
      <header className={styles.head}>
        <div className={styles.what}>
          <h1 ref={heading} tabIndex={-1} className={styles.title}>
            {title}
          </h1>
          {lead && <p className={styles.lead}>{lead}</p>}
          {below}
        </div>
        {actions && <div className={styles.actions}>{actions}</div>}
      </header>
      {children}
    </div>
  );
}

let shown: string | null = null;

/** Moves the focus to the heading when the path has changed, so that a reader hears where they are. */
export function useHeading(title: string) {
  const ref = useRef<HTMLHeadingElement>(null);
  const { pathname } = useLocation();
  useEffect(() => {
    document.title = `${title} · Riposte`;
  }, [title]);
  useEffect(() => {
    // Not when the site is opened: there the browser's own start of the page is right.
    if (shown !== null && shown !== pathname) {
      // A pane that the address has opened keeps the focus: without it readers would not hear it.
      if (!document.querySelector('[data-pane]')) ref.current?.focus({ preventScroll: true });
      window.scrollTo(0, 0);
    }
    shown = pathname;
  }, [pathname]);
  return ref;
}
