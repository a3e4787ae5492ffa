import {
  Badge,
  Button,
  Field,
  Input,
  Menu,
  MenuList,
  MenuPopover,
  MenuTrigger,
  makeStyles,
  tokens,
} from '@fluentui/react-components';
import { MoreHorizontalRegular, PersonAddRegular } from '@fluentui/react-icons';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';

import { api, read } from '../api/client';
import type { Person, SetupLink } from '../api/hand';
import { useSession } from '../api/session';
import { Ask } from '../ui/Ask';
import { Choices } from '../ui/Choices';
import { CopyText } from '../ui/Copy';
import { GuardedButton, GuardedMenuItem } from '../ui/Guarded';
import { Moment } from '../ui/Moment';
import { Page } from '../ui/Page';
import { Table, type Column } from '../ui/Table';
import { useToasts } from '../ui/Toasts';
import { Empty, Failure, Notice, Waiting } from '../ui/states';

const useStyles = makeStyles({
  who: { display: 'flex', flexDirection: 'column' },
  muted: { color: tokens.colorNeutralForeground2, overflowWrap: 'anywhere' },
  badges: { display: 'flex', flexWrap: 'wrap', gap: '4px' },
});

const STATE: Record<Person['state'], { label: string; color: 'success' | 'warning' | 'informative' }> = {
  active: { label: 'Active', color: 'success' },
  invited: { label: 'Invited', color: 'warning' },
  disabled: { label: 'Disabled', color: 'informative' },
};

const KEY = ['people'];

/** Who belongs to the organisation, with which role, and how they sign in. */
export default function People() {
  const styles = useStyles();
  const session = useSession();
  const queries = useQueryClient();
  const toasts = useToasts();
  const people = useQuery({ queryKey: KEY, queryFn: () => read(api.GET('/api/v1/people')) });
  const [inviting, setInviting] = useState(false);
  const [link, setLink] = useState<(SetupLink & { email: string }) | null>(null);
  const [changing, setChanging] = useState<Person | null>(null);
  const [removing, setRemoving] = useState<Person | null>(null);
  const again = () => queries.invalidateQueries({ queryKey: KEY });
  const patch = async (person: Person, body: { role?: string; disabled?: boolean }) => {
    await read(api.PATCH('/api/v1/people/{id}', { params: { path: { id: person.id } }, body }));
    await again();
  };
  const name = (person: Person) => person.name ?? person.email;
  const act = (what: Promise<unknown>, done: string, undo?: () => void) =>
    what.then(() => toasts.done(done, undo), toasts.fail);

  const columns: Column<Person>[] = [
    {
      id: 'name',
      label: 'Person',
      lead: true,
      cell: (person) => (
        <span className={styles.who}>
          <span>
            {name(person)}
            {person.id === session.person.id && ' (you)'}
          </span>
          {person.name && <span className={styles.muted}>{person.email}</span>}
        </span>
      ),
    },
    { id: 'role', label: 'Role', nowrap: true, cell: (person) => person.role },
    {
      id: 'state',
      label: 'State',
      nowrap: true,
      cell: (person) => (
        <Badge appearance="tint" shape="rounded" color={STATE[person.state].color}>
          {STATE[person.state].label}
        </Badge>
      ),
    },
    {
      id: 'factors',
      label: 'Signs in with',
      cell: (person) => (
        <span className={styles.badges}>
          {person.factors.passkeys > 0 && (
            <Badge appearance="outline">
              {person.factors.passkeys === 1 ? 'Passkey' : `${person.factors.passkeys} passkeys`}
            </Badge>
          )}
          {person.factors.password && <Badge appearance="outline">Password</Badge>}
          {person.factors.totp && <Badge appearance="outline">Authenticator app</Badge>}
          {!person.factors.passkeys && !person.factors.password && !person.factors.totp && <span className={styles.muted}>–</span>}
        </span>
      ),
    },
    {
      id: 'last',
      label: 'Last sign-in',
      nowrap: true,
      minor: true,
      cell: (person) => <Moment at={person.lastSignInDateTime} none="Never" />,
    },
    {
      id: 'acts',
      label: 'Actions',
      nowrap: true,
      cell: (person) => (
        <Menu>
          <MenuTrigger disableButtonEnhancement>
            <Button size="small" appearance="subtle" icon={<MoreHorizontalRegular />} aria-label={`Actions for ${name(person)}`} />
          </MenuTrigger>
          <MenuPopover>
            <MenuList>
              <GuardedMenuItem may={person.may.changeRole} onClick={() => setChanging(person)}>
                Change role
              </GuardedMenuItem>
              <GuardedMenuItem
                may={person.may.invite}
                onClick={() => {
                  read(api.POST('/api/v1/people/{id}/invite', { params: { path: { id: person.id } }, body: {} })).then(
                    (made) => setLink({ ...made, email: person.email }),
                    toasts.fail,
                  );
                }}
              >
                New sign-in link
              </GuardedMenuItem>
              <GuardedMenuItem
                may={person.may.signOut}
                onClick={() =>
                  void act(
                    read(api.POST('/api/v1/people/{id}/sign-out', { params: { path: { id: person.id } }, body: {} })),
                    `${name(person)} is signed out everywhere.`,
                  )
                }
              >
                Sign out everywhere
              </GuardedMenuItem>
              {person.state === 'disabled' ? (
                <GuardedMenuItem
                  may={person.may.enable}
                  onClick={() => void act(patch(person, { disabled: false }), `${name(person)} may sign in again.`)}
                >
                  Enable
                </GuardedMenuItem>
              ) : (
                <GuardedMenuItem
                  may={person.may.disable}
                  onClick={() =>
                    void act(patch(person, { disabled: true }), `${name(person)} is disabled.`, () =>
                      void act(patch(person, { disabled: false }), `${name(person)} may sign in again.`),
                    )
                  }
                >
                  Disable
                </GuardedMenuItem>
              )}
              <GuardedMenuItem may={person.may.remove} onClick={() => setRemoving(person)}>
                Remove
              </GuardedMenuItem>
            </MenuList>
          </MenuPopover>
        </Menu>
      ),
    },
  ];
  return (
    <Page
      title="People"
      lead={`Who belongs to ${session.organisation.name}.`}
      actions={
        <GuardedButton appearance="primary" icon={<PersonAddRegular />} may={people.data?.may.invite} onClick={() => setInviting(true)}>
          Invite
        </GuardedButton>
      }
    >
      {people.isPending ? (
        <Waiting rows={5} />
      ) : people.isError ? (
        <Failure error={people.error} retry={() => void people.refetch()} />
      ) : people.data.value.length === 0 ? (
        <Empty title="Nobody yet">Invite the first person.</Empty>
      ) : (
        <Table label="People" columns={columns} rows={people.data.value} id={(person) => person.id} name={name} />
      )}
      {inviting && people.data && (
        <Invite
          roles={people.data.roles}
          onClose={() => setInviting(false)}
          onLink={(made) => {
            setInviting(false);
            setLink(made);
            void again();
          }}
        />
      )}
      {changing && people.data && (
        <ChangeRole
          person={changing}
          roles={people.data.roles}
          onClose={() => setChanging(null)}
          onAct={async (role) => {
            const was = changing.role;
            await patch(changing, { role });
            toasts.done(`${name(changing)} is now ${role}.`, () =>
              void act(patch(changing, { role: was }), `${name(changing)} is ${was} again.`),
            );
          }}
        />
      )}
      {removing && (
        <Ask
          open
          title={`Remove ${name(removing)}`}
          act={`Remove ${name(removing)}`}
          onClose={() => setRemoving(null)}
          onAct={async () => {
            await read(api.DELETE('/api/v1/people/{id}', { params: { path: { id: removing.id } } }));
            await again();
            toasts.done(`${name(removing)} is removed.`);
          }}
        >
          <span>They lose access at once. What they did stays on record. To come back they need a new invitation.</span>
        </Ask>
      )}
      {link && (
        <Ask open title={`Sign-in link for ${link.email}`} act="Done" shows onClose={() => setLink(null)} onAct={async () => undefined}>
          <Notice intent="warning">
            The link is shown this once. Send it over a channel you trust; it works once, until{' '}
            <Moment at={link.expiresDateTime} />.
          </Notice>
          <CopyText text={link.setupUrl} label="Copy the link" />
        </Ask>
      )}
    </Page>
  );
}

