import { makeStyles } from '@fluentui/react-components';
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
  name: { overflowWrap: 'anywhere' },
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
export function Thing({ kind, name, to }: { kind: string; name: string; to?: string | undefined }) {
  const styles = useStyles();
  return (
    <span className={styles.line}>
      {ICONS[kind] ?? <CircleRegular />}
      <span className={styles.name}>{to ? <Go to={to}>{name}</Go> : name}</span>
    </span>
  );
}
