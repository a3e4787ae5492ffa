import {
  Button,
  Field,
  Input,
  Radio,
  RadioGroup,
  makeStyles,
  tokens,
  type InputProps,
} from '@fluentui/react-components';
import { AddRegular, DismissRegular } from '@fluentui/react-icons';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';

import { api, read } from '../api/client';
import type { IdentityProvider, May, NewIdentityProvider } from '../api/hand';
import { useSession } from '../api/session';
import { Ask } from '../ui/Ask';
import { Choices } from '../ui/Choices';
import { CopyText } from '../ui/Copy';
import { Facts } from '../ui/Facts';
import { FormPanel } from '../ui/FormPanel';
import { GuardedButton } from '../ui/Guarded';
import { Moment } from '../ui/Moment';
import { Page } from '../ui/Page';
import { Section } from '../ui/Section';
import { useToasts } from '../ui/Toasts';
import { Empty, Failure, Notice, Waiting } from '../ui/states';

const useStyles = makeStyles({
  hint: { color: tokens.colorNeutralForeground2 },
  option: { display: 'flex', flexDirection: 'column' },
  groups: { display: 'flex', flexDirection: 'column', gap: '8px', alignItems: 'stretch' },
  group: {
    display: 'grid',
    gridTemplateColumns: 'minmax(0, 1fr) minmax(0, 1fr) auto',
    gap: '8px',
    alignItems: 'center',
    '& > *': { minWidth: 0 },
  },
  add: { alignSelf: 'flex-start' },
  rows: { listStyleType: 'none', margin: 0, padding: 0, display: 'flex', flexDirection: 'column', gap: '2px' },
});

const KEY = ['identity-providers'];
const CALLBACK = `${window.location.origin}/sign-in/oidc/callback`;

const FACTOR: Record<IdentityProvider['factor'], { label: string; hint: string }> = {
  provider: {
    label: 'The provider’s own',
    hint: 'Who signs in there comes straight in. Choose this only if the provider asks everybody for a second factor.',
  },
  ours: {
    label: 'One of Riposte’s',
    hint: 'After signing in there, people also show a passkey or a code of an authenticator app here.',
  },
};

/** PER-6: by whose word people of the organisation sign in. */
export default function IdentityProviders() {
  const { organisation } = useSession();
  const [adding, setAdding] = useState(false);
  const providers = useQuery({
    queryKey: KEY,
    queryFn: () => read(api.GET('/api/v1/identity-providers')),
  });
  return (
    <Page
      narrow
      title="Sign-in"
      lead={`Let people of ${organisation.name} sign in with the account they have already, by OpenID Connect.`}
      actions={
        <GuardedButton
          appearance="primary"
          icon={<AddRegular />}
          may={providers.data?.may.add}
          onClick={() => setAdding(true)}
        >
          Add an identity provider
        </GuardedButton>
      }
    >
      {providers.isPending ? (
        <Waiting rows={5} />
      ) : providers.isError ? (
        <Failure error={providers.error} retry={() => void providers.refetch()} />
      ) : providers.data.value.length === 0 ? (
        <Empty title="No identity provider yet">
          People sign in with a passkey, or a password and an authenticator app. With an identity provider they use your
          organisation’s own sign-in, and its groups decide on their role.
        </Empty>
      ) : (
        providers.data.value.map((provider) => <Shown key={provider.id} provider={provider} may={providers.data.may.remove} />)
      )}
      {adding && <Add onClose={() => setAdding(false)} />}
    </Page>
  );
}

function Shown({ provider, may }: { provider: IdentityProvider; may: May }) {
  const styles = useStyles();
  const queries = useQueryClient();
  const toasts = useToasts();
  const [removing, setRemoving] = useState(false);
  const groups = Object.entries(provider.roles);
  return (
    <Section
      title={provider.name}
      actions={
        <GuardedButton size="small" may={may} onClick={() => setRemoving(true)} aria-label={`Remove ${provider.name}`}>
          Remove
        </GuardedButton>
      }
    >
      <Facts
        facts={[
          ['Mail domain', provider.domains.join(', ')],
          ['Issuer', provider.issuer],
          ['Client id', provider.clientId],
          ['Callback address', <CopyText key="callback" text={CALLBACK} label="Copy the callback address" />],
          ['Second factor', FACTOR[provider.factor].label],
          ['Groups claim', provider.groupsClaim],
          [
            'Roles',
            groups.length > 0 ? (
              <ul key="roles" className={styles.rows}>
                {groups.map(([group, role]) => (
                  <li key={group}>
                    {group} → {role}
                  </li>
                ))}
              </ul>
            ) : (
              'No group stands for a role, so only people who were invited come in'
            ),
          ],
          ['Since', <Moment key="since" at={provider.createdDateTime} />],
        ]}
      />
      <Ask
        open={removing}
        title={`Remove ${provider.name}`}
        act={`Remove ${provider.name}`}
        onClose={() => setRemoving(false)}
        onAct={async () => {
          await read(api.DELETE('/api/v1/identity-providers/{id}', { params: { path: { id: provider.id } } }));
          await queries.invalidateQueries({ queryKey: KEY });
          toasts.done(`${provider.name} is removed.`);
        }}
      >
        <span>
          Nobody signs in with it any more, and everybody who signed in with an identity provider of your organisation is
          signed out. Their accounts stay; without a password or passkey they need a new sign-in link.
        </span>
      </Ask>
    </Section>
  );
}

type Name = 'name' | 'issuer' | 'clientId' | 'clientSecret' | 'domain' | 'groupsClaim' | 'roles';