function Invite({
  roles,
  onClose,
  onLink,
}: {
  roles: string[];
  onClose: () => void;
  onLink: (link: SetupLink & { email: string }) => void;
}) {
  const [email, setEmail] = useState('');
  const [role, setRole] = useState(roles[0] ?? '');
  return (
    <Ask
      open
      title="Invite a person"
      act="Create the link"
      ready={email.includes('@') && role !== ''}
      onClose={onClose}
      onAct={async () => {
        const made = await read(api.POST('/api/v1/people', { body: { email: email.trim(), role } }));
        onLink({ setupUrl: made.setupUrl, expiresDateTime: made.expiresDateTime, email: email.trim() });
        return 'stay';
      }}
    >
      <Field label="E-mail" required>
        <Input type="email" value={email} onChange={(_, data) => setEmail(data.value)} />
      </Field>
      <Field label="Role">
        <Choices choices={roles.map((value) => ({ value, label: value }))} value={role} onChoose={setRole} />
      </Field>
    </Ask>
  );
}

function ChangeRole({
  person,
  roles,
  onClose,
  onAct,
}: {
  person: Person;
  roles: string[];
  onClose: () => void;
  onAct: (role: string) => Promise<void>;
}) {
  const [role, setRole] = useState(person.role);
  return (
    <Ask
      open
      title={`Role of ${person.name ?? person.email}`}
      act="Change role"
      ready={role !== person.role}
      onClose={onClose}
      onAct={() => onAct(role)}
    >
      <Field label="Role">
        <Choices choices={roles.map((value) => ({ value, label: value }))} value={role} onChoose={setRole} />
      </Field>
    </Ask>
  );
}
