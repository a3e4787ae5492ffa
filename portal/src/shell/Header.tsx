import {
  Avatar,
  Button,
  Menu,
  MenuButton,
  MenuDivider,
  MenuGroup,
  MenuGroupHeader,
  MenuItem,
  MenuItemRadio,
  MenuList,
  MenuPopover,
  MenuTrigger,
  SearchBox,
  Tooltip,
  makeStyles,
  tokens,
} from '@fluentui/react-components';
import { KeyboardRegular, NavigationRegular, PersonRegular } from '@fluentui/react-icons';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { use, useState } from 'react';
import { Link, useNavigate } from 'react-router';

import { api, read } from '../api/client';
import { useSession } from '../api/session';
import { ThemeContext } from '../ui/ThemeContext';
import { useToasts } from '../ui/Toasts';
import type { Choice } from '../ui/theme';
import { useOrganisation } from './useOrganisation';

const useStyles = makeStyles({
  bar: {
    display: 'flex',
    alignItems: 'center',
    gap: '12px',
    height: '48px',
    padding: '0 12px',
    boxSizing: 'border-box',
    backgroundColor: tokens.colorNeutralBackground1,
    borderBottom: `1px solid ${tokens.colorNeutralStroke2}`,
  },
  menu: { display: 'none', '@media (max-width: 900px)': { display: 'inline-flex' } },
  brand: {
    display: 'flex',
    alignItems: 'center',
    gap: '8px',
    color: tokens.colorNeutralForeground1,
    textDecorationLine: 'none',
    fontWeight: tokens.fontWeightSemibold,
    fontSize: tokens.fontSizeBase400,
    borderRadius: tokens.borderRadiusMedium,
    ':focus-visible': { outline: `2px solid ${tokens.colorStrokeFocus2}`, outlineOffset: '2px' },
  },
  organisation: {
    color: tokens.colorNeutralForeground2,
    borderLeft: `1px solid ${tokens.colorNeutralStroke2}`,
    paddingLeft: '12px',
    overflow: 'hidden',
    textOverflow: 'ellipsis',
    whiteSpace: 'nowrap',
    minWidth: 0,
    flexShrink: 1,
    '@media (max-width: 640px)': { display: 'none' },
  },
  search: { flex: '1 1 auto', display: 'flex', justifyContent: 'center', minWidth: 0 },
  box: { width: '100%', maxWidth: '460px', minWidth: 0 },
  person: { gap: '8px', '@media (max-width: 900px)': { minWidth: '40px', padding: '4px' } },
  name: { '@media (max-width: 900px)': { display: 'none' } },
  keys: { '@media (max-width: 640px)': { display: 'none' } },
});

export function Header({ onMenu, onHelp }: { onMenu: () => void; onHelp: () => void }) {
  const styles = useStyles();
  const session = useSession();
  const navigate = useNavigate();
  const [words, setWords] = useState('');
  return (
    <header className={styles.bar}>
      <Button
        className={styles.menu}
        appearance="subtle"
        icon={<NavigationRegular />}
        aria-label="Navigation"
        onClick={onMenu}
      />
      <Link to="/" className={styles.brand}>
        <img src="/icon.svg" width={24} height={24} alt="" />
        Riposte
      </Link>
      <span className={styles.organisation} title={session.organisation.name}>
        {session.organisation.name}
      </span>
      <form
        role="search"
        className={styles.search}
        onSubmit={(event) => {
          event.preventDefault();
          if (words.trim()) navigate(`/incidents?period=all&status=all&severity=all&q=${encodeURIComponent(words.trim())}`);
        }}
      >
        <SearchBox
          className={styles.box}
          placeholder="Search incidents by name, id or asset"
          aria-label="Search all incidents"
          value={words}
          onChange={(_, data) => setWords(data.value)}
          data-search="all"
        />
      </form>
      <Tooltip content="Keyboard (?)" relationship="label">
        <Button className={styles.keys} appearance="subtle" icon={<KeyboardRegular />} onClick={onHelp} />
      </Tooltip>
      <PersonMenu />
    </header>
  );
}

function PersonMenu() {
  const styles = useStyles();
  const session = useSession();
  const name = session.person.name ?? session.person.email;
  const navigate = useNavigate();
  const theme = use(ThemeContext);
  const toasts = useToasts();
  const queries = useQueryClient();
  const leave = useMutation({
    mutationFn: () => read(api.DELETE('/api/v1/session')),
    onSuccess: () => {
      queries.clear();
      navigate('/sign-in', { replace: true });
    },
    onError: toasts.fail,
  });
  const change = useOrganisation();
  return (
    <Menu
      checkedValues={{ theme: [theme?.choice ?? 'system'], organisation: [session.organisation.id] }}
      onCheckedValueChange={(_, data) => {
        const value = data.checkedItems[0];
        if (data.name === 'theme' && value) theme?.choose(value as Choice);
        if (data.name === 'organisation' && value && value !== session.organisation.id) change.mutate({ id: value, to: '/' });
      }}
    >
      <MenuTrigger disableButtonEnhancement>
        <MenuButton
          className={styles.person}
          appearance="subtle"
          icon={<Avatar size={28} icon={<PersonRegular />} color="brand" aria-hidden />}
          aria-label={`${name}: account and settings`}
          menuIcon={null}
        >
          <span className={styles.name}>{name}</span>
        </MenuButton>
      </MenuTrigger>
      <MenuPopover>
        <MenuList>
          <MenuGroup>
            <MenuGroupHeader>
              {session.person.email} · {session.role}
            </MenuGroupHeader>
          </MenuGroup>
          {session.memberships.length > 1 && (
            <MenuGroup>
              <MenuGroupHeader>Organisation</MenuGroupHeader>
              {session.memberships.map((one) => (
                <MenuItemRadio key={one.organisationId} name="organisation" value={one.organisationId}>
                  {one.name} ({one.role})
                </MenuItemRadio>
              ))}
            </MenuGroup>
          )}
          <MenuGroup>
            <MenuGroupHeader>Theme</MenuGroupHeader>
            <MenuItemRadio name="theme" value="system">
              As the system
            </MenuItemRadio>
            <MenuItemRadio name="theme" value="light">
              Light
            </MenuItemRadio>
            <MenuItemRadio name="theme" value="dark">
              Dark
            </MenuItemRadio>
          </MenuGroup>
          <MenuDivider />
          <MenuItem onClick={() => navigate('/account')}>Sessions and passkeys</MenuItem>
          <MenuItem onClick={() => leave.mutate()}>Sign out</MenuItem>
        </MenuList>
      </MenuPopover>
    </Menu>
  );
}