/** How the server's refusals begin or what they speak of, for each field. */
const ABOUT: [Name, RegExp][] = [
  ['clientId', /^clientId\b/],
  ['clientSecret', /^clientSecret\b/],
  ['groupsClaim', /^groupsClaim\b/],
  ['name', /\bidentity provider needs a name\b/],
  ['domain', /mail domain|^domains\b|open to everybody/],
  ['issuer', /^issuer\b|issuer is|identity provider we can ask|^the address of|does not answer/],
  ['roles', /^roles\b|^no role\b|\bgroup needs a name\b/],
];

function Add({ onClose }: { onClose: () => void }) {
  const styles = useStyles();
  const queries = useQueryClient();
  const toasts = useToasts();
  const session = useSession();
  const people = useQuery({ queryKey: ['people'], queryFn: () => read(api.GET('/api/v1/people')) });
  const roles = (people.data?.roles ?? []).map((role) => ({ value: role, label: role }));
  const [draft, setDraft] = useState({
    name: '',
    issuer: '',
    clientId: '',
    clientSecret: '',
    // A domain must be the administrator's own, so there is little else to write.
    domain: session.person.email.split('@').at(-1) ?? '',
    groupsClaim: 'groups',
  });
  const [factor, setFactor] = useState<NewIdentityProvider['factor']>('provider');
  const [groups, setGroups] = useState<{ key: number; group: string; role: string }[]>([]);
  const input = (name: keyof typeof draft, rest: Partial<InputProps> = {}) => (
    <Input
      {...(rest as object)}
      value={draft[name]}
      onChange={(_, data) => setDraft({ ...draft, [name]: data.value })}
    />
  );
  const change = (key: number, to: Partial<{ group: string; role: string }>) =>
    setGroups(groups.map((one) => (one.key === key ? { ...one, ...to } : one)));
  const add = async () => {
    const named = groups.filter((one) => one.group.trim() && one.role);
    const added = await read(
      api.POST('/api/v1/identity-providers', {
        body: {
          name: draft.name.trim(),
          issuer: draft.issuer.trim(),
          clientId: draft.clientId.trim(),
          clientSecret: draft.clientSecret,
          domains: draft.domain.split(/[\s,;]+/).filter(Boolean),
          groupsClaim: draft.groupsClaim.trim(),
          roles: Object.fromEntries(named.map((one) => [one.group.trim(), one.role])),
          factor,
        },
      }),
    );
    await queries.invalidateQueries({ queryKey: KEY });
    toasts.done(`People may now sign in with ${added.name}.`);
  };
  return (
    <FormPanel wide title="Add an identity provider" act="Add" acting="Asking the provider…" about={ABOUT} onClose={onClose} onAct={add}>
      {(at) => (
        <>
          <Field label="Callback address" hint="Register this at the provider as the redirect address">
            <CopyText text={CALLBACK} label="Copy the callback address" />
          </Field>
          <Field label="Name" required hint="What people see on the sign-in page" {...at('name')}>
            {input('name', { required: true, maxLength: 200 })}
          </Field>
          <Field label="Issuer" required hint="The address its tokens name, such as https://login.example.org" {...at('issuer')}>
            {input('issuer', { required: true, type: 'url', inputMode: 'url', autoComplete: 'off' })}
          </Field>
          <Field label="Client id" required {...at('clientId')}>
            {input('clientId', { required: true, autoComplete: 'off' })}
          </Field>
          <Field label="Client secret" required hint="Kept encrypted and never shown again" {...at('clientSecret')}>
            {input('clientSecret', { required: true, type: 'password', autoComplete: 'off' })}
          </Field>
          <Field
            label="Mail domain"
            required
            hint="Whose people it signs in. You can claim the domain of your own mail address"
            {...at('domain')}
          >
            {input('domain', { required: true })}
          </Field>
          <Field label="Whose second factor counts">
            <RadioGroup value={factor} onChange={(_, data) => setFactor(data.value as NewIdentityProvider['factor'])}>
              {(['provider', 'ours'] as const).map((one) => (
                <Radio
                  key={one}
                  value={one}
                  label={
                    <span className={styles.option}>
                      {FACTOR[one].label}
                      <span className={styles.hint}>{FACTOR[one].hint}</span>
                    </span>
                  }
                />
              ))}
            </RadioGroup>
          </Field>
          <Field
            label="Groups claim"
            required
            hint="The claim of the token that lists a person’s groups. Groups decide on the role at each sign-in"
            {...at('groupsClaim')}
          >
            {input('groupsClaim', { required: true })}
          </Field>
          <div role="group" aria-label="Roles of groups" className={styles.groups}>
            <span>Roles of groups</span>
            <span className={styles.hint}>
              The highest role of a person’s groups counts. Somebody new without such a group stays outside.
            </span>
            {groups.map((one) => (
              <div key={one.key} className={styles.group}>
                <Input
                  aria-label="Group"
                  placeholder="Group, as the provider names it"
                  value={one.group}
                  onChange={(_, data) => change(one.key, { group: data.value })}
                />
                <Choices aria-label="Role" choices={roles} value={one.role} onChoose={(role) => change(one.key, { role })} />
                <Button
                  appearance="subtle"
                  icon={<DismissRegular />}
                  aria-label={one.group ? `Remove the group ${one.group}` : 'Remove the group'}
                  onClick={() => setGroups(groups.filter((other) => other.key !== one.key))}
                />
              </div>
            ))}
            <Button
              className={styles.add}
              size="small"
              icon={<AddRegular />}
              disabledFocusable={roles.length === 0}
              onClick={() =>
                setGroups([...groups, { key: (groups.at(-1)?.key ?? 0) + 1, group: '', role: roles[0]?.value ?? '' }])
              }
            >
              Add a group
            </Button>
            {at('roles').validationMessage && <Notice intent="error">{at('roles').validationMessage}</Notice>}
          </div>
        </>
      )}
    </FormPanel>
  );
}
