import { makeStyles, mergeClasses, tokens } from '@fluentui/react-components';
import { useId, type ReactNode } from 'react';

const useStyles = makeStyles({
  card: {
    display: 'flex',
    flexDirection: 'column',
    gap: '12px',
    padding: '16px',
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusLarge,
    backgroundColor: tokens.colorNeutralBackground1,
    minWidth: 0,
  },
  plain: { display: 'flex', flexDirection: 'column', gap: '8px', minWidth: 0 },
  head: { display: 'flex', flexWrap: 'wrap', justifyContent: 'space-between', alignItems: 'center', gap: '8px' },
  title: { margin: 0, fontSize: tokens.fontSizeBase400, fontWeight: tokens.fontWeightSemibold },
  small: { fontSize: tokens.fontSizeBase300 },
});

/** A part of a page under its own heading, on a card unless it stands inside one. */
export function Section({
  title,
  actions,
  plain,
  className,
  children,
}: {
  title: string;
  actions?: ReactNode;
  plain?: boolean;
  className?: string;
  children: ReactNode;
}) {
  const styles = useStyles();
  const id = useId();
  return (
    <section aria-labelledby={id} className={mergeClasses(plain ? styles.plain : styles.card, className)}>
      <div className={styles.head}>
        <h2 id={id} className={mergeClasses(styles.title, plain && styles.small)}>
          {title}
        </h2>
        {actions}
      </div>
      {children}
    </section>
  );
}
