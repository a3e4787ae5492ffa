import {
  AppGenericRegular,
  BoxRegular,
  CircleRegular,
  CloudRegular,
  CodeRegular,
  DesktopRegular,
  DocumentRegular,
  GlobeRegular,
  KeyRegular,
  LinkRegular,
  MailRegular,
  PersonRegular,
  PlugConnectedRegular,
  SettingsRegular,
} from '@fluentui/react-icons';
import type { ReactElement } from 'react';

const ICONS: Record<string, ReactElement> = {
  device: <DesktopRegular />,
  'device name': <DesktopRegular />,
  account: <PersonRegular />,
  'account name': <PersonRegular />,
  user: <PersonRegular />,
  message: <MailRegular />,
  mailbox: <MailRegular />,
  'IP address': <PlugConnectedRegular />,
  URL: <LinkRegular />,
  domain: <GlobeRegular />,
  file: <DocumentRegular />,
  process: <SettingsRegular />,
  'cloud resource': <CloudRegular />,
  application: <AppGenericRegular />,
  container: <BoxRegular />,
  'sign-in session': <KeyRegular />,
  repository: <CodeRegular />,
};

export const kindIcon = (kind: string): ReactElement => ICONS[kind] ?? <CircleRegular />;
