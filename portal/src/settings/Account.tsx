import { Badge, Field, Input, makeStyles, tokens } from '@fluentui/react-components';
import { AddRegular } from '@fluentui/react-icons';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';

import { api, read } from '../api/client';
import { Refusal } from '../api/error';
import type { Passkey, SessionRow } from '../api/hand';
import { create, explain, supported } from '../api/passkey';
import { useSession } from '../api/session';
import { Ask } from '../ui/Ask';
import { Facts } from '../ui/Facts';
import { GuardedButton } from '../ui/Guarded';
import { Moment } from '../ui/Moment';
import { Page } from '../ui/Page';
import { Section } from '../ui/Section';
import { Table, type Column } from '../ui/Table';
import { useToasts } from '../ui/Toasts';
import { Empty, Failure, Waiting } from '../ui/states';
import { zone } from '../ui/time';
import { browserOf } from './browser';

const useStyles = makeStyles({ muted: { color: tokens.colorNeutralForeground2, overflowWrap: 'anywhere' } });

const HOW: Record<string, string> = {
  passkey: 'Passkey',
  totp: 'Password and authenticator app',
  oidc: 'Your organisation’s sign-in',
  demo: 'Demonstration',
};
const FREE = { allowed: true, because: null };

/** The person's own sessions and passkeys. */
export default function Account() {
  const styles = useStyles();
  const session = useSession();
  const queries = useQueryClient();
  const toasts = useToasts();
  const [adding, setAdding] = useState(false);
  const [name, setName] = useState('');
  const [removing, setRemoving] = useState<Passkey | null>(null);
  const sessions = useQuery({ queryKey: ['sessions'], queryFn: () => read(api.GET('/api/v1/session/list')) });
  const passkeys = useQuery({ queryKey: ['passkeys'], queryFn: () => read(api.GET('/api/v1/session/passkey')) });
  const again = (key: string) => queries.invalidateQueries({ queryKey: [key] });

  const sessionColumns: Column<SessionRow>[] = [
    {
      id: 'where',
      label: 'Browser',
      lead: true,
      cell: (row) => (
        <>
          <span title={row.userAgent ?? undefined}>{browserOf(row.userAgent)}</span> {row.current && <Badge appearance="tint">This one</Badge>}
        </>
      ),
    },
    { id: 'address', label: 'Address', nowrap: true, cell: (row) => row.address ?? '–' },
    { id: 'how', label: 'Signed in with', minor: true, cell: (row) => HOW[row.authenticatedBy] ?? row.authenticatedBy },
    { id: 'since', label: 'Signed in', nowrap: true, cell: (row) => <Moment at={row.signedInDateTime} /> },
    { id: 'seen', label: 'Last seen', nowrap: true, cell: (row) => <Moment at={row.lastSeenDateTime} as="distance" /> },
    { id: 'end', label: 'Ends', nowrap: true, minor: true, cell: (row) => <Moment at={row.expiresDateTime} /> },
    {
      id: 'acts',
      label: 'Actions',
      nowrap: true,
      cell: (row) => (
        <GuardedButton
          size="small"
          may={row.current ? { allowed: false, because: 'Use Sign out in the menu for this one.' } : FREE}
          onClick={() =>
            read(api.DELETE('/api/v1/session/list/{id}', { params: { path: { id: row.id } } })).then(() => {
              void again('sessions');
              toasts.done('That session has ended.');
            }, toasts.fail)
          }
        >
          End
        </GuardedButton>
      ),
    },
  ];
  const passkeyColumns: Column<Passkey>[] = [
    { id: 'name', label: 'Passkey', lead: true, cell: (row) => row.name },
    { id: 'created', label: 'Added', nowrap: true, cell: (row) => <Moment at={row.createdDateTime} /> },
    { id: 'used', label: 'Last used', nowrap: true, cell: (row) => <Moment at={row.lastUsedDateTime} none="Never" /> },
    {
      id: 'acts',
      label: 'Actions',
      nowrap: true,
      cell: (row) => (
        <GuardedButton size="small" may={FREE} onClick={() => setRemoving(row)}>
          Remove
        </GuardedButton>
      ),
    },
  ];
  return (
    <Page title="Sessions and passkeys">
      <Section title="You">
        <Facts
          facts={[
            ['Name', session.person.name],
            ['E-mail', session.person.email],
            ['Organisation', session.organisation.name],
            ['Role', session.role],
            ['Signed in', <Moment key="s" at={session.signedInDateTime} />],
            ['Session ends', <Moment key="e" at={session.expiresDateTime} />],
            ['Recovery codes left', session.factors.totp && String(session.factors.recoveryCodes)],
            ['Times are shown in', zone()],
          ]}
        />
      </Section>
      <Section
        title="Passkeys"
        actions={
          <GuardedButton
            size="small"
            icon={<AddRegular />}
            may={supported() ? FREE : { allowed: false, because: 'This browser knows no passkeys.' }}
            onClick={() => {
              setName('');
              setAdding(true);
            }}
          >
            Add a passkey
          </GuardedButton>
        }
      >
        {passkeys.isPending ? (
          <Waiting rows={2} />
        ) : passkeys.isError ? (
          <Failure error={passkeys.error} retry={() => void passkeys.refetch()} />
        ) : passkeys.data.value.length === 0 ? (
          <Empty title="No passkeys">With one you sign in by fingerprint, face or PIN, and nobody can phish it.</Empty>
        ) : (
          <Table label="Passkeys" columns={passkeyColumns} rows={passkeys.data.value} id={(row) => row.id} name={(row) => row.name} />
        )}
      </Section>
      <Section title="Where you are signed in">
        {sessions.isPending ? (
          <Waiting rows={3} />
        ) : sessions.isError ? (
          <Failure error={sessions.error} retry={() => void sessions.refetch()} />
        ) : (
          <Table label="Sessions" columns={sessionColumns} rows={sessions.data.value} id={(row) => row.id} name={(row) => browserOf(row.userAgent)} />
        )}
        <span className={styles.muted}>End a session that you do not know, then change how you sign in.</span>
      </Section>
      <Ask
        open={adding}
        title="Add a passkey"
        act="Continue"
        ready={name.trim() !== ''}
        onClose={() => setAdding(false)}
        onAct={async () => {
          const begun = await read(api.POST('/api/v1/session/passkey/begin', { body: { name: name.trim() } }));
          const credential = await create(begun.publicKey).catch((error: unknown) => {
            throw error instanceof Refusal ? error : new Error(explain(error));
          });
          await read(api.POST('/api/v1/session/passkey/finish', { body: { flow: begun.flow, credential } }));
          await again('passkeys');
          toasts.done('The passkey is added.');
        }}
      >
        <Field label="Name" required hint="So that you know it again, such as the name of the device">
          <Input value={name} maxLength={80} onChange={(_, data) => setName(data.value)} />
        </Field>
      </Ask>
      {removing && (
        <Ask
          open
          title={`Remove the passkey ${removing.name}`}
          act="Remove"
          onClose={() => setRemoving(null)}
          onAct={async () => {
            await read(api.DELETE('/api/v1/session/passkey/{id}', { params: { path: { id: removing.id } } }));
            await again('passkeys');
            toasts.done('The passkey is removed.');
          }}
        >
          <span>It cannot be used to sign in any more. A removed passkey does not come back.</span>
        </Ask>
      )}
    </Page>
  );
}
