import { Field, SpinButton, makeStyles } from '@fluentui/react-components';
import { AddRegular } from '@fluentui/react-icons';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';

import { api, read } from '../api/client';
import type { AgentToken } from '../api/hand';
import { Ask } from '../ui/Ask';
import { CopyText } from '../ui/Copy';
import { Facts } from '../ui/Facts';
import { Go } from '../ui/Go';
import { GuardedButton } from '../ui/Guarded';
import { Moment } from '../ui/Moment';
import { Page } from '../ui/Page';
import { Table, type Column } from '../ui/Table';
import { useToasts } from '../ui/Toasts';
import { Empty, Failure, Notice, Waiting } from '../ui/states';

const useStyles = makeStyles({ text: { margin: 0 } });

const KEY = ['agent-tokens'];
/** Who could not change them was not given the list. */
const MAY = { allowed: true };

/** Tokens that agents enrol with. */
export default function Agents() {
  const styles = useStyles();
  const queries = useQueryClient();
  const toasts = useToasts();
  const tokens = useQuery({ queryKey: KEY, queryFn: () => read(api.GET('/api/v1/agent-tokens')) });
  const [adding, setAdding] = useState(false);
  const [made, setMade] = useState<{ token: string; expiresDateTime: string; command: string } | null>(null);
  const [revoking, setRevoking] = useState<AgentToken | null>(null);
  const again = () => queries.invalidateQueries({ queryKey: KEY });
  const columns: Column<AgentToken>[] = [
    {
      id: 'created',
      label: 'Token',
      lead: true,
      cell: (token) => (
        <>
          Made <Moment at={token.createdDateTime} /> by {token.createdBy}
        </>
      ),
    },
    { id: 'expires', label: 'Valid until', nowrap: true, named: true, cell: (token) => <Moment at={token.expiresDateTime} /> },
    { id: 'uses', label: 'Agents enrolled', nowrap: true, end: true, cell: (token) => token.uses.toLocaleString() },
    {
      id: 'acts',
      label: 'Actions',
      nowrap: true,
      cell: (token) => (
        <GuardedButton size="small" appearance="subtle" may={MAY} onClick={() => setRevoking(token)}>
          Revoke
        </GuardedButton>
      ),
    },
  ];
  return (
    <Page
      title="Agents"
      lead="An agent on a device carries out actions and tells what it sees. It enrols with a token."
      actions={
        tokens.isSuccess && (
          <GuardedButton appearance="primary" icon={<AddRegular />} may={MAY} onClick={() => setAdding(true)}>
            Make a token
          </GuardedButton>
        )
      }
    >
      {tokens.isPending ? (
        <Waiting rows={4} />
      ) : tokens.isError ? (
        <Failure error={tokens.error} retry={() => void tokens.refetch()} />
      ) : tokens.data.value.length === 0 ? (
        <Empty title="No tokens are valid now">Make one, and run the command that comes with it on each device.</Empty>
      ) : (
        <Table
          label="Tokens"
          columns={columns}
          rows={tokens.data.value}
          id={(token) => token.id}
          name={(token) => `token of ${token.createdBy}`}
        />
      )}
      <span>
        Agents that have enrolled are under <Go inline to="/devices">Devices</Go>; an agent is shut out on its device’s page.
      </span>
      {adding && (
        <Make
          onClose={() => setAdding(false)}
          onMade={(given) => {
            setAdding(false);
            setMade(given);
            void again();
          }}
        />
      )}
      {made && (
        <Ask open title="Enrol agents with this token" act="Done" shows onClose={() => setMade(null)} onAct={async () => undefined}>
          <Notice intent="warning">
            The token is shown this once and never again. Until <Moment at={made.expiresDateTime} /> whoever has it can add
            devices to your organisation.
          </Notice>
          <p className={styles.text}>Run this as root on each device:</p>
          <CopyText text={made.command} label="Copy the command" />
          <Facts facts={[['Token', <CopyText key="t" text={made.token} label="Copy the token" />]]} />
        </Ask>
      )}
      {revoking && (
        <Ask
          open
          title="Revoke this token"
          act="Revoke"
          onClose={() => setRevoking(null)}
          onAct={async () => {
            await read(api.DELETE('/api/v1/agent-tokens/{id}', { params: { path: { id: revoking.id } } }));
            await again();
            toasts.done('The token enrols no agent any more.');
          }}
        >
          <span>No further agent enrols with it. Agents that already have stay.</span>
        </Ask>
      )}
    </Page>
  );
}

function Make({
  onClose,
  onMade,
}: {
  onClose: () => void;
  onMade: (made: { token: string; expiresDateTime: string; command: string }) => void;
}) {
  const [hours, setHours] = useState(24);
  return (
    <Ask
      open
      title="Make a token"
      act="Make a token"
      onClose={onClose}
      onAct={async () => {
        onMade(await read(api.POST('/api/v1/agent-tokens', { body: { hours } })));
        return 'stay';
      }}
    >
      <Field label="For how many hours" hint="It ends by itself; any number of agents can enrol until then">
        <SpinButton
          value={hours}
          min={1}
          max={720}
          onChange={(_, data) => {
            const wanted = data.value ?? Number(data.displayValue);
            if (Number.isFinite(wanted)) setHours(Math.max(1, Math.min(720, Math.round(Number(wanted)))));
          }}
        />
      </Field>
    </Ask>
  );
}
