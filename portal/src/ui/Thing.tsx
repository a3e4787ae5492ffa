import { makeStyles, mergeClasses } from '@fluentui/react-components';
import {
  AppGenericRegular,
  CircleRegular,
  DesktopRegular,
  DocumentRegular,
  MailRegular,
  PersonRegular,
  SettingsRegular,
  ShieldProhibitedRegular,
  TextBulletListSquareRegular,
} from '@fluentui/react-icons';
import type { ReactElement } from 'react';

import { Go } from './Go';

const useStyles = makeStyles({
  line: { display: 'inline-flex', alignItems: 'flex-start', gap: '6px', minWidth: 0, '& > svg': { flexShrink: 0, marginTop: '0.17em' } },
  /** The icon stands with the first of the two lines. */
  briefLine: { '& > svg': { marginTop: 'calc(0.17em + 3px)' } },
  name: { overflowWrap: 'anywhere' },
  /** In a table: two lines, the whole name on hover. */
  brief: { display: '-webkit-box', WebkitBoxOrient: 'vertical', WebkitLineClamp: '2', overflow: 'hidden', textAlign: 'start', minWidth: '140px', paddingBlock: '3px', '@media (max-width: 640px)': { minWidth: 0 } },
});

const ICONS: Record<string, ReactElement> = {
  device: <DesktopRegular />,
  file: <DocumentRegular />,
  user: <PersonRegular />,
  mail: <MailRegular />,
  indicator: <ShieldProhibitedRegular />,
  app: <AppGenericRegular />,
  process: <SettingsRegular />,
  none: <TextBulletListSquareRegular />,
};

/** A thing by its icon and name; a link where it has a page. */
export function Thing({ kind, name, to, brief }: { kind: string; name: string; to?: string | undefined; brief?: boolean }) {
  const styles = useStyles();
  const cut = mergeClasses(styles.name, brief && styles.brief);
  return (
    <span className={mergeClasses(styles.line, brief && styles.briefLine)}>
      {ICONS[kind] ?? <CircleRegular />}
      {to ? (
        // The letters that are cut off are none of the link's either.
        <Go to={to} className={cut} title={brief ? name : undefined}>
          {name}
        </Go>
      ) : (
        <span className={cut} title={brief ? name : undefined}>
          {name}
        </span>
      )}
    </span>
  );
}
