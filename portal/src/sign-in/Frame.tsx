import { makeStyles, tokens } from '@fluentui/react-components';
import type { ReactNode } from 'react';

import { useHeading } from '../ui/Page';

const useStyles = makeStyles({
  page: {
    minHeight: '100vh',
    boxSizing: 'border-box',
    display: 'flex',
    flexDirection: 'column',
    alignItems: 'center',
    gap: '20px',
    padding: 'clamp(16px, 9vh, 96px) 16px 32px',
    backgroundColor: tokens.colorNeutralBackground2,
  },
  brand: {
    display: 'flex',
    alignItems: 'center',
    gap: '10px',
    fontSize: tokens.fontSizeBase500,
    fontWeight: tokens.fontWeightSemibold,
  },
  card: {
    display: 'flex',
    flexDirection: 'column',
    gap: '16px',
    width: '100%',
    maxWidth: '440px',
    boxSizing: 'border-box',
    padding: '28px',
    backgroundColor: tokens.colorNeutralBackground1,
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusXLarge,
    boxShadow: tokens.shadow4,
    '@media (max-width: 480px)': { padding: '20px 16px' },
  },
  title: { margin: 0, fontSize: tokens.fontSizeBase600, lineHeight: tokens.lineHeightBase600, outlineStyle: 'none' },
  lead: { margin: '-8px 0 0', color: tokens.colorNeutralForeground2, overflowWrap: 'anywhere' },
});

/** The card on which people without a session prove who they are. */
export function Frame({ title, lead, children }: { title: string; lead?: ReactNode; children: ReactNode }) {
  const styles = useStyles();
  const heading = useHeading(title);
  return (
    <main className={styles.page}>
      <div className={styles.brand}>
        <img src="/icon.svg" width={32} height={32} alt="" />
        Riposte
      </div>
      <div className={styles.card}>
        <h1 ref={heading} tabIndex={-1} className={styles.title}>
          {title}
        </h1>
        {lead && <p className={styles.lead}>{lead}</p>}
        {children}
      </div>
    </main>
  );
}
